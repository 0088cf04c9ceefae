use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, iter};

use deadpool_postgres::{HookError, PoolError};
use rotation_core::{Problem, StoreError};
use tokio_postgres::error::{DbError, SqlState};

use crate::seal::SealError;

/// Where a store is, for messages; holds no password.
#[derive(Clone)]
pub(super) struct Place {
    name: String,
    database: String,
    role: String,
    schema: String,
}

impl Place {
    pub(super) fn new(
        hosts: &str,
        database: Option<&str>,
        role: Option<&str>,
        schema: &str,
    ) -> Self {
        // As Postgres does: the role of the one who runs this, and the database of the role's name.
        let role = role.unwrap_or("this user");
        let database = database.unwrap_or(role);
        Self {
            name: format!("schema {schema} of Postgres database {database} at {hosts}"),
            database: database.to_owned(),
            role: role.to_owned(),
            schema: schema.to_owned(),
        }
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// What a person needs to hear of a failed connection or statement.
    pub(super) fn failed(&self, error: tokio_postgres::Error) -> StoreError {
        match error.as_db_error() {
            Some(said) => {
                let said = said.clone();
                self.refused(&said, error)
            }
            None if is_of_the_network(&error) => StoreError::Unavailable {
                problem: Problem::new(format!("the connection to {self} failed: {}", chain(&error))).with_fix(
                    "see that the server runs and can be reached; everything answered before is safe",
                ),
                source: Some(Arc::new(error)),
            },
            None => self.unusable(
                &format!("cannot be talked to: {}", chain(&error)),
                "compare url, password and TLS of [store] with the server, and the program's version with the store's",
            ),
        }
    }

    /// What the server said.
    fn refused(&self, said: &DbError, error: tokio_postgres::Error) -> StoreError {
        let code = said.code();
        let message = format!("{} ({})", said.message(), code.code());
        let passing = |fix: &str| StoreError::Unavailable {
            problem: Problem::new(format!("{self}: {message}")).with_fix(fix),
            source: Some(Arc::new(error)),
        };
        match code.code() {
            "28P01" | "28000" => self.unusable(
                &message,
                "give the password of this role in the environment variable or file that [store] names, and see that \
                 pg_hba.conf lets it in",
            ),
            "3D000" => self.unusable(
                &message,
                &format!("create it with CREATE DATABASE \"{}\" ENCODING 'UTF8', or correct [store] url", self.database),
            ),
            "42501" => self.unusable(&message, &self.grants()),
            // An undefined or doubled table, column, schema or type: not the tables that this program made.
            code if code.starts_with("42") || code == "3F000" => self.damaged(&message),
            code if code.starts_with("XX") => self.damaged(&message),
            "53100" => passing("free some space on the server; everything answered before is safe"),
            "53300" => passing("run fewer runners at once, give [store] fewer connections, or raise max_connections"),
            "25006" => passing("the server takes no writes now: name the primary in [store] url, or all of them"),
            "40001" | "40P01" | "55P03" => passing("others work on the same accounts: try again"),
            _ => passing("see the server's log; everything answered before is safe"),
        }
    }

    /// No connection was to be had from the pool.
    pub(super) fn unconnected(&self, error: PoolError) -> StoreError {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                self.failed(error)
            }
            other => StoreError::Unavailable {
                problem: Problem::new(format!("no connection to {self}: {}", chain(&other))).with_fix(
                    "open the store again if it was closed, or else try again; everything answered before is safe",
                ),
                source: Some(Arc::new(other)),
            },
        }
    }

    /// Nothing was heard in time.
    pub(super) fn late(&self, limit: Duration) -> StoreError {
        StoreError::Unavailable {
            problem: Problem::new(format!("no answer from {self} within {limit:?}")).with_fix(
                "see whether the server is overloaded or waits for a standby; everything answered before is safe",
            ),
            source: None,
        }
    }

    /// It is ours, but not as we left it.
    pub(super) fn damaged(&self, what: &str) -> StoreError {
        self.unusable(
            what,
            "see who changed it; keep a copy of it as it is, then put back the last good one from a backup",
        )
    }

    /// Something that only a person can put right.
    pub(super) fn unusable(&self, what: &str, fix: &str) -> StoreError {
        StoreError::Unusable(Problem::new(format!("{self}: {what}")).with_fix(fix))
    }

    /// What an administrator of the database has to type.
    pub(super) fn grants(&self) -> String {
        let Self {
            database,
            role,
            schema,
            ..
        } = self;
        format!(
            "to create or upgrade the store: GRANT CREATE ON DATABASE \"{database}\" TO \"{role}\"; to write to it: \
             GRANT USAGE ON SCHEMA \"{schema}\" TO \"{role}\"; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \"{schema}\" TO \"{role}\""
        )
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.name, f)
    }
}

/// No password could be sealed, so none was sent.
pub(super) fn unsealed(error: SealError) -> StoreError {
    let problem = Problem::new(format!("cannot seal a password: {}", chain(&error)));
    StoreError::Unavailable {
        problem: problem.with_fix(
            "see that this machine's source of randomness works, then try again; everything answered before is safe",
        ),
        source: Some(Arc::new(error)),
    }
}

/// Whether the same call, made again, may well succeed: whoever was in its way is gone.
pub(super) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        [
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
        ]
        .contains(code)
    })
}

/// Whether it is the way to the server that failed, and not what either side said.
fn is_of_the_network(error: &tokio_postgres::Error) -> bool {
    // A certificate that was refused comes as invalid data.
    let fault = causes(error)
        .find_map(|cause| cause.downcast_ref::<io::Error>())
        .map(|error| error.kind() != io::ErrorKind::InvalidData);
    error.is_closed() || fault.unwrap_or(false)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<_> = causes(error).map(ToString::to_string).collect();
    causes.join(": ")
}
