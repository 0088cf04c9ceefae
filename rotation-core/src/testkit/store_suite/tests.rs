//! The suite acquits a sound store, and convicts each broken one of what is broken.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::{StoreHarness, store_suite};
use crate::testkit::MemoryStore;
use crate::{
    NewVersion, Password, Problem, SecretReader, SecretStore, Select, StoreError, Version,
    VersionKey, VersionState,
};

#[derive(Clone, Copy, Debug)]
enum Fault {
    AnswersOutOfOrder,
    CommitsAnything,
    Crosses,
    DiscardsCurrent,
    Forgets,
    IgnoresDiscards,
    LosesOfBatch,
    Prints,
    ShowsPendingAsCurrent,
    StopsAtFirstRefusal,
    TrimsPasswords,
}

#[tokio::test]
async fn a_broken_store_is_convicted_of_what_is_broken() {
    for (fault, case) in [
        (
            Fault::AnswersOutOfOrder,
            "a batch is committed item by item",
        ),
        (
            Fault::CommitsAnything,
            "what was never staged cannot be committed",
        ),
        (Fault::Crosses, "a selection gives what it names"),
        (
            Fault::DiscardsCurrent,
            "current and previous versions cannot be discarded",
        ),
        (
            Fault::Forgets,
            "a staged version is there after opening again",
        ),
        (
            Fault::IgnoresDiscards,
            "what was discarded cannot be committed",
        ),
        (Fault::LosesOfBatch, "a thousand versions staged at once"),
        (
            Fault::Prints,
            "no password occurs in errors or in what is printed",
        ),
        (
            Fault::ShowsPendingAsCurrent,
            "a staged version is there after opening again",
        ),
        (
            Fault::StopsAtFirstRefusal,
            "a batch is committed item by item",
        ),
        (Fault::TrimsPasswords, "any printable password"),
    ] {
        let broken = Broken {
            store: MemoryStore::new(),
            fault: Some(fault),
        };
        let violations = store_suite(&broken).await;
        assert!(
            violations
                .iter()
                .any(|violation| violation.case.starts_with(case)),
            "{fault:?}: {violations:?}"
        );
    }
}

#[tokio::test]
async fn a_sound_store_is_acquitted() {
    let sound = Broken {
        store: MemoryStore::new(),
        fault: None,
    };
    assert_eq!(store_suite(&sound).await, []);
}

/// A store in memory with one thing wrong.
#[derive(Clone)]
struct Broken {
    store: MemoryStore,
    fault: Option<Fault>,
}

#[async_trait]
impl StoreHarness for Broken {
    async fn open(&self) -> Box<dyn SecretStore> {
        let store = match self.fault {
            Some(Fault::Forgets) => MemoryStore::new(),
            _ => self.store.clone(),
        };
        Box::new(Self { store, ..*self })
    }

    async fn reader(&self) -> Box<dyn SecretReader> {
        Box::new(self.clone())
    }

    async fn printed(&self) -> Vec<u8> {
        if !matches!(self.fault, Some(Fault::Prints)) {
            return Vec::new();
        }
        let revealed: Vec<_> = self.store.reveal(Select::All).collect().await;
        revealed
            .into_iter()
            .flat_map(|item| item.unwrap().1.expose().to_owned().into_bytes())
            .collect()
    }
}

#[async_trait]
impl SecretStore for Broken {
    async fn stage(&self, batch: &[NewVersion]) -> Result<(), StoreError> {
        let kept = match self.fault {
            Some(Fault::LosesOfBatch) => batch.len().min(100),
            _ => batch.len(),
        };
        self.store.stage(&batch[..kept]).await
    }

    async fn commit(&self, batch: &[VersionKey]) -> Vec<Result<(), StoreError>> {
        let mut answers = self.store.commit(batch).await;
        match self.fault {
            Some(Fault::AnswersOutOfOrder) => answers.reverse(),
            Some(Fault::CommitsAnything) => answers.fill(Ok(())),
            Some(Fault::StopsAtFirstRefusal) => {
                let done = answers.iter().take_while(|answer| answer.is_ok()).count();
                for answer in answers.iter_mut().skip(done + 1) {
                    *answer = Err(StoreError::Unusable(Problem::new("stopped")));
                }
            }
            _ => {}
        }
        answers
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        match self.fault {
            Some(Fault::IgnoresDiscards) => Ok(()),
            Some(Fault::DiscardsCurrent) => self.store.discard(version).await.or(Ok(())),
            _ => self.store.discard(version).await,
        }
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        let select = match (self.fault, select) {
            (Some(Fault::Crosses), Select::Account(key)) => Select::Tenant(key.tenant),
            (_, select) => select,
        };
        let shows_current = matches!(self.fault, Some(Fault::ShowsPendingAsCurrent));
        self.store
            .versions(select)
            .map(move |version| {
                version.map(|mut version| {
                    if shows_current {
                        version.state = VersionState::Current;
                    }
                    version
                })
            })
            .boxed()
    }
}

impl SecretReader for Broken {
    fn reveal(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>> {
        let trims = matches!(self.fault, Some(Fault::TrimsPasswords));
        self.store
            .reveal(select)
            .map(move |item| {
                let (version, password) = item?;
                if !trims {
                    return Ok((version, password));
                }
                let trimmed = password.expose().trim().to_owned();
                Ok((version, Password::new(trimmed.into())))
            })
            .boxed()
    }
}
