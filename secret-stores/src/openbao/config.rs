use std::fmt;
use std::path::PathBuf;

use rotation_core::{Problem, StoreError};
use secrecy::SecretString;
use url::{Host, Url};

use crate::Recipients;

/// Where the server is, where in it the documents are, and who we are to it.
#[derive(Clone)]
#[non_exhaustive]
pub struct OpenBaoConfig {
    /// The server: `https://…`, or `http://…` on a loopback address.
    pub address: String,
    /// Certificates of the authorities to trust instead of the machine's, PEM.
    pub ca_pem: Option<String>,
    /// The namespace, if the server has any.
    pub namespace: Option<String>,
    /// Where the secrets engine, KV version 2, is mounted; by default `secret`.
    pub mount: String,
    /// Below which path of the mount every document is; by default `rotation`.
    pub prefix: String,
    /// Who we are.
    pub auth: OpenBaoAuth,
    /// The public keys that passwords are sealed to. `None` keeps them as they are under the server's own encryption,
    /// for applications to read.
    pub recipients: Option<Recipients>,
}

impl OpenBaoConfig {
    /// The mount `secret`, the prefix `rotation`, and passwords for applications to read.
    #[must_use]
    pub fn new(address: impl Into<String>, auth: OpenBaoAuth) -> Self {
        Self {
            address: address.into(),
            ca_pem: None,
            namespace: None,
            mount: "secret".to_owned(),
            prefix: "rotation".to_owned(),
            auth,
            recipients: None,
        }
    }

    /// The server's address, once it is safe to send a token there.
    pub(super) fn url(&self) -> Result<Url, StoreError> {
        let refuse =
            |found: &str| {
                let problem = Problem::new(format!("the address of the OpenBao server {found}"));
                StoreError::Unusable(problem.with_fix(
                    "give it as https://HOST:PORT; http:// is for loopback addresses only",
                ))
            };
        // Not repeated: what is no address may be a token put into the wrong line.
        let url = Url::parse(&self.address).map_err(|_| refuse("is not a URL"))?;
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        match url.scheme() {
            _ if !url.username().is_empty() || url.password().is_some() => {
                Err(refuse("holds a user name or password"))
            }
            "https" => Ok(url),
            "http" if loopback => Ok(url),
            "http" => Err(refuse("is plain http and not a loopback address")),
            _ => Err(refuse("is neither https nor http")),
        }
    }

    /// Refuses what would name other paths than it seems to.
    pub(super) fn check_paths(&self) -> Result<(), StoreError> {
        for (name, path) in [("mount", &self.mount), ("prefix", &self.prefix)] {
            let plain = |part: &str| {
                !part.is_empty()
                    && !part.starts_with('.')
                    && part
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            };
            if !path.split('/').all(plain) {
                let problem = Problem::new(format!(
                    "the {name} {path:?} is not a path of letters, digits, hyphens and slashes between them"
                ));
                return Err(StoreError::Unusable(
                    problem.with_fix("give it without a slash at either end, like `secret`"),
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for OpenBaoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenBaoConfig")
            .field("mount", &self.mount)
            .field("prefix", &self.prefix)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// How to get a token.
#[derive(Clone)]
#[non_exhaustive]
pub enum OpenBaoAuth {
    /// By the login of an application (<https://openbao.org/docs/auth/approle/>).
    AppRole {
        /// Its id.
        role_id: String,
        /// Its secret.
        secret_id: SecretString,
        /// Where the method is mounted; usually `approle`.
        mount: String,
    },
    /// By a signed identity token, as CI systems issue them (<https://openbao.org/docs/auth/jwt/>).
    Jwt {
        /// The role to take.
        role: String,
        /// The identity token.
        jwt: JwtSource,
        /// Where the method is mounted; usually `jwt`.
        mount: String,
    },
    /// It was given to us. It is renewed if that is allowed; once it is gone, nothing can replace it.
    Token(SecretString),
}

impl fmt::Debug for OpenBaoAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AppRole { .. } => "AppRole { .. }",
            Self::Jwt { .. } => "Jwt { .. }",
            Self::Token(_) => "Token(..)",
        })
    }
}

/// Where an identity token comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum JwtSource {
    /// From a file, read anew for each login: others keep it fresh.
    File(PathBuf),
    /// It was given to us.
    Text(SecretString),
}
