//! A user to be created with the tenant.

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use super::ScopedRole;
use crate::role::Role;

/// Where an account comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Cloud,
    Guest,
    Synced,
}

/// The password that an account starts with.
#[derive(Clone)]
pub(crate) enum InitialPassword {
    Given(String),
    None,
    Random,
}

impl fmt::Debug for InitialPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given(..)",
            Self::None => "None",
            Self::Random => "Random",
        })
    }
}

/// A user to be created with the tenant, by default an enabled cloud account of a person with a
/// random password that is 200 days old.
///
/// A user of a federated domain is federated, and has no password here unless given one;
/// everything else is said here.
#[derive(Clone, Debug)]
pub struct User {
    pub(crate) id: Option<Uuid>,
    pub(crate) user_principal_name: String,
    pub(crate) display_name: String,
    pub(crate) given_name: Option<String>,
    pub(crate) surname: Option<String>,
    pub(crate) origin: Origin,
    pub(crate) enabled: bool,
    pub(crate) password: InitialPassword,
    pub(crate) password_age: Option<Duration>,
    pub(crate) must_change: bool,
    pub(crate) requires_mfa: bool,
    pub(crate) password_policies: Option<String>,
    pub(crate) roles: Vec<ScopedRole>,
    pub(crate) eligible_roles: Vec<ScopedRole>,
}

impl User {
    const DEFAULT_PASSWORD_AGE: Duration = Duration::from_secs(200 * 24 * 3600);

    /// An enabled cloud account. The display name is the part before the `@`.
    pub fn new(user_principal_name: impl Into<String>) -> Self {
        let user_principal_name = user_principal_name.into();
        let display_name = user_principal_name
            .split('@')
            .next()
            .unwrap_or_default()
            .to_owned();
        Self {
            id: None,
            user_principal_name,
            display_name,
            given_name: None,
            surname: None,
            origin: Origin::Cloud,
            enabled: true,
            password: InitialPassword::Random,
            password_age: Some(Self::DEFAULT_PASSWORD_AGE),
            must_change: false,
            requires_mfa: false,
            password_policies: None,
            roles: Vec::new(),
            eligible_roles: Vec::new(),
        }
    }

    /// Sets the object id, which is otherwise made up.
    #[must_use]
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets display name, first name and last name.
    #[must_use]
    pub fn named(mut self, given_name: &str, surname: &str) -> Self {
        self.display_name = format!("{given_name} {surname}");
        self.given_name = Some(given_name.to_owned());
        self.surname = Some(surname.to_owned());
        self
    }

    /// Sets the display name alone.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = name.into();
        self
    }

    /// Sets the initial password, which may break the rules that a PATCH must keep.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = InitialPassword::Given(password.into());
        self
    }

    /// Leaves the account without a password in this tenant.
    #[must_use]
    pub fn without_password(mut self) -> Self {
        self.password = InitialPassword::None;
        self
    }

    /// Sets how long ago the password was set.
    #[must_use]
    pub fn password_age(mut self, age: Duration) -> Self {
        self.password_age = Some(age);
        self
    }

    /// Leaves `lastPasswordChangeDateTime` null.
    #[must_use]
    pub fn unknown_password_age(mut self) -> Self {
        self.password_age = None;
        self
    }

    /// Demands a new password at the next sign-in.
    #[must_use]
    pub fn must_change_password(mut self) -> Self {
        self.must_change = true;
        self
    }

    /// Demands a second factor, which a sign-in with a password alone cannot give.
    #[must_use]
    pub fn requires_mfa(mut self) -> Self {
        self.requires_mfa = true;
        self
    }

    /// Sets `passwordPolicies`, e.g. `DisableStrongPassword`.
    #[must_use]
    pub fn password_policies(mut self, policies: impl Into<String>) -> Self {
        self.password_policies = Some(policies.into());
        self
    }

    /// Makes it an account synchronised from on-premises.
    #[must_use]
    pub fn synced(mut self) -> Self {
        self.origin = Origin::Synced;
        self
    }

    /// Makes it a guest whose credential lives in its home tenant: no password here.
    #[must_use]
    pub fn guest(mut self) -> Self {
        self.origin = Origin::Guest;
        self.password = InitialPassword::None;
        self
    }

    /// Disables the account.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    /// Assigns a role for the whole tenant.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push((role, None));
        self
    }

    /// Assigns a role at the scope of the administrative unit of this name.
    #[must_use]
    pub fn unit_role(mut self, role: Role, unit: impl Into<String>) -> Self {
        self.roles.push((role, Some(unit.into())));
        self
    }

    /// Makes the user eligible for a role through PIM, not activated.
    #[must_use]
    pub fn eligible_role(mut self, role: Role) -> Self {
        self.eligible_roles.push((role, None));
        self
    }

    /// Makes the user eligible for a role at the scope of the administrative unit of this name.
    #[must_use]
    pub fn eligible_unit_role(mut self, role: Role, unit: impl Into<String>) -> Self {
        self.eligible_roles.push((role, Some(unit.into())));
        self
    }
}
