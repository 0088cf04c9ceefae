//! What a store asks of the file that hands each change to a program outside as well.

use rotation_core::{NewVersion, Select, StoreError, VersionKey};
use tokio::sync::mpsc;

use super::step::Change;
use super::{SqliteStore, prune};

impl SqliteStore {
    /// What staging would answer now, one for each: whether the version is there already.
    pub(crate) async fn is_staged(&self, batch: &[NewVersion]) -> Vec<Result<bool, StoreError>> {
        let changes = batch.iter().cloned().map(Change::MayStage).collect();
        self.ask(changes).await
    }

    /// What committing would answer now, one for each: whether the version is current already. A version that is
    /// refused becomes contested, as by a commit.
    pub(crate) async fn is_current(&self, batch: &[VersionKey]) -> Vec<Result<bool, StoreError>> {
        let changes = batch.iter().cloned().map(Change::MayCommit).collect();
        self.ask(changes).await
    }

    /// Prunes as [`SecretStore::prune`](rotation_core::SecretStore::prune), and tells `told` what is gone.
    pub(crate) async fn prune_telling(
        &self,
        select: &Select,
        keep: usize,
        told: mpsc::Sender<VersionKey>,
    ) -> Result<u64, StoreError> {
        prune::prune(&self.path, &self.writer, select.clone(), keep, Some(told)).await
    }

    async fn ask(&self, questions: Vec<Change>) -> Vec<Result<bool, StoreError>> {
        let answers = self.writer.count(questions).await;
        answers
            .into_iter()
            .map(|answer| answer.map(|concerned| concerned == 0))
            .collect()
    }
}
