//! `PATCH /users/{id or UPN}`: password and enabled state.
//!
//! <https://learn.microsoft.com/graph/api/user-update>

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::allowed::{self, Asking, Touched};
use super::body::annotations_removed;
use super::{Call, GraphError};
use crate::directory::Account;
use crate::password_rules::{self, Owner};
use crate::reply::Reply;
use crate::seed::Origin;
use crate::switches::Unserved;

const COMPLEXITY: &str = "The specified password does not comply with password complexity requirements. Please provide a different password.";
const ON_PREMISES: &str = "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.";

/// What a PATCH asks for. Without `Debug`, as it may hold a password.
#[derive(Default)]
struct Change {
    /// Present if the body names `passwordProfile`.
    profile: Option<ProfileChange>,
    enabled: Option<bool>,
}

#[derive(Default)]
struct ProfileChange {
    password: Option<String>,
    force_change: Option<bool>,
    force_change_with_mfa: Option<bool>,
}

/// The body that a rotation sends; everything else is read with more care, and refused with better words. Without `Debug`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Usual {
    password_profile: UsualProfile,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UsualProfile {
    password: String,
    force_change_password_next_sign_in: bool,
}

impl From<Usual> for Change {
    fn from(usual: Usual) -> Self {
        let profile = ProfileChange {
            password: Some(usual.password_profile.password),
            force_change: Some(usual.password_profile.force_change_password_next_sign_in),
            force_change_with_mfa: None,
        };
        Self {
            profile: Some(profile),
            enabled: None,
        }
    }
}

/// Sets what the body asks for, or nothing of it.
pub(crate) fn patch(call: &Call<'_>) -> Result<Reply, GraphError> {
    let change = parse(call)?;
    let switches = &call.directory.switches;
    let of_partner = call.holdings_of_partner();
    let asking = Asking {
        principal: call.caller.principal,
        app_only: call.caller.app_only,
        permissions: &call.caller.permissions,
        of_partner: of_partner.as_ref(),
    };
    let touched = Touched {
        password: change.profile.is_some(),
        enabled: change.enabled.is_some(),
    };
    let account = allowed::account(call.directory, asking, touched, &call.route.key)?;
    if account.origin == Origin::Synced {
        unserved(switches.synced_target, ON_PREMISES)?;
    }
    let password = change.profile.as_ref().and_then(|p| p.password.as_deref());
    if let Some(password) = password {
        check_password(call, account, password)?;
    }

    let now = call.world.clock.now();
    let mut state = account.state();
    if let Some(enabled) = change.enabled {
        state.enabled = enabled;
    }
    // A force flag without a password is answered with 204 and changes nothing (field reports).
    if let (Some(profile), Some(password)) = (&change.profile, password) {
        let must_change = profile
            .force_change
            .unwrap_or(switches.force_change_by_default)
            || profile.force_change_with_mfa.unwrap_or(false);
        state.set_password(password, must_change, now, call.directory.replication_lag);
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

fn check_password(call: &Call<'_>, account: &Account, password: &str) -> Result<(), GraphError> {
    let switches = &call.directory.switches;
    if account.federated {
        unserved(
            switches.federated_target,
            "Unable to update the password of a user of a federated domain.",
        )?;
    }
    if account.origin == Origin::Guest && account.seeded.password.is_none() {
        unserved(
            switches.guest_target,
            "Unable to update the password of a user whose credential is managed by another directory.",
        )?;
    }
    let owner = Owner {
        user_principal_name: &account.user_principal_name,
        given_name: account.given_name.as_deref(),
        surname: account.surname.as_deref(),
        password_policies: account.password_policies.as_deref(),
    };
    let (tenant, banned) = (&call.directory.display_name, &call.directory.banned);
    password_rules::check(password, owner, tenant, banned, switches)
        .map_err(|_| GraphError::bad_request(COMPLEXITY))
}

fn unserved(answer: Unserved, message: &'static str) -> Result<(), GraphError> {
    match answer {
        Unserved::Accept => Ok(()),
        Unserved::BadRequest => Err(GraphError::bad_request(message)),
        Unserved::Forbidden => Err(GraphError::denied()),
    }
}

fn parse(call: &Call<'_>) -> Result<Change, GraphError> {
    call.require_json()?;
    if let Ok(usual) = serde_json::from_slice::<Usual>(call.body) {
        return Ok(usual.into());
    }
    let mut change = Change::default();
    for (name, value) in annotations_removed(call.body_members()?) {
        match (name.as_str(), value) {
            ("accountEnabled", Value::Bool(enabled)) => change.enabled = Some(enabled),
            ("passwordProfile", Value::Object(profile)) => {
                change.profile = Some(parse_profile(profile)?);
            }
            ("accountEnabled" | "passwordProfile", _) => return Err(invalid_value(&name)),
            _ => return Err(invalid_property(&name)),
        }
    }
    if change.profile.is_none() && change.enabled.is_none() {
        return Err(GraphError::bad_request(
            "The request body names no property to update.",
        ));
    }
    Ok(change)
}

fn parse_profile(members: Map<String, Value>) -> Result<ProfileChange, GraphError> {
    let mut profile = ProfileChange::default();
    for (name, value) in annotations_removed(members) {
        match (name.as_str(), value) {
            ("password", Value::String(password)) => profile.password = Some(password),
            ("forceChangePasswordNextSignIn", Value::Bool(force)) => {
                profile.force_change = Some(force);
            }
            ("forceChangePasswordNextSignInWithMfa", Value::Bool(force)) => {
                profile.force_change_with_mfa = Some(force);
            }
            (
                "password"
                | "forceChangePasswordNextSignIn"
                | "forceChangePasswordNextSignInWithMfa",
                Value::Null,
            ) => {}
            (
                "password"
                | "forceChangePasswordNextSignIn"
                | "forceChangePasswordNextSignInWithMfa",
                _,
            ) => return Err(invalid_value(&name)),
            _ => return Err(invalid_property(&name)),
        }
    }
    Ok(profile)
}

fn invalid_property(name: &str) -> GraphError {
    GraphError::bad_request(format!("Property '{name}' is invalid."))
}

fn invalid_value(name: &str) -> GraphError {
    GraphError::bad_request(format!(
        "Invalid value specified for property '{name}' of resource 'User'."
    ))
}
