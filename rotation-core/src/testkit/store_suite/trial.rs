use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::StoreHarness;
use crate::{
    AccountId, AccountKey, Commit, Committed, Lease, NewVersion, Origin, Password, RunId,
    SecretReader, SecretStore, Select, StoreError, TenantId, Version, VersionState,
};

/// The first broken promise, as what was found instead of what is expected.
pub(super) type Verdict = Result<(), String>;

/// Longer than any case takes.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// Short enough to wait for.
const BRIEF: Duration = Duration::from_millis(300);

/// What a case expects a version to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Pending.
    Pending,
    /// Current.
    Current,
    /// Previous, and current before.
    Previous,
    /// Previous, and never current.
    Overtaken,
}

/// What one case works with: a tenant of its own, so that cases do not meet, and two runs.
pub(super) struct Trial<'a> {
    harness: &'a dyn StoreHarness,
    tenant: TenantId,
    /// The run that makes every version of which nothing else is said. It holds a lease from the start.
    pub(super) one: RunId,
    /// The other run. It holds no lease before it is given one.
    pub(super) two: RunId,
    seconds: AtomicI64,
}

impl<'a> Trial<'a> {
    pub(super) async fn begin(harness: &'a dyn StoreHarness) -> Result<Self, String> {
        let trial = Self {
            harness,
            tenant: fresh_tenant(),
            one: RunId::new(),
            two: RunId::new(),
            seconds: AtomicI64::new(1_700_000_000),
        };
        trial.lease(&*trial.open().await, trial.one).await?;
        Ok(trial)
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

    /// Lets time pass by the store's clock.
    pub(super) async fn pass(&self, time: Duration) {
        self.harness.pass(time).await;
    }

    pub(super) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The account numbered `number` of this case's tenant.
    pub(super) fn account(&self, number: usize) -> AccountKey {
        account_of(&self.tenant, number)
    }

    /// The account numbered `number` of another tenant, in which the same run holds a lease.
    pub(super) async fn account_elsewhere(
        &self,
        store: &dyn SecretStore,
        number: usize,
    ) -> Result<AccountKey, String> {
        let lease = Lease {
            tenant: fresh_tenant(),
            run: self.one,
        };
        succeeded("a lease", &store.lease(&lease, HOUR).await)?;
        Ok(account_of(&lease.tenant, number))
    }

    /// The lease of `run` in this case's tenant.
    pub(super) fn lease_of(&self, run: RunId) -> Lease {
        Lease {
            tenant: self.tenant.clone(),
            run,
        }
    }

    /// Gives `run` a lease that outlasts the case.
    pub(super) async fn lease(&self, store: &dyn SecretStore, run: RunId) -> Verdict {
        let answer = store.lease(&self.lease_of(run), HOUR).await;
        succeeded("a lease", &answer)
    }

    pub(super) async fn release(&self, store: &dyn SecretStore, run: RunId) -> Verdict {
        let answer = store.release(&self.lease_of(run)).await;
        succeeded("a release", &answer)
    }

    /// Lets the lease of `run` lapse.
    pub(super) async fn lapse(&self, store: &dyn SecretStore, run: RunId) -> Verdict {
        // A renewal counts from now, so this one shortens the lease.
        let answer = store.lease(&self.lease_of(run), BRIEF).await;
        succeeded("a lease", &answer)?;
        self.pass(2 * BRIEF).await;
        Ok(())
    }

    /// A version of `account` with a password that occurs nowhere else, made after all earlier ones.
    pub(super) fn version(&self, account: &AccountKey) -> NewVersion {
        self.version_of(self.one, account)
    }

    pub(super) fn version_of(&self, run: RunId, account: &AccountKey) -> NewVersion {
        self.make(run, account, &format!("Pw-{}", RunId::new()))
    }

    pub(super) fn version_with(&self, account: &AccountKey, password: &str) -> NewVersion {
        self.make(self.one, account, password)
    }

    fn make(&self, run: RunId, account: &AccountKey, password: &str) -> NewVersion {
        // Whole seconds: not every storage keeps more.
        let staged_at = second(self.seconds.fetch_add(10, Ordering::Relaxed));
        let password = Arc::new(Password::new(Zeroizing::new(password.to_owned())));
        let user_name = format!("{}@contoso.com", account.account);
        let origin = Origin {
            caller: "caller".to_owned(),
            backend: "suite".to_owned(),
            reason: "older than 90 days".to_owned(),
        };
        NewVersion::new(account.clone(), &user_name, run, staged_at, password).with_origin(origin)
    }

    /// Stages a fresh version of `account` by itself.
    pub(super) async fn staged(
        &self,
        store: &dyn SecretStore,
        account: &AccountKey,
    ) -> Result<NewVersion, String> {
        self.staged_by(self.one, store, account).await
    }

    /// Stages a fresh version of `account`, made by `run`, by itself.
    pub(super) async fn staged_by(
        &self,
        run: RunId,
        store: &dyn SecretStore,
        account: &AccountKey,
    ) -> Result<NewVersion, String> {
        let new = self.version_of(run, account);
        stage(store, std::slice::from_ref(&new)).await?;
        Ok(new)
    }

    /// Checks that exactly these versions are there, in this order and these states, for everyone who looks: `store`, a
    /// handle opened now, and a reader, who gets their passwords back.
    pub(super) async fn expect(
        &self,
        store: &dyn SecretStore,
        select: Select,
        expected: &[(&NewVersion, Seen)],
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
            .map(|(new, seen)| seen.version(new))
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
        expected: &[(&NewVersion, Seen)],
    ) -> Verdict {
        self.expect(store, Select::Account(account.clone()), expected)
            .await
    }
}

pub(super) fn fresh_tenant() -> TenantId {
    TenantId::new(&RunId::new().to_string())
}

fn account_of(tenant: &TenantId, number: usize) -> AccountKey {
    AccountKey {
        tenant: tenant.clone(),
        account: AccountId::new(&format!("00000000-0000-4000-8000-{number:012x}")),
    }
}

/// Stages versions, which must succeed.
pub(super) async fn stage(store: &dyn SecretStore, batch: &[NewVersion]) -> Verdict {
    let answers = store.stage(batch).await;
    if answers.len() != batch.len() {
        return Err(format!(
            "{} answers to staging {} versions",
            answers.len(),
            batch.len()
        ));
    }
    answers
        .iter()
        .try_for_each(|answer| succeeded("a stage", answer))
}

/// Stages one version and gives the one answer.
pub(super) async fn try_stage(
    store: &dyn SecretStore,
    version: &NewVersion,
) -> Result<Result<(), StoreError>, String> {
    the_one(store.stage(std::slice::from_ref(version)).await)
}

/// How the suite commits `version`.
pub(super) fn commit_of(version: &NewVersion) -> Commit {
    let staged_at = version.staged_at.as_second();
    Commit {
        key: version.key.clone(),
        committed: Committed::new(second(staged_at + 5))
            .with_request_id(Some(format!("request for {}", version.key.version)))
            .with_baseline(Some(second(staged_at + 4))),
    }
}

/// Commits one version and gives the one answer.
pub(super) async fn commit(
    store: &dyn SecretStore,
    version: &NewVersion,
) -> Result<Result<(), StoreError>, String> {
    the_one(store.commit(&[commit_of(version)]).await)
}

fn the_one(mut answers: Vec<Result<(), StoreError>>) -> Result<Result<(), StoreError>, String> {
    match (answers.pop(), answers.len()) {
        (Some(answer), 0) => Ok(answer),
        (_, others) => Err(format!(
            "{others} answers too many or none to a batch of one"
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
pub(super) fn refused(version: &NewVersion, answer: &Result<(), StoreError>) -> Verdict {
    match answer {
        Err(StoreError::NotPending(key)) if *key == version.key => Ok(()),
        other => unexpected("NotPending", version.key.version, other),
    }
}

/// Checks that `answer` is [`StoreError::Fenced`] and names `version`.
pub(super) fn fenced(version: &NewVersion, answer: &Result<(), StoreError>) -> Verdict {
    match answer {
        Err(StoreError::Fenced(key)) if *key == version.key => Ok(()),
        other => unexpected("Fenced", version.key.version, other),
    }
}

/// Checks that `answer` is [`StoreError::LeaseLost`] and names `lease`.
pub(super) fn lease_lost(lease: &Lease, answer: &Result<(), StoreError>) -> Verdict {
    match answer {
        Err(StoreError::LeaseLost(lost)) if lost == lease => Ok(()),
        other => unexpected("LeaseLost", lease.run, other),
    }
}

/// Checks that `answer` is [`StoreError::Leased`], names `account` and `owner`, and a time that a lease may last.
pub(super) fn leased(
    account: &AccountKey,
    owner: RunId,
    answer: &Result<(), StoreError>,
) -> Verdict {
    match answer {
        Err(StoreError::Leased {
            account: found,
            run,
            lapses_in,
        }) if found == account && *run == owner && *lapses_in <= HOUR => Ok(()),
        other => unexpected("Leased for at most an hour", owner, other),
    }
}

/// Checks that `answer` is [`StoreError::RotatedSince`] and names `account` and `by`.
pub(super) fn rotated_since(
    account: &AccountKey,
    by: RunId,
    answer: &Result<(), StoreError>,
) -> Verdict {
    match answer {
        Err(StoreError::RotatedSince {
            account: found,
            run,
        }) if found == account && *run == by => Ok(()),
        other => unexpected("RotatedSince", by, other),
    }
}

fn unexpected(
    expected: &str,
    about: impl std::fmt::Display,
    found: &Result<(), StoreError>,
) -> Verdict {
    Err(match found {
        Ok(()) => format!("found success, expected {expected} for {about}"),
        Err(error) => format!("found {error:?}, expected {expected} for {about}"),
    })
}

impl Seen {
    /// All that a store shows of `new`.
    pub(super) fn version(self, new: &NewVersion) -> Version {
        let known = commit_of(new).committed;
        let (state, committed) = match self {
            Self::Pending => (VersionState::Pending, None),
            Self::Current => (VersionState::Current, Some(known)),
            Self::Previous => (VersionState::Previous, Some(known)),
            Self::Overtaken => (VersionState::Previous, None),
        };
        let mut version = Version::from(new).with_committed(committed);
        version.state = state;
        version
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or_default()
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
