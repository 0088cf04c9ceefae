//! The claims of the tokens: what a client may look at and what Graph relies on.
//!
//! <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

use crate::directory::{Account, Directory, Holdings, ServicePrincipal};

/// Present in `wids` of app-only tokens, although it is no directory role.
const NOT_A_ROLE: Uuid = uuid!("0997a1d0-0d1d-4acb-b408-d5ca73121e90");

/// What issues tokens of version 1.0, and whose accounts sign in.
const STS: &str = "https://sts.windows.net/";

/// An access token for Graph, which is of version 1.0.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: String,
    pub(crate) iss: String,
    pub(crate) iat: i64,
    pub(crate) nbf: i64,
    pub(crate) exp: i64,
    pub(crate) app_displayname: String,
    pub(crate) appid: Uuid,
    pub(crate) appidacr: String,
    pub(crate) idp: String,
    pub(crate) idtyp: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) oid: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) roles: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scp: Option<String>,
    pub(crate) sub: Uuid,
    pub(crate) tid: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upn: Option<String>,
    pub(crate) uti: String,
    pub(crate) ver: String,
    pub(crate) wids: Vec<Uuid>,
}

/// When a token is good, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validity {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// How an app proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Assertion,
    Nothing,
    Secret,
}

impl Proof {
    fn appidacr(self) -> &'static str {
        match self {
            Self::Assertion => "2",
            Self::Nothing => "0",
            Self::Secret => "1",
        }
    }
}

impl Claims {
    /// The token of an app that signed in by itself.
    pub(crate) fn app_only(
        directory: &Directory,
        app: &ServicePrincipal,
        proof: Proof,
        audience: &str,
        validity: Validity,
    ) -> Self {
        let mut wids = tenant_wide_roles(directory, app.id);
        wids.push(NOT_A_ROLE);
        let now = Timestamp::from_second(validity.from).unwrap_or(Timestamp::MAX);
        let permissions = app.permissions_at(now);
        Self {
            appidacr: proof.appidacr().to_owned(),
            idtyp: "app".to_owned(),
            // An app without permissions gets its token all the same, without the claim.
            roles: (!permissions.is_empty()).then_some(permissions),
            wids,
            ..Self::for_principal(directory, app, app.id, audience, validity)
        }
    }

    /// The token of a user who signed in to an app.
    pub(crate) fn delegated(
        directory: &Directory,
        app: &ServicePrincipal,
        user: &Account,
        proof: Proof,
        audience: &str,
        validity: Validity,
    ) -> Self {
        Self {
            appidacr: proof.appidacr().to_owned(),
            idtyp: "user".to_owned(),
            name: Some(user.display_name.to_string()),
            scp: Some(app.delegated.join(" ")),
            upn: Some(user.user_principal_name.to_string()),
            wids: tenant_wide_roles(directory, user.id),
            ..Self::for_principal(directory, app, user.id, audience, validity)
        }
    }

    /// The same for somebody of a partner. Whether `wids` shows the roles of a relationship is not documented.
    pub(crate) fn of_partner(self, home: &Directory, held: &Holdings) -> Self {
        Self {
            idp: issuer(home.id),
            wids: held.active.iter().map(|grant| grant.role.id()).collect(),
            ..self
        }
    }

    /// The tenant that has the account, if it is another than that of the token.
    pub(crate) fn partner(&self) -> Option<Uuid> {
        let home = self.idp.strip_prefix(STS)?.trim_end_matches('/');
        home.parse().ok().filter(|home| *home != self.tid)
    }

    fn for_principal(
        directory: &Directory,
        app: &ServicePrincipal,
        principal: Uuid,
        audience: &str,
        validity: Validity,
    ) -> Self {
        let issuer = issuer(directory.id);
        Self {
            aud: audience.to_owned(),
            iss: issuer.clone(),
            iat: validity.from,
            nbf: validity.from,
            exp: validity.until,
            app_displayname: app.display_name.clone(),
            appid: app.client_id,
            appidacr: String::new(),
            idp: issuer,
            idtyp: String::new(),
            name: None,
            oid: principal,
            roles: None,
            scp: None,
            sub: principal,
            tid: directory.id,
            upn: None,
            uti: Uuid::new_v4().simple().to_string(),
            ver: "1.0".to_owned(),
            wids: Vec::new(),
        }
    }
}

fn issuer(tenant: Uuid) -> String {
    format!("{STS}{tenant}/")
}

/// Roles scoped to an administrative unit never show up in a token.
fn tenant_wide_roles(directory: &Directory, principal: Uuid) -> Vec<Uuid> {
    directory
        .access()
        .holdings(principal)
        .map(|holdings| {
            holdings
                .active
                .iter()
                .filter(|grant| grant.unit.is_none())
                .map(|grant| grant.role.id())
                .collect()
        })
        .unwrap_or_default()
}
