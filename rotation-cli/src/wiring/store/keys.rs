//! From the keys of a store to what opens it: files are found, and secrets read.

#[cfg(any(feature = "exec", feature = "openbao", feature = "postgres"))]
use std::path::Path;
#[cfg(feature = "exec")]
use std::path::PathBuf;

#[cfg(feature = "exec")]
use secret_stores::ExecConfig;
#[cfg(feature = "openbao")]
use secret_stores::{JwtSource, OpenBaoAuth, OpenBaoConfig, Recipients};
#[cfg(feature = "postgres")]
use secret_stores::{PostgresConfig, PostgresTls};

#[cfg(any(feature = "exec", feature = "openbao", feature = "postgres"))]
use crate::config::{ConfigError, below};
use crate::config::{Document, Step};
#[cfg(any(feature = "openbao", feature = "postgres"))]
use crate::wiring::secret::SecretPlace;

/// The table of a store in the configuration.
pub(super) struct At<'a> {
    pub(super) document: &'a Document,
    #[cfg_attr(
        not(any(feature = "exec", feature = "openbao", feature = "postgres")),
        expect(
            dead_code,
            reason = "the keys of the other kinds were all checked when they were read"
        )
    )]
    pub(super) steps: &'a [Step<'a>],
}

impl At<'_> {
    #[cfg(feature = "exec")]
    pub(super) fn exec(&self, keys: &crate::config::Exec) -> Result<ExecConfig, ConfigError> {
        let (program, args) = keys
            .program
            .split_first()
            .filter(|(program, _)| !program.is_empty())
            .ok_or_else(|| {
                self.error(
                    "program",
                    "no program: expected its name and then its arguments",
                )
            })?;
        // one with a slash in it lies beside the configuration, like every other file; others are looked for in PATH
        let program = match program.contains('/') {
            true => self.document.resolve(Path::new(program)),
            false => PathBuf::from(program),
        };
        let config = ExecConfig::new(program, self.document.resolve(&keys.path)).with_args(args);
        Ok(match keys.timeout {
            Some(timeout) => config.with_timeout(timeout.duration()),
            None => config,
        })
    }

    #[cfg(feature = "openbao")]
    pub(super) fn openbao(
        &self,
        keys: &crate::config::OpenBao,
        recipients: Option<Recipients>,
    ) -> Result<OpenBaoConfig, ConfigError> {
        let mut config = OpenBaoConfig::new(&keys.address, self.openbao_auth(&keys.auth)?);
        let ca_pem = keys
            .ca_file
            .as_deref()
            .map(|file| self.file("ca_file", file))
            .transpose()?;
        let text = |pem: Vec<u8>| {
            String::from_utf8(pem)
                .map_err(|_| self.error("ca_file", "expected certificates in PEM, found no text"))
        };
        config.ca_pem = ca_pem.map(text).transpose()?;
        config.namespace.clone_from(&keys.namespace);
        config.mount = keys.mount.clone().unwrap_or(config.mount);
        config.prefix = keys.prefix.clone().unwrap_or(config.prefix);
        config.recipients = recipients;
        Ok(config)
    }

    #[cfg(feature = "openbao")]
    fn openbao_auth(&self, auth: &crate::config::OpenBaoAuth) -> Result<OpenBaoAuth, ConfigError> {
        use crate::config::OpenBaoAuthKind::{AppRole, Jwt, Token};
        let steps = below(self.steps, Step::Key("auth"));
        let needs = |key: &str, value: &Option<String>| {
            value.clone().ok_or_else(|| {
                self.document.error(
                    &steps,
                    format!("missing field `{key}`, which this kind of login needs"),
                )
            })
        };
        let read = |what| {
            let place = SecretPlace {
                document: self.document,
                steps: &steps,
                what,
            };
            place.read(auth.env.as_deref(), auth.file.as_deref())
        };
        let mount = |usual: &str| auth.mount.clone().unwrap_or_else(|| usual.to_owned());
        Ok(match auth.kind {
            AppRole => OpenBaoAuth::AppRole {
                role_id: needs("role_id", &auth.role_id)?,
                secret_id: read("the secret id of the OpenBao store")?,
                mount: mount("approle"),
            },
            Jwt => OpenBaoAuth::Jwt {
                role: needs("role", &auth.role)?,
                jwt: match (&auth.env, &auth.file) {
                    // read anew for each login
                    (None, Some(file)) => JwtSource::File(self.document.resolve(file)),
                    _ => JwtSource::Text(read("the identity token for the OpenBao store")?),
                },
                mount: mount("jwt"),
            },
            Token => OpenBaoAuth::Token(read("the token of the OpenBao store")?),
        })
    }

    #[cfg(feature = "postgres")]
    pub(super) fn postgres(
        &self,
        keys: &crate::config::Postgres,
    ) -> Result<PostgresConfig, ConfigError> {
        let mut config = PostgresConfig::new(&keys.url).with_tls(match (keys.tls, &keys.ca_file) {
            (true, None) => PostgresTls::PublicAuthorities,
            (true, Some(file)) => PostgresTls::Authority(self.file("ca_file", file)?),
            (false, None) => PostgresTls::Disabled,
            (false, Some(_)) => {
                return Err(self
                    .error("tls", "`tls = false` leaves nothing for `ca_file` to prove")
                    .with_help("remove one of the two"));
            }
        });
        if let Some(password) = &keys.password {
            let steps = below(self.steps, Step::Key("password"));
            let what = "the password of the Postgres store";
            let place = SecretPlace {
                document: self.document,
                steps: &steps,
                what,
            };
            config = config
                .with_password(place.read(password.env.as_deref(), password.file.as_deref())?);
        }
        if let Some(schema) = &keys.schema {
            config = config.with_schema(schema);
        }
        if let Some(timeout) = keys.timeout {
            config = config.with_timeout(timeout.duration());
        }
        Ok(config)
    }

    #[cfg(any(feature = "openbao", feature = "postgres"))]
    fn file(&self, key: &str, path: &Path) -> Result<Vec<u8>, ConfigError> {
        let path = self.document.resolve(path);
        std::fs::read(&path)
            .map_err(|error| self.error(key, format!("cannot read {}: {error}", path.display())))
    }

    #[cfg(any(feature = "exec", feature = "openbao", feature = "postgres"))]
    fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        self.document
            .error(&below(self.steps, Step::Key(key)), message)
    }
}
