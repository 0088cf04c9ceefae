use std::fmt;
use std::future::ready;

use futures::stream::{BoxStream, StreamExt};
use rotation_core::{Password, Problem, SecretReader, Select, StoreError, Version};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::ExecConfig;
use super::program::Program;
use super::protocol::Request;
use crate::{Identities, SqliteReader};

/// How many passwords are asked for at once.
const IN_FLIGHT: usize = 16;

/// Reads what an [`ExecStore`](super::ExecStore) wrote: the versions from its ledger, and their passwords from the
/// program, if that can read.
pub struct ExecReader {
    ledger: SqliteReader,
    program: Program,
}

impl ExecReader {
    /// Opens the ledger, without changing it. The program is started when the first password is asked for.
    ///
    /// # Errors
    /// Those of [`SqliteReader::open`] for the ledger.
    pub async fn open(config: ExecConfig) -> Result<Self, StoreError> {
        Ok(Self {
            ledger: SqliteReader::open(&config.ledger, Identities::none()).await?,
            program: Program::new(config),
        })
    }

    /// The ledger, which tells which versions there are and who is at work.
    #[must_use]
    pub fn ledger(&self) -> &SqliteReader {
        &self.ledger
    }

    async fn password(&self, version: &Version) -> Result<Password, StoreError> {
        let session = self.program.session().await?;
        let (key, program) = (&version.key, self.program.config().program.display());
        let what = format!(
            "the password of version {} of account {}",
            key.version, key.account
        );
        if !session.can_reveal() {
            let message =
                format!("{what} is kept by the program {program}, which says that it cannot read");
            let problem = Problem::new(message).with_fix("look where that program keeps it");
            return Err(StoreError::Unusable(problem));
        }
        let answer = session.ask(Request::Reveal(key)).await?;
        let Some(password) = answer.password else {
            let problem = Problem::new(format!("program {program} answered without {what}"));
            let fix = "let it answer with the field password: docs/exec-store.md";
            return Err(StoreError::Unusable(problem.with_fix(fix)));
        };
        Ok(Password::new(Zeroizing::new(
            password.expose_secret().to_owned(),
        )))
    }
}

impl SecretReader for ExecReader {
    fn reveal(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>> {
        let reveal = async |version: Result<Version, StoreError>| {
            let version = version?;
            let password = self.password(&version).await?;
            Ok((version, password))
        };
        self.ledger
            .versions(select)
            .map(reveal)
            .buffered(IN_FLIGHT)
            .scan(false, |ended, item| {
                let is_wanted = !*ended;
                *ended = item.is_err();
                ready(is_wanted.then_some(item))
            })
            .boxed()
    }
}

impl fmt::Debug for ExecReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecReader")
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}
