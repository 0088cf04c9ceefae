use std::fmt;

use secrecy::SecretString;

use crate::{ConfigError, Dialect};

/// A domain of Active Directory, and by whom it is asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Domain {
    /// The domain controller that everything is asked of: what one has changed, another sees only later.
    pub server: String,
    /// The distinguished name below which accounts are looked for; `None` is the whole domain.
    pub search_base: Option<String>,
    /// Who asks; `None` is the account that we run as.
    pub login: Option<DomainLogin>,
    /// Whether the caller was delegated the right *Reset password* over the accounts. Nobody can be asked that, so it is
    /// to be said; without it only members of the domain's administrative groups and Account Operators may rotate.
    pub delegated: bool,
}

/// An account of a domain, with its password.
#[derive(Clone)]
#[non_exhaustive]
pub struct DomainLogin {
    /// `DOMAIN\name` or `name@domain`.
    pub user: String,
    /// Its password.
    pub password: SecretString,
}

impl Domain {
    /// The whole domain of the domain controller `server`, asked by the account that we run as.
    #[must_use]
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            search_base: None,
            login: None,
            delegated: false,
        }
    }

    /// The same below one distinguished name.
    #[must_use]
    pub fn with_search_base(self, search_base: impl Into<String>) -> Self {
        Self {
            search_base: Some(search_base.into()),
            ..self
        }
    }

    /// The same asked by another account.
    #[must_use]
    pub fn with_login(self, user: impl Into<String>, password: SecretString) -> Self {
        let user = user.into();
        Self {
            login: Some(DomainLogin { user, password }),
            ..self
        }
    }

    /// The same with or without a delegated right to reset passwords.
    #[must_use]
    pub fn with_delegated(self, delegated: bool) -> Self {
        Self { delegated, ..self }
    }

    /// Whether it can work, by `dialect` if one is named.
    pub(super) fn check(&self, dialect: Option<Dialect>) -> Result<(), ConfigError> {
        if let Some(dialect) = dialect
            && dialect != Dialect::ActiveDirectory
        {
            let found = format!("{dialect} for a domain");
            return Err(ConfigError::field("dialect", found, "active-directory"));
        }
        let named = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        if self.server.is_empty() || !self.server.chars().all(named) {
            let found = format!("`{}`", self.server);
            let expected = "the name of one domain controller";
            return Err(ConfigError::field("server", found, expected));
        }
        match &self.login {
            Some(login) if login.user.trim().is_empty() => {
                Err(ConfigError::field("login", "no user", "DOMAIN\\name"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for DomainLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DomainLogin")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
