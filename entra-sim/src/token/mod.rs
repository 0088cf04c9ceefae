//! The token endpoint: client credentials (secrets, certificates, tokens of other issuers), resource owner passwords, device
//! codes and refresh tokens.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

mod assertion;
mod claims;
mod consent;
pub(crate) use claims::Claims;
pub(crate) use consent::admin_consent;
mod device;
pub(crate) use device::{Devices, answer as device_code};
mod discovery;
pub(crate) use discovery::{instance_discovery, keys, openid_configuration, user_realm};
mod error;
pub(crate) use error::{AadSts, FederationMismatch};
mod form;
pub(crate) use form::TokenForm;

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::directory::{Account, Attempt, Directory, SecretCheck, ServicePrincipal};
use crate::reply::Reply;
use crate::world::World;
use claims::{Proof, Validity};

/// Names of Microsoft Graph that every client may ask for, besides the server's own address.
const GRAPH: [&str; 2] = [
    "https://graph.microsoft.com",
    "00000003-0000-0000-c000-000000000000",
];
/// Scopes that belong to the sign-in itself.
const SIGN_IN_SCOPES: [&str; 4] = ["email", "offline_access", "openid", "profile"];

/// Answers `POST /{tenant}/oauth2/v2.0/token`.
pub(crate) fn answer(world: &World, tenant: &str, headers: &HeaderMap, form: &TokenForm) -> Reply {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let correlation = text("client-request-id").and_then(|id| Uuid::try_parse(id).ok());
    issue(world, tenant, form)
        .map(|answer| Reply::json(StatusCode::OK, answer))
        .unwrap_or_else(|error| error.reply(world.clock.now(), correlation))
        .header(header::CACHE_CONTROL, "no-store, no-cache")
}

fn issue(world: &World, tenant: &str, form: &TokenForm) -> Result<Value, AadSts> {
    match TokenForm::require(&form.grant_type, "grant_type")? {
        "client_credentials" => client_credentials(world, tenant, form),
        "password" => password(world, tenant, form),
        "refresh_token" => delegated(world, tenant, form, device::refreshed),
        "urn:ietf:params:oauth:grant-type:device_code" => {
            delegated(world, tenant, form, device::approved)
        }
        other => Err(AadSts::UnsupportedGrant {
            grant: other.to_owned(),
        }),
    }
}

fn client_credentials(world: &World, tenant: &str, form: &TokenForm) -> Result<Value, AadSts> {
    if ["common", "consumers", "organizations"].contains(&tenant) {
        return Err(AadSts::CommonNotAllowed);
    }
    let directory = named_tenant(world, tenant)?;
    let app = &app(directory, form)?;
    let proof = presented(world, directory, app, form)?;
    if proof == Proof::Nothing {
        return Err(AadSts::MissingCredential);
    }
    let scope = TokenForm::require(&form.scope, "scope")?;
    let audience = default_scope(world, scope)?;
    let (validity, mut answer) = new_token(world);
    let claims = Claims::app_only(directory, app, proof, &audience, validity);
    insert(&mut answer, "access_token", world.signer.sign(&claims));
    Ok(answer)
}

fn password(world: &World, tenant: &str, form: &TokenForm) -> Result<Value, AadSts> {
    if ["common", "consumers"].contains(&tenant) {
        return Err(AadSts::CommonNotAllowed);
    }
    let username = TokenForm::require(&form.username, "username")?;
    let home = username.rsplit_once('@').map(|(_, domain)| domain);
    let tenant = match home {
        Some(domain) if tenant == "organizations" => domain,
        _ => tenant,
    };
    let directory = named_tenant(world, tenant)?;
    let app = &app(directory, form)?;
    let proof = presented(world, directory, app, form)?;
    let scope = TokenForm::require(&form.scope, "scope")?;
    let audience = user_scope(world, scope)?;
    let user = signed_in(world, directory, username, form)?;

    let (validity, mut answer) = new_token(world);
    let claims = Claims::delegated(directory, app, user, proof, &audience, validity);
    insert(&mut answer, "access_token", world.signer.sign(&claims));
    insert(&mut answer, "scope", scope.to_owned());
    if scope.split(' ').any(|scope| scope == "openid") {
        let id_token = id_token(world, directory, app, user, validity);
        insert(&mut answer, "id_token", world.signer.sign(&id_token));
    }
    if form.client_info {
        let info = json!({"uid": user.id, "utid": directory.id}).to_string();
        insert(&mut answer, "client_info", URL_SAFE_NO_PAD.encode(info));
    }
    Ok(answer)
}

/// Somebody who signed in.
pub(super) struct Person<'a> {
    /// The tenant that has the account: that of the token, or a partner of it.
    home: &'a Directory,
    account: &'a Account,
}

/// Who stands behind a form that is sent to a directory.
type Who = for<'a> fn(
    &'a World,
    &'a Directory,
    &ServicePrincipal,
    &TokenForm,
) -> Result<Person<'a>, AadSts>;

/// A token for a user who signed in elsewhere, and one to get the next with.
fn delegated(world: &World, tenant: &str, form: &TokenForm, who: Who) -> Result<Value, AadSts> {
    let directory = named_tenant(world, tenant)?;
    let app = &app(directory, form).map_err(|missing| {
        let comes_from_partner = device::comes_from_partner(world, directory, form);
        comes_from_partner.map_or(missing, |client_id| AadSts::PartnerAppUnauthorized {
            client_id,
            tenant: directory.id,
        })
    })?;
    let proof = presented(world, directory, app, form)?;
    match (proof, app.public_client) {
        (Proof::Nothing, false) => return Err(AadSts::MissingCredential),
        (Proof::Assertion | Proof::Secret, true) => return Err(AadSts::PublicClient),
        _ => {}
    }
    // the scope of a device code was said when it was asked for
    let default = format!("{}/.default offline_access", world.base_url);
    let scope = form.scope.as_deref().unwrap_or(&default);
    let audience = user_scope(world, scope)?;
    let person = who(world, directory, app, form)?;
    let (home, user) = (person.home, person.account);
    let (validity, mut answer) = new_token(world);
    let mut claims = Claims::delegated(directory, app, user, proof, &audience, validity);
    if home.id != directory.id {
        let held = world.partner_holdings(home, user.id, directory);
        claims = claims.of_partner(home, &held);
    }
    insert(&mut answer, "access_token", world.signer.sign(&claims));
    insert(&mut answer, "scope", scope.to_owned());
    if let Some(token) = device::refresh_token(world, home, app, user, scope) {
        insert(&mut answer, "refresh_token", token);
    }
    Ok(answer)
}

/// The account behind user name and password, if it may sign in. A second factor comes after the first:
/// <https://learn.microsoft.com/entra/identity/conditional-access/overview>.
fn signed_in<'a>(
    world: &World,
    directory: &'a Directory,
    username: &str,
    form: &TokenForm,
) -> Result<&'a Account, AadSts> {
    let user = directory
        .account_by_key(username)
        .ok_or_else(|| AadSts::UserNotFound {
            tenant: directory.id.to_string(),
        })?;
    let password = TokenForm::require(&form.password, "password")?;
    let now = world.clock.now();
    let mut state = user.state();
    let enabled = state.enabled;
    if !enabled && directory.switches.disabled_before_password {
        return Err(AadSts::AccountDisabled);
    }
    let right = user.live_password(&state) == Some(password);
    match state
        .lockout
        .get_or_insert_default()
        .judge(password, right, now)
    {
        Attempt::Locked => return Err(AadSts::AccountLocked),
        Attempt::Wrong => return Err(AadSts::InvalidPassword),
        Attempt::Right => state.lockout = None,
    }
    if !enabled {
        return Err(AadSts::AccountDisabled);
    }
    if state.must_change {
        return Err(AadSts::PasswordExpired);
    }
    drop(state);
    if user.requires_mfa {
        return Err(AadSts::MfaRequired);
    }
    Ok(user)
}

fn named_tenant<'a>(world: &'a World, tenant: &str) -> Result<&'a Directory, AadSts> {
    let found = world.tenant(tenant).map(|directory| &**directory);
    found.ok_or_else(|| AadSts::TenantNotFound {
        tenant: tenant.to_owned(),
    })
}

fn app(directory: &Directory, form: &TokenForm) -> Result<Arc<ServicePrincipal>, AadSts> {
    let client_id = TokenForm::require(&form.client_id, "client_id")?;
    Uuid::try_parse(client_id)
        .ok()
        .and_then(|id| directory.app(id))
        .ok_or_else(|| AadSts::AppNotFound {
            client_id: client_id.to_owned(),
            tenant: directory.display_name.clone(),
        })
}

/// What was presented as proof; a wrong one is an error.
fn presented(
    world: &World,
    directory: &Directory,
    app: &ServicePrincipal,
    form: &TokenForm,
) -> Result<Proof, AadSts> {
    if form.client_assertion.is_some() {
        assertion::check(world, directory, app, form)?;
        return Ok(Proof::Assertion);
    }
    let Some(secret) = &form.client_secret else {
        return Ok(Proof::Nothing);
    };
    let client_id = app.client_id.to_string();
    match app.check_secret(secret, world.clock.now()) {
        SecretCheck::Expired => Err(AadSts::SecretExpired { client_id }),
        SecretCheck::Valid => Ok(Proof::Secret),
        SecretCheck::Wrong => Err(AadSts::WrongSecret { client_id }),
    }
}

/// The audience of `{graph}/.default`, the only scope of client credentials.
fn default_scope(world: &World, scope: &str) -> Result<String, AadSts> {
    let invalid = || AadSts::InvalidScope {
        scope: scope.to_owned(),
    };
    let resource = scope.strip_suffix("/.default").ok_or_else(invalid)?;
    // `https://resource//.default` is right when the resource itself ends in a slash.
    let resource = resource.strip_suffix('/').unwrap_or(resource);
    if resource.is_empty() || resource.contains(' ') {
        return Err(invalid());
    }
    if resource == world.base_url || GRAPH.contains(&resource) {
        Ok(resource.to_owned())
    } else {
        Err(AadSts::InvalidResource {
            resource: resource.to_owned(),
        })
    }
}

/// The audience of a user's scopes: `{graph}/.default`, `{graph}/Some.Permission` or bare ones.
fn user_scope(world: &World, scopes: &str) -> Result<String, AadSts> {
    let wanted = scopes
        .split(' ')
        .filter(|scope| !scope.is_empty() && !SIGN_IN_SCOPES.contains(scope));
    let mut audience = GRAPH[0].to_owned();
    for scope in wanted {
        if let Some((resource, _)) = scope.rsplit_once('/') {
            audience = default_scope(world, &format!("{resource}/.default"))?;
        }
    }
    Ok(audience)
}

fn new_token(world: &World) -> (Validity, Value) {
    let from = world.clock.now().as_second();
    let seconds = i64::try_from(world.settings.token_lifetime.as_secs()).unwrap_or(i64::MAX);
    let validity = Validity {
        from,
        until: from.saturating_add(seconds),
    };
    // Entra, too, says one second less than it grants.
    let expires_in = seconds.saturating_sub(1).max(0);
    let answer = json!({
        "token_type": "Bearer",
        "expires_in": expires_in,
        "ext_expires_in": expires_in,
    });
    (validity, answer)
}

fn insert(answer: &mut Value, name: &str, value: String) {
    if let Some(members) = answer.as_object_mut() {
        members.insert(name.to_owned(), Value::String(value));
    }
}

fn id_token(
    world: &World,
    directory: &Directory,
    app: &ServicePrincipal,
    user: &Account,
    validity: Validity,
) -> Value {
    json!({
        "aud": app.client_id,
        "iss": format!("{}/{}/v2.0", world.base_url, directory.id),
        "iat": validity.from,
        "nbf": validity.from,
        "exp": validity.until,
        "name": *user.display_name,
        "oid": user.id,
        "preferred_username": *user.user_principal_name,
        "sub": user.id,
        "tid": directory.id,
        "ver": "2.0",
    })
}
