use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::StoreHarness;
use crate::{
    AccountId, AccountKey, NewVersion, Password, RunId, SecretReader, SecretStore, Select,
    StoreError, TenantId, Version, VersionState,
};

/// The first broken promise, as what was found instead of what is expected.
pub(super) type Verdict = Result<(), String>;

/// What one case works with: a tenant of its own, so that cases do not meet.
pub(super) struct Trial<'a> {
    harness: &'a dyn StoreHarness,
    tenant: TenantId,
    run: RunId,
}

impl<'a> Trial<'a> {
    pub(super) fn new(harness: &'a dyn StoreHarness) -> Self {
        Self {
            harness,
            tenant: fresh_tenant(),
            run: RunId::new(),
        }
    }

    pub(super) async fn open(&self) -> Box<dyn SecretStore> {
        self.harness.open().await
    }

    pub(super) async fn reader(&self) -> Box<dyn SecretReader> {
        self.harness.reader().await
    }

    pub(super) async fn printed(&self) -> Vec<u8> {
        self.harness.printed().await
    }

    pub(super) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The account numbered `number` of this case's tenant.
    pub(super) fn account(&self, number: usize) -> AccountKey {
        account_of(&self.tenant, number)
    }

    /// A version of `account` with a password that occurs nowhere else.
    pub(super) fn version(&self, account: &AccountKey) -> NewVersion {
        self.version_with(account, &format!("Pw-{}", RunId::new()))
    }

    pub(super) fn version_with(&self, account: &AccountKey, password: &str) -> NewVersion {
        // Whole seconds: not every storage keeps more.
        let staged_at = Timestamp::constant(1_700_000_000, 0);
        let password = Arc::new(Password::new(Zeroizing::new(password.to_owned())));
        let user_name = format!("{}@contoso.com", account.account);
        NewVersion::new(account.clone(), &user_name, self.run, staged_at, password)
    }

    /// Stages a fresh version of `account` by itself.
    pub(super) async fn staged(
        &self,
        store: &dyn SecretStore,
        account: &AccountKey,
    ) -> Result<NewVersion, String> {
        let new = self.version(account);
        stage(store, std::slice::from_ref(&new)).await?;
        Ok(new)
    }

    /// Checks that exactly these versions are there, in this order and these states, for everyone who looks: `store`, a
    /// handle opened now, and a reader, who gets their passwords back.
    pub(super) async fn expect(
        &self,
        store: &dyn SecretStore,
        select: Select,
        expected: &[(&NewVersion, VersionState)],
    ) -> Verdict {
        let again = self.open().await;
        let reader = self.reader().await;
        let revealed: Vec<(Version, Password)> = reader
            .reveal(select.clone())
            .try_collect()
            .await
            .map_err(|error| format!("reveal failed: {error}"))?;
        let wanted: Vec<Version> = expected
            .iter()
            .map(|(new, state)| {
                let mut version = Version::from(*new);
                version.state = *state;
                version
            })
            .collect();
        compare(
            "the store",
            &versions(store, select.clone()).await?,
            &wanted,
        )?;
        compare(
            "a store opened now",
            &versions(&*again, select).await?,
            &wanted,
        )?;
        let shown: Vec<Version> = revealed
            .iter()
            .map(|(version, _)| version.clone())
            .collect();
        compare("the reader", &shown, &wanted)?;
        for ((version, password), (new, _)) in revealed.iter().zip(expected) {
            if password.expose() != new.password.expose() {
                return Err(format!(
                    "version {} reads back another password than was staged",
                    version.key.version
                ));
            }
        }
        Ok(())
    }

    /// [`expect`](Self::expect) of one account.
    pub(super) async fn expect_account(
        &self,
        store: &dyn SecretStore,
        account: &AccountKey,
        expected: &[(&NewVersion, VersionState)],
    ) -> Verdict {
        self.expect(store, Select::Account(account.clone()), expected)
            .await
    }
}

pub(super) fn fresh_tenant() -> TenantId {
    TenantId::new(&RunId::new().to_string())
}

pub(super) fn account_of(tenant: &TenantId, number: usize) -> AccountKey {
    AccountKey {
        tenant: tenant.clone(),
        account: AccountId::new(&format!("00000000-0000-4000-8000-{number:012x}")),
    }
}

pub(super) async fn stage(store: &dyn SecretStore, batch: &[NewVersion]) -> Verdict {
    store
        .stage(batch)
        .await
        .map_err(|error| format!("staging failed: {error}"))
}

/// Commits one version and gives the one answer.
pub(super) async fn commit(
    store: &dyn SecretStore,
    version: &NewVersion,
) -> Result<Result<(), StoreError>, String> {
    let mut answers = store.commit(std::slice::from_ref(&version.key)).await;
    match (answers.pop(), answers.len()) {
        (Some(answer), 0) => Ok(answer),
        (_, more) => Err(format!(
            "{more} answers more or less than one to a commit of one"
        )),
    }
}

/// Commits one version, which must succeed.
pub(super) async fn committed(store: &dyn SecretStore, version: &NewVersion) -> Verdict {
    succeeded("a commit", &commit(store, version).await?)
}

/// Discards one version, which must succeed.
pub(super) async fn discarded(store: &dyn SecretStore, version: &NewVersion) -> Verdict {
    succeeded("a discard", &store.discard(&version.key).await)
}

pub(super) fn succeeded(what: &str, answer: &Result<(), StoreError>) -> Verdict {
    match answer {
        Ok(()) => Ok(()),
        Err(error) => Err(format!("{what} that must succeed failed: {error}")),
    }
}

/// Checks that `answer` is [`StoreError::NotPending`] and names `version`.
pub(super) fn refused(version: &NewVersion, answer: Result<(), StoreError>) -> Verdict {
    match answer {
        Err(StoreError::NotPending(key)) if key == version.key => Ok(()),
        Err(StoreError::NotPending(key)) => Err(format!(
            "refused version {} instead of {}",
            key.version, version.key.version
        )),
        Err(error) => Err(format!("expected NotPending, found: {error}")),
        Ok(()) => Err("expected NotPending, found success".to_owned()),
    }
}

pub(super) async fn versions(
    store: &dyn SecretStore,
    select: Select,
) -> Result<Vec<Version>, String> {
    store
        .versions(select)
        .try_collect()
        .await
        .map_err(|error| format!("reading versions failed: {error}"))
}

fn compare(who: &str, found: &[Version], expected: &[Version]) -> Verdict {
    if found == expected {
        return Ok(());
    }
    let ids: HashSet<_> = found.iter().map(|version| version.key.version).collect();
    let doubled = if ids.len() < found.len() {
        ", some twice"
    } else {
        ""
    };
    let differing = found
        .iter()
        .zip(expected)
        .find(|(found, expected)| found != expected);
    Err(match differing {
        Some((found, expected)) => format!("{who} shows {found:?}, expected {expected:?}"),
        None => format!(
            "{who} shows {} versions{doubled}, expected {}",
            found.len(),
            expected.len()
        ),
    })
}
