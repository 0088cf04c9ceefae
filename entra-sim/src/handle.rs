//! What a test may ask and tell a tenant behind its back.

use std::fmt;
use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::directory::{Account, Directory};
use crate::role::Role;
use crate::seed::Origin;
use crate::throttle::Throttle;
use crate::world::World;

/// A tenant of a running server. Clones share it.
#[derive(Clone, Debug)]
pub struct TenantHandle {
    world: Arc<World>,
    directory: Arc<Directory>,
}

/// An app's service principal in a tenant, as the simulator knows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AppView {
    /// Object id.
    pub id: Uuid,
    /// Application permissions of Microsoft Graph, in the order in which they were granted.
    pub permissions: Vec<String>,
    /// Roles in force, directly or through groups.
    pub roles: Vec<Role>,
}

/// A user as the simulator knows it.
#[derive(Clone)]
#[non_exhaustive]
pub struct UserView {
    /// Object id.
    pub id: Uuid,
    /// UPN.
    pub user_principal_name: String,
    /// Display name.
    pub display_name: String,
    /// The password at the start; `None` for accounts whose password is not kept here.
    pub initial_password: Option<String>,
    /// May sign in.
    pub enabled: bool,
    /// B2B guest.
    pub guest: bool,
    /// Synchronised from on-premises.
    pub synced: bool,
    /// In a federated domain.
    pub federated: bool,
    /// Holds or could hold a role, or belongs to a role-assignable group or a restricted unit.
    pub protected: bool,
    /// When the password was last set, without any replication delay.
    pub last_password_change: Option<Timestamp>,
    /// How many requests have set the password.
    pub password_sets: u64,
}

impl fmt::Debug for UserView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserView")
            .field("id", &self.id)
            .field("user_principal_name", &self.user_principal_name)
            .field("password_sets", &self.password_sets)
            .finish_non_exhaustive()
    }
}

impl UserView {
    /// A cloud account of a person without any privilege: what User Administrator may reset in
    /// every reading of the documentation. Enabled or not.
    pub fn is_ordinary(&self) -> bool {
        !(self.guest || self.synced || self.federated || self.protected)
    }
}

impl TenantHandle {
    pub(crate) fn new(world: Arc<World>, directory: Arc<Directory>) -> Self {
        Self { world, directory }
    }

    /// The tenant id.
    pub fn id(&self) -> Uuid {
        self.directory.id
    }

    /// The first verified domain.
    pub fn domain(&self) -> &str {
        self.directory.default_domain()
    }

    /// The client id of the first app; the nil UUID if there is none.
    pub fn client_id(&self) -> Uuid {
        let app = self.directory.first_app.as_ref();
        app.map_or_else(Uuid::nil, |app| app.client_id)
    }

    /// A secret of the first app; empty if there is none.
    pub fn client_secret(&self) -> &str {
        let app = self.directory.first_app.as_ref();
        app.and_then(|app| app.secrets.first())
            .map_or("", |secret| &secret.value)
    }

    /// Object id of the first app's service principal; the nil UUID if there is none.
    pub fn service_principal_id(&self) -> Uuid {
        let app = self.directory.first_app.as_ref();
        app.map_or_else(Uuid::nil, |app| app.id)
    }

    /// The app with this client id, if it has a service principal here.
    pub fn app(&self, client_id: Uuid) -> Option<AppView> {
        let app = self.directory.app(client_id)?;
        let access = self.directory.access();
        let active = access.holdings(app.id).map(|held| held.active.as_slice());
        let roles = active.unwrap_or_default().iter().map(|grant| grant.role);
        Some(AppView {
            id: app.id,
            permissions: app.permissions.clone(),
            roles: roles.collect(),
        })
    }

    /// Every user that is not deleted, in the order of listing.
    pub fn users(&self) -> Vec<UserView> {
        self.iter_users().collect()
    }

    /// The same one by one, for tenants that are too large to be copied.
    pub fn iter_users(&self) -> impl Iterator<Item = UserView> {
        let accounts = self.directory.accounts().iter();
        accounts
            .filter(|account| !account.is_deleted())
            .map(|account| self.view(account))
    }

    /// One user, by object id or UPN.
    pub fn user(&self, key: &str) -> Option<UserView> {
        self.directory
            .account_by_key(key)
            .map(|account| self.view(account))
    }

    /// How many requests have set this user's password; 0 for an unknown user.
    pub fn password_sets(&self, id: Uuid) -> u64 {
        self.directory
            .account(id)
            .map_or(0, |account| account.state().password_sets)
    }

    /// Whether `password` is the one that signs this user in now.
    pub fn current_password_is(&self, id: Uuid, password: &str) -> bool {
        self.directory
            .account(id)
            .is_some_and(|account| account.password_is(password))
    }

    /// Sets a password behind the caller's back, as somebody else would.
    pub fn set_password(&self, id: Uuid, password: &str) {
        if let Some(account) = self.directory.account(id) {
            let lag = self.directory.replication_lag;
            let now = self.world.clock.now();
            account.state().set_password(password, false, now, lag);
        }
    }

    /// Sets a password in the on-premises directory, where the account has this security id; false if none has. The tenant
    /// knows it after the next [`sync`](Self::sync).
    pub fn set_on_premises(&self, security_id: &str, password: &str) -> bool {
        let mut accounts = self.directory.accounts().iter();
        let account = accounts.find(|account| {
            account.origin == Origin::Synced
                && !account.is_deleted()
                && crate::directory::security_id(account).eq_ignore_ascii_case(security_id)
        });
        account
            .map(|account| self.directory.on_premises.set(account.id, password))
            .is_some()
    }

    /// Lets a cycle of the password hash synchronisation pass, which real ones do every two minutes; how many passwords it
    /// brought.
    pub fn sync(&self) -> usize {
        let brought = self.directory.on_premises.take();
        for (account, password) in &brought {
            self.set_password(*account, password);
        }
        brought.len()
    }

    /// Deletes the user; a reset of the server brings it back.
    pub fn delete_user(&self, id: Uuid) {
        if let Some(account) = self.directory.account(id) {
            account.state().deleted = true;
        }
    }

    /// Limits this tenant in another way than the others, with its quotas unused, from now on; `None`: as the others.
    pub fn set_throttle(&self, throttle: Option<Throttle>) {
        self.world.throttles.set_tenant(self.id(), throttle);
    }

    /// Assigns a role, tenant-wide or at the scope of the unit of this name, to a user or
    /// service principal.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: there is no such unit, or the role cannot be assigned at unit scope.
    pub fn grant_role(&self, principal: Uuid, role: Role, unit: Option<&str>) -> io::Result<()> {
        let scoped = (role, unit.map(str::to_owned));
        let assignment = self.directory.access().assignment(principal, &scoped)?;
        self.directory
            .change_access(|access| access.assignments.push(assignment));
        Ok(())
    }

    /// Puts a user or service principal into the group of this id; false if there is no such group.
    pub fn join_group(&self, group: Uuid, principal: Uuid) -> bool {
        self.directory.change_access(|access| {
            let mut groups = access.groups.iter_mut();
            let group = groups.find(|known| known.id == group);
            group.map(|group| group.members.push(principal)).is_some()
        })
    }

    /// Lets `user` approve the sign-in that shows `user_code`, a second factor included; false if there is no such sign-in in
    /// this tenant.
    pub fn approve_sign_in(&self, user_code: &str, user: Uuid) -> bool {
        let devices = &self.world.devices;
        devices.approve(self.directory.id, user_code, user)
    }

    /// Declines the sign-in that shows `user_code`; false if there is no such sign-in in this tenant.
    pub fn decline_sign_in(&self, user_code: &str) -> bool {
        self.world.devices.decline(self.directory.id, user_code)
    }

    /// Takes a role away, in every scope.
    pub fn revoke_role(&self, principal: Uuid, role: Role) {
        self.directory.change_access(|access| {
            access
                .assignments
                .retain(|held| held.principal != principal || held.role != role);
        });
    }

    fn view(&self, account: &Account) -> UserView {
        let access = self.directory.access();
        let protected = access.holdings(account.id).is_some_and(|held| {
            !(held.active.is_empty() && held.eligible.is_empty())
                || held.in_role_assignable_group
                || held.eligible_for_role_assignable_group
                || !held.restricted_units.is_empty()
        });
        let state = account.state();
        UserView {
            id: account.id,
            user_principal_name: account.user_principal_name.to_string(),
            display_name: account.display_name.to_string(),
            initial_password: account.seeded.password.as_deref().map(str::to_owned),
            enabled: state.enabled,
            guest: account.origin == Origin::Guest,
            synced: account.origin == Origin::Synced,
            federated: account.federated,
            protected,
            last_password_change: state.password_changed(Timestamp::MAX),
            password_sets: state.password_sets,
        }
    }
}
