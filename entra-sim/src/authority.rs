//! The judgement behind a password PATCH, without HTTP.

use std::io;

use jiff::Timestamp;
use uuid::Uuid;

use crate::directory::Directory;
use crate::graph::allowed::{self, Asking, Touched};
use crate::seed::Tenant;
use crate::switches::Switches;

/// The directory of one tenant, asked who may set whose password. A server asks the same code for each PATCH.
///
/// Kinds of accounts that cannot be served (synced, federated, guests) and the password itself are other matters.
///
/// ```
/// use entra_sim::{App, Authority, Role, Tenant, User};
/// use uuid::Uuid;
///
/// # fn main() -> std::io::Result<()> {
/// let rotation = Uuid::from_u128(7);
/// let tenant = Tenant::new("contoso.com")
///     .app(App::rotation().client_id(rotation))
///     .user(User::new("ada@contoso.com"))
///     .user(User::new("root@contoso.com").role(Role::GLOBAL_ADMINISTRATOR));
/// let authority = Authority::new(tenant, 1)?;
/// let app = authority.app(rotation).ok_or(std::io::ErrorKind::NotFound)?;
/// assert!(authority.set_password(&app, "ada@contoso.com").is_ok());
/// let refused = authority.set_password(&app, "root@contoso.com").map_err(|refused| refused.status);
/// assert_eq!(refused, Err(403));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Authority(Directory);

/// Somebody who asks.
#[derive(Clone, Debug)]
pub struct Actor {
    principal: Uuid,
    app_only: bool,
    permissions: Vec<String>,
}

impl Actor {
    /// The object id of the service principal or of the signed-in user.
    pub fn principal(&self) -> Uuid {
        self.principal
    }
}

/// What Graph answers to somebody who may not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The `code` of the error.
    pub code: String,
    /// Its `message`.
    pub message: String,
}

impl Authority {
    /// Builds the tenant as a server would. Equal seeds give equal ids.
    ///
    /// # Errors
    ///
    /// If names in the tenant do not resolve or exist twice, or a role is assigned where Entra allows none.
    pub fn new(tenant: Tenant, seed: u64) -> io::Result<Self> {
        Ok(Self(Directory::build(tenant, seed, Timestamp::UNIX_EPOCH)?))
    }

    /// Changes the undocumented behaviours.
    pub fn switches(&mut self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.0.switches);
    }

    /// The app with this client id on its own, with the permissions that it was granted.
    pub fn app(&self, client_id: Uuid) -> Option<Actor> {
        let app = self.0.app(client_id)?;
        Some(Actor {
            principal: app.id,
            app_only: true,
            permissions: app.permissions.clone(),
        })
    }

    /// The user with this object id or UPN, signed in to an app that has these delegated permissions.
    pub fn user(&self, key: &str, permissions: &[&str]) -> Option<Actor> {
        let account = self.0.account_by_key(key)?;
        Some(Actor {
            principal: account.id,
            app_only: false,
            permissions: permissions.iter().copied().map(str::to_owned).collect(),
        })
    }

    /// Whether `actor` may set the password of the account with this object id or UPN. Nothing is changed.
    ///
    /// # Errors
    ///
    /// What Graph would answer.
    pub fn set_password(&self, actor: &Actor, account: &str) -> Result<(), Refusal> {
        let asking = Asking {
            principal: actor.principal,
            app_only: actor.app_only,
            permissions: &actor.permissions,
            of_partner: None,
        };
        let touched = Touched {
            password: true,
            enabled: false,
        };
        match allowed::account(&self.0, asking, touched, account) {
            Ok(_) => Ok(()),
            Err(error) => Err(Refusal {
                status: error.status.as_u16(),
                code: error.code.into_owned(),
                message: error.message.into_owned(),
            }),
        }
    }
}
