use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod};
use rotation_core::{Problem, StoreError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::Place;

/// What Postgres keeps of a name; it cuts the rest off in silence.
const LONGEST_NAME: usize = 63;

/// Where a Postgres store is, and how to get there.
#[derive(Clone)]
pub struct PostgresConfig {
    url: String,
    password: Option<SecretString>,
    schema: String,
    tls: PostgresTls,
    connections: usize,
    timeout: Duration,
}

/// How the server proves who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostgresTls {
    /// By a certificate of one of these authorities, in PEM.
    Authority(Vec<u8>),
    /// Not at all, and nothing is encrypted: for this machine only.
    Disabled,
    /// By a certificate of a public authority, one of Mozilla's.
    #[default]
    PublicAuthorities,
}

impl PostgresConfig {
    /// The database at `url`, `postgres://user@host:5432/database`, which holds no password: over TLS, in the schema
    /// `rotation`, with up to 8 connections for writing, and no call taking more than 30 seconds.
    ///
    /// It may name several hosts, separated by commas: the one that can be written is found.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            schema: "rotation".to_owned(),
            tls: PostgresTls::default(),
            connections: 8,
            timeout: Duration::from_secs(30),
        }
    }

    /// The same, with the password of the role.
    #[must_use]
    pub fn with_password(self, password: SecretString) -> Self {
        let password = Some(password);
        Self { password, ..self }
    }

    /// The same, in another schema: one for each store. Lower-case letters, digits and `_`, at most 63.
    #[must_use]
    pub fn with_schema(self, schema: impl Into<String>) -> Self {
        let schema = schema.into();
        Self { schema, ..self }
    }

    /// The same, with another proof of who the server is; the url's `sslmode` does not weaken it.
    #[must_use]
    pub fn with_tls(self, tls: PostgresTls) -> Self {
        Self { tls, ..self }
    }

    /// The same, with up to this many connections for writing; at least 1.
    #[must_use]
    pub fn with_connections(self, connections: usize) -> Self {
        let connections = connections.max(1);
        Self {
            connections,
            ..self
        }
    }

    /// The same, with no call taking longer; at least a millisecond, at most an hour.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        let timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(60 * 60));
        Self { timeout, ..self }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The place, for messages.
    pub(super) fn place(&self) -> Result<Place, StoreError> {
        let config = self.parse()?;
        let hosts: Vec<_> = config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .chain(config.get_hostaddrs().iter().map(ToString::to_string))
            .collect();
        if !is_name(&self.schema) {
            return Err(unusable(
                format!("{:?} is no name for a schema", self.schema),
                "use lower-case letters, digits and _ for [store] schema, at most 63, the first no digit",
            ));
        }
        Ok(Place::new(
            &hosts.join(","),
            config.get_dbname(),
            config.get_user(),
            &self.schema,
        ))
    }

    /// What opens connections. With `writable`, to a server that takes writes, should the url name several.
    pub(super) fn manager(&self, writable: bool) -> Result<Manager, StoreError> {
        let mut config = self.parse()?;
        if let Some(password) = &self.password {
            config.password(password.expose_secret());
        }
        if writable {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if config.get_application_name().is_none() {
            config.application_name("rotation");
        }
        config.connect_timeout(self.timeout);
        // A server that is gone without a word is noticed while an answer is awaited, and between calls.
        config.tcp_user_timeout(self.timeout);
        config.keepalives_idle(self.timeout);
        let settings = ManagerConfig {
            // Whoever had the connection before gave it back in order, or not at all.
            recycling_method: RecyclingMethod::Fast,
        };
        Ok(match &self.tls {
            PostgresTls::Disabled => {
                loopback_only(&config)?;
                config.ssl_mode(SslMode::Disable);
                Manager::from_config(config, NoTls, settings)
            }
            PostgresTls::Authority(pem) => {
                config.ssl_mode(SslMode::Require);
                Manager::from_config(config, tls(authorities(pem)?)?, settings)
            }
            PostgresTls::PublicAuthorities => {
                config.ssl_mode(SslMode::Require);
                let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
                Manager::from_config(config, tls(roots)?, settings)
            }
        })
    }

    fn parse(&self) -> Result<Config, StoreError> {
        // Neither the url nor what the parser says of it is repeated: somebody may have put a password there.
        let config: Config = self.url.parse().map_err(|_| {
            unusable(
                "[store] url is not one of a Postgres database".to_owned(),
                "write it as postgres://user@host:5432/database",
            )
        })?;
        if config.get_password().is_some() {
            return Err(unusable(
                "[store] url holds a password, where others may read it".to_owned(),
                "take it out, name an environment variable or a file that holds it, and change it, for it was written down",
            ));
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(unusable(
                "[store] url names no host".to_owned(),
                "write it as postgres://user@host:5432/database",
            ));
        }
        Ok(config)
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the url, in which somebody may have put a password.
        f.debug_struct("PostgresConfig")
            .field("schema", &self.schema)
            .field("connections", &self.connections)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn is_name(schema: &str) -> bool {
    let mut bytes = schema.bytes();
    schema.len() <= LONGEST_NAME
        && !schema.starts_with("pg_")
        && bytes
            .next()
            .is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn loopback_only(config: &Config) -> Result<(), StoreError> {
    let here = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse()
                    .is_ok_and(|address: IpAddr| address.is_loopback())
        }
    };
    let addresses = config.get_hostaddrs();
    if addresses.iter().all(IpAddr::is_loopback)
        && (!addresses.is_empty() || config.get_hosts().iter().all(here))
    {
        return Ok(());
    }
    Err(unusable(
        "[store] url names another machine, and TLS is disabled".to_owned(),
        "leave TLS on; for a private authority give the file with its certificate",
    ))
}

fn tls(roots: RootCertStore) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::unavailable("cannot set up TLS", error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, StoreError> {
    let refused = |what: &str| {
        unusable(
            format!("the file with the authority of [store] {what}"),
            "expected one or more blocks that begin with -----BEGIN CERTIFICATE-----",
        )
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| refused(&format!("is not PEM: {error}")))?;
        roots
            .add(certificate)
            .map_err(|error| refused(&format!("holds a certificate that is none: {error}")))?;
    }
    if roots.is_empty() {
        return Err(refused("holds no certificate"));
    }
    Ok(roots)
}

fn unusable(message: String, fix: &str) -> StoreError {
    StoreError::Unusable(Problem::new(message).with_fix(fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(config: &PostgresConfig) -> String {
        match config.place().and_then(|_| config.manager(true)) {
            Err(StoreError::Unusable(problem)) => problem.message,
            other => panic!("{:?}", other.map(|_| ())),
        }
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        for url in [
            "postgres://rotation:hunter2@localhost/db",
            "postgres://rotation@localhost/db?password=hunter2",
            "host=localhost user=rotation password=hunter2",
            "postgres://rotation:hunter2@@local:host/db",
            "hunter2=hunter2",
        ] {
            let config = PostgresConfig::new(url).with_tls(PostgresTls::Disabled);
            let message = refusal(&config);
            assert!(!message.contains("hunter2"), "{message}");
            assert!(!format!("{config:?}").contains("hunter2"));
        }
        let config = PostgresConfig::new("postgres://rotation@localhost/db")
            .with_password("hunter2".to_owned().into());
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn without_tls_only_this_machine_is_accepted() {
        for (host, here) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("[::1]", true),
            ("%2Fvar%2Frun%2Fpostgresql", true),
            ("db.contoso.com", false),
            ("10.0.0.1", false),
            ("localhost,db.contoso.com", false),
            ("localhost.contoso.com", false),
        ] {
            let config = PostgresConfig::new(format!("postgres://rotation@{host}/db"));
            let disabled = config.clone().with_tls(PostgresTls::Disabled);
            assert_eq!(disabled.manager(true).is_ok(), here, "{host}");
            assert!(config.manager(true).is_ok(), "{host}");
        }
        let elsewhere = "postgres://rotation@localhost/db?hostaddr=10.0.0.1";
        let config = PostgresConfig::new(elsewhere).with_tls(PostgresTls::Disabled);
        assert!(refusal(&config).contains("another machine"));
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        let longest = "a".repeat(LONGEST_NAME);
        for name in ["rotation", "_r2", longest.as_str()] {
            let config = PostgresConfig::new("postgres://r@localhost/db").with_schema(name);
            assert!(config.place().is_ok(), "{name}");
        }
        let longer = "a".repeat(LONGEST_NAME + 1);
        for name in [
            "",
            "2r",
            "a\"b",
            "A",
            "pg_catalog",
            "a b",
            "ä",
            longer.as_str(),
        ] {
            let config = PostgresConfig::new("postgres://r@localhost/db").with_schema(name);
            assert!(refusal(&config).contains("schema"), "{name}");
        }
    }

    #[test]
    fn an_authority_is_a_certificate_in_pem() {
        let config = PostgresConfig::new("postgres://r@db.contoso.com/db");
        for pem in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let config = config
                .clone()
                .with_tls(PostgresTls::Authority(pem.as_bytes().to_vec()));
            assert!(refusal(&config).contains("authority"), "{pem}");
        }
    }
}
