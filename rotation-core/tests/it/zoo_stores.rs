//! The store suite acquits a sound store, and convicts each broken one of what is broken.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use jiff::Timestamp;
use rotation_core::testkit::{MemoryStore, StoreHarness, store_suite};
use rotation_core::{
    AccountKey, Commit, Committed, Lease, NewVersion, Password, Problem, SecretReader, SecretStore,
    Select, StoreError, Version, VersionId, VersionKey, VersionState,
};

/// What is wrong with a store, and the case that must find it.
const ZOO: &[(Fault, &str)] = &[
    // Durability.
    (
        Fault::Forgets,
        "a staged version is there after opening again, with all that belongs to it",
    ),
    (
        Fault::AnswersStageBeforeDurable,
        "a staged version is there after opening again, with all that belongs to it",
    ),
    (
        Fault::AnswersCommitBeforeDurable,
        "what was committed or discarded is so after opening again",
    ),
    (
        Fault::LosesBatchItems,
        "a thousand versions staged at once are all there",
    ),
    (
        Fault::StagesTwice,
        "staging the same version again does nothing",
    ),
    (
        Fault::TrimsPasswords,
        "any printable password of up to 256 characters reads back as it is",
    ),
    // Pending, current, previous.
    (
        Fault::ForgetsPendingOnRefusal,
        "what was never staged cannot be committed, and trying it changes nothing",
    ),
    (
        Fault::CommitsAnything,
        "what was never staged cannot be committed, and trying it changes nothing",
    ),
    (
        Fault::IgnoresDiscards,
        "what was discarded cannot be committed",
    ),
    (
        Fault::DiscardsCurrent,
        "current and previous versions cannot be discarded",
    ),
    (
        Fault::AnswersCommitsOutOfOrder,
        "a batch is committed item by item and answered in its order",
    ),
    (
        Fault::StopsAtFirstRefusal,
        "a batch is committed item by item and answered in its order",
    ),
    (
        Fault::ShowsPendingAsCurrent,
        "a commit makes older pending versions previous and leaves later ones pending",
    ),
    (
        Fault::UsesIdsAgain,
        "the id of a version is not used for another account, nor again after a discard",
    ),
    // Leases.
    (
        Fault::IgnoresLeases,
        "without a lease in its tenant a run stages nothing",
    ),
    (
        Fault::StagesUnderLapsed,
        "under a lapsed lease nothing is staged",
    ),
    (Fault::RenewsLapsed, "a lapsed lease cannot be renewed"),
    (Fault::ForgetsRenewals, "a renewed lease lives on"),
    (
        Fault::KeepsReleased,
        "under a released lease nothing is staged, and it may begin again",
    ),
    (
        Fault::RefusesSecondRelease,
        "releasing a lease that is not there does nothing",
    ),
    (
        Fault::ReleasesEverybody,
        "releasing a lease leaves those of other runs and tenants alone",
    ),
    (
        Fault::StagesOverLeases,
        "an account belongs to the run of its newest pending version while its lease lives",
    ),
    (Fault::HoldsOnToLapsed, "a lapsed lease frees its accounts"),
    (
        Fault::HoldsOnToReleased,
        "a released lease frees its accounts at once",
    ),
    (
        Fault::AnswersStagesOutOfOrder,
        "a batch is staged item by item and answered in its order",
    ),
    (
        Fault::StagesAllOrNothing,
        "a batch is staged item by item and answered in its order",
    ),
    (
        Fault::IgnoresRotations,
        "what another run rotated since it was planned is not staged",
    ),
    (
        Fault::CountsOwnRotations,
        "one's own rotations and those before the plan do not hinder",
    ),
    (
        Fault::CommitsUnderLeaseOnly,
        "a commit needs no living lease",
    ),
    (
        Fault::LooksBeforeItStages,
        "of two runs that stage an account at the same time, one gets it",
    ),
    // Fences.
    (
        Fault::IgnoresFences,
        "a commit does not pass a pending version of another run, and both stay pending",
    ),
    (
        Fault::DropsTheFenced,
        "a commit does not pass a pending version of another run, and both stay pending",
    ),
    (
        Fault::FencesByPendingOnly,
        "a commit does not pass the current version of another run, and its own is pending beside it",
    ),
    (
        Fault::ForgetsFences,
        "a version that met a fence never becomes current",
    ),
    (
        Fault::FencesOneOfTwo,
        "a version that met a fence is one for the other run",
    ),
    (
        Fault::FencesTheCurrent,
        "a version that was current once meets no fence",
    ),
    // History.
    (
        Fault::ForgetsOrigin,
        "the history of a version is kept as it is",
    ),
    (
        Fault::ForgetsCommits,
        "the history of a version is kept as it is",
    ),
    (
        Fault::RewritesHistory,
        "committing again keeps the history of the first time",
    ),
    (
        Fault::PrunesTooMany,
        "pruning keeps the newest previous versions",
    ),
    (
        Fault::PrunesNothing,
        "pruning keeps the newest previous versions",
    ),
    (
        Fault::PrunesPending,
        "pruning keeps what is pending or current",
    ),
    (
        Fault::PrunesElsewhere,
        "pruning counts for each account, and touches none but those named",
    ),
    // Reading.
    (
        Fault::Crosses,
        "a selection gives what it names and nothing else",
    ),
    (
        Fault::CrossesInAccounts,
        "some accounts are given as one is, whatever the order in which they are named",
    ),
    (
        Fault::FindsTheFirst,
        "some accounts are given as one is, whatever the order in which they are named",
    ),
    (
        Fault::FindsAsOftenAsNamed,
        "some accounts are given as one is, whatever the order in which they are named",
    ),
    (Fault::FindsSome, "a thousand accounts are found at once"),
    (
        Fault::MixesTenantsInPending,
        "the pending versions of a tenant are found without any others",
    ),
    (
        Fault::ShowsAllAsPending,
        "the pending versions of a tenant are found without any others",
    ),
    (
        Fault::ReadsBackwards,
        "versions come account by account, in the order they were staged",
    ),
    (
        Fault::ReadsTwice,
        "the same account id in two tenants is two accounts",
    ),
    // Silence.
    (
        Fault::LeaksIntoDebug,
        "no password occurs in errors or in what is printed",
    ),
    (
        Fault::LeaksIntoErrors,
        "no password occurs in errors or in what is printed",
    ),
    (
        Fault::LeaksIntoFiles,
        "no password occurs in errors or in what is printed",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fault {
    AnswersCommitBeforeDurable,
    AnswersCommitsOutOfOrder,
    AnswersStageBeforeDurable,
    AnswersStagesOutOfOrder,
    CommitsAnything,
    CommitsUnderLeaseOnly,
    CountsOwnRotations,
    Crosses,
    CrossesInAccounts,
    DiscardsCurrent,
    DropsTheFenced,
    FencesByPendingOnly,
    FencesOneOfTwo,
    FencesTheCurrent,
    FindsAsOftenAsNamed,
    FindsSome,
    FindsTheFirst,
    Forgets,
    ForgetsCommits,
    ForgetsFences,
    ForgetsOrigin,
    ForgetsPendingOnRefusal,
    ForgetsRenewals,
    HoldsOnToLapsed,
    HoldsOnToReleased,
    IgnoresDiscards,
    IgnoresFences,
    IgnoresLeases,
    IgnoresRotations,
    KeepsReleased,
    LeaksIntoDebug,
    LeaksIntoErrors,
    LeaksIntoFiles,
    LooksBeforeItStages,
    LosesBatchItems,
    MixesTenantsInPending,
    PrunesElsewhere,
    PrunesNothing,
    PrunesPending,
    PrunesTooMany,
    ReadsBackwards,
    ReadsTwice,
    RefusesSecondRelease,
    ReleasesEverybody,
    RenewsLapsed,
    RewritesHistory,
    ShowsAllAsPending,
    ShowsPendingAsCurrent,
    StagesAllOrNothing,
    StagesOverLeases,
    StagesTwice,
    StagesUnderLapsed,
    StopsAtFirstRefusal,
    TrimsPasswords,
    UsesIdsAgain,
}

#[tokio::test(start_paused = true)]
async fn each_broken_store_is_convicted_of_what_is_broken() {
    let mut escaped = Vec::new();
    for (fault, case) in ZOO {
        let violations = store_suite(&Broken::by(Some(*fault))).await;
        let cases: Vec<_> = violations.iter().map(|violation| violation.case).collect();
        if !cases.contains(case) {
            escaped.push(format!("{fault:?} was convicted of {cases:?}"));
        }
    }
    assert_eq!(escaped, [""; 0]);
    let faults: HashSet<_> = ZOO.iter().map(|(fault, _)| fault).collect();
    assert_eq!(faults.len(), ZOO.len());
    println!("{} broken stores convicted", faults.len());
}

#[tokio::test(start_paused = true)]
async fn a_sound_store_is_acquitted() {
    assert_eq!(store_suite(&Broken::by(None)).await, []);
}

/// By a clock that cannot be paused, as other stores have.
#[tokio::test]
async fn a_sound_store_is_acquitted_in_real_time() {
    assert_eq!(store_suite(&Broken::by(None)).await, []);
}

/// A store in memory with one thing wrong.
#[derive(Clone)]
struct Broken {
    store: MemoryStore,
    fault: Option<Fault>,
    notes: Arc<Mutex<Notes>>,
    /// What only this handle knows.
    unwritten: Arc<Mutex<Unwritten>>,
}

/// What some of the faults must remember.
#[derive(Default)]
struct Notes {
    commits: HashMap<VersionKey, Committed>,
    fenced: HashSet<VersionKey>,
    leases: Vec<Lease>,
    staged: HashMap<VersionId, NewVersion>,
}

#[derive(Default)]
struct Unwritten {
    stages: Vec<NewVersion>,
    commits: Vec<Commit>,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Broken {
    fn by(fault: Option<Fault>) -> Self {
        Self {
            store: MemoryStore::new(),
            fault,
            notes: Arc::default(),
            unwritten: Arc::default(),
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    /// Writes what was answered before.
    async fn flush(&self) {
        let unwritten = std::mem::take(&mut *self.unwritten.lock().unwrap());
        self.store.stage(&unwritten.stages).await;
        self.store.commit(&unwritten.commits).await;
    }

    /// Ends a lease and begins it again, whatever it was.
    async fn revive(&self, lease: &Lease) {
        self.store.release(lease).await.unwrap();
        self.store.lease(lease, HOUR).await.unwrap();
    }

    async fn held(&self, select: Select) -> Vec<Version> {
        self.store.versions(select).try_collect().await.unwrap()
    }

    async fn held_of(&self, account: &AccountKey) -> Vec<Version> {
        self.held(Select::Account(account.clone())).await
    }

    /// Stages one version as the sound store does.
    async fn sound(&self, new: &NewVersion) -> Result<(), StoreError> {
        self.store.stage(std::slice::from_ref(new)).await.remove(0)
    }

    /// Stages one version, whoever holds its account.
    async fn over_leases(&self, new: &NewVersion) -> Result<(), StoreError> {
        match self.sound(new).await {
            Err(StoreError::Leased { run, .. }) => {
                let lease = Lease { run, ..new.lease() };
                self.store.release(&lease).await.unwrap();
                let answer = self.sound(new).await;
                self.store.lease(&lease, HOUR).await.unwrap();
                answer
            }
            answer => answer,
        }
    }

    async fn stage_one(&self, new: &NewVersion) -> Result<(), StoreError> {
        let account = &new.key.account;
        let known = self.notes().staged.insert(new.key.version, new.clone());
        match self.fault {
            Some(Fault::CountsOwnRotations) => {
                let held = self.held_of(account).await;
                let own = held.iter().any(|version| {
                    let committed = version.committed.as_ref();
                    version.key != new.key
                        && version.run == new.run
                        && committed.is_some_and(|known| known.at >= new.planned_at)
                });
                if own {
                    return Err(StoreError::RotatedSince {
                        account: account.clone(),
                        run: new.run,
                    });
                }
            }
            Some(Fault::HoldsOnToLapsed | Fault::HoldsOnToReleased) => {
                let held = self.held_of(account).await;
                let newest = held
                    .iter()
                    .rfind(|version| version.state == VersionState::Pending);
                let Some(run) = newest.map(|version| version.run) else {
                    return self.sound(new).await;
                };
                let lease = Lease { run, ..new.lease() };
                let released = !self.notes().leases.contains(&lease);
                if run != new.run && released == self.is(Fault::HoldsOnToReleased) {
                    return Err(StoreError::Leased {
                        account: account.clone(),
                        run,
                        lapses_in: Duration::ZERO,
                    });
                }
            }
            Some(Fault::IgnoresLeases) => self.revive(&new.lease()).await,
            Some(Fault::StagesUnderLapsed) if self.notes().leases.contains(&new.lease()) => {
                self.revive(&new.lease()).await;
            }
            Some(Fault::IgnoresRotations) => {
                let new = new.clone().with_planned_at(Timestamp::MAX);
                return self.sound(&new).await;
            }
            Some(Fault::LooksBeforeItStages) => {
                let held = self.held_of(account).await;
                if held.iter().all(|version| version.run == new.run) {
                    tokio::task::yield_now().await;
                    return self.over_leases(new).await;
                }
            }
            Some(Fault::StagesOverLeases) => return self.over_leases(new).await,
            Some(Fault::StagesTwice) if known.is_some() => {
                let copy = NewVersion::new(
                    account.clone(),
                    &new.user_name,
                    new.run,
                    new.staged_at,
                    Arc::clone(&new.password),
                );
                return self.sound(&copy).await;
            }
            Some(Fault::UsesIdsAgain) if known.is_some() => {
                let answer = self.sound(new).await;
                return match answer {
                    Err(StoreError::NotPending(_)) => Ok(()),
                    answer => answer,
                };
            }
            _ => {}
        }
        self.sound(new).await
    }

    /// What this store makes of the sound answer to a commit.
    async fn answer_commit(
        &self,
        commit: &Commit,
        before: Option<Version>,
        answer: Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let key = &commit.key;
        let fenced = self.notes().fenced.clone();
        let again = fenced.contains(key);
        let beside = fenced.iter().any(|other| other.account == key.account);
        if matches!(answer, Err(StoreError::Fenced(_))) {
            self.notes().fenced.insert(key.clone());
        }
        if answer.is_ok() {
            let mut notes = self.notes();
            notes.commits.insert(key.clone(), commit.committed.clone());
        }
        match (self.fault, answer) {
            (Some(Fault::CommitsAnything), _)
            | (Some(Fault::IgnoresFences), Err(StoreError::Fenced(_))) => Ok(()),
            (Some(Fault::ForgetsFences), Err(StoreError::Fenced(_))) if again => Ok(()),
            (Some(Fault::FencesOneOfTwo), Err(StoreError::Fenced(_))) if beside && !again => Ok(()),
            (Some(Fault::DropsTheFenced), Err(StoreError::Fenced(key))) => {
                drop(self.store.discard(&key).await);
                Err(StoreError::Fenced(key))
            }
            (Some(Fault::FencesByPendingOnly), Err(StoreError::Fenced(key))) => {
                let held = self.held_of(&key.account).await;
                let overtaken = held
                    .iter()
                    .any(|version| version.state == VersionState::Current);
                Err(if overtaken {
                    StoreError::NotPending(key)
                } else {
                    StoreError::Fenced(key)
                })
            }
            (Some(Fault::FencesTheCurrent), Err(StoreError::NotPending(key)))
                if before.is_some_and(|version| version.committed.is_some()) =>
            {
                Err(StoreError::Fenced(key))
            }
            (Some(Fault::ForgetsPendingOnRefusal), Err(error)) => {
                for version in self.held_of(&key.account).await {
                    drop(self.store.discard(&version.key).await);
                }
                Err(error)
            }
            (Some(Fault::LeaksIntoErrors), Err(error)) => {
                let notes = self.notes();
                let password = notes.staged.get(&key.version);
                let password = password.map(|new| new.password.expose().to_owned());
                Err(password.map_or(error, |password| {
                    StoreError::Unusable(Problem::new(format!("cannot commit {password}")))
                }))
            }
            (_, answer) => answer,
        }
    }
}

#[async_trait]
impl StoreHarness for Broken {
    async fn open(&self) -> Box<dyn SecretStore> {
        let store = match self.fault {
            Some(Fault::Forgets) => {
                let empty = MemoryStore::new();
                let leases = self.notes().leases.clone();
                for lease in &leases {
                    empty.lease(lease, HOUR).await.unwrap();
                }
                empty
            }
            _ => self.store.clone(),
        };
        Box::new(Self {
            store,
            unwritten: Arc::default(),
            ..self.clone()
        })
    }

    async fn reader(&self) -> Box<dyn SecretReader> {
        Box::new(self.clone())
    }

    async fn printed(&self) -> Vec<u8> {
        let mut printed = format!("{self:?}").into_bytes();
        if self.is(Fault::LeaksIntoFiles) {
            let notes = self.notes();
            let passwords = notes.staged.values().map(|new| new.password.expose());
            printed.extend(passwords.flat_map(str::bytes));
        }
        printed
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Broken");
        if self.is(Fault::LeaksIntoDebug) {
            let revealed = self.store.reveal(Select::All).collect::<Vec<_>>();
            let revealed = revealed.now_or_never().unwrap_or_default();
            let passwords = revealed.iter().flatten().map(|(_, password)| password);
            let passwords: Vec<_> = passwords.map(Password::expose).collect();
            shown.field("passwords", &passwords);
        }
        shown.finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretStore for Broken {
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        let renewal = self.notes().leases.contains(lease);
        if self.is(Fault::ForgetsRenewals) && renewal && ttl > Duration::from_secs(1) {
            return Ok(());
        }
        let mut answer = self.store.lease(lease, ttl).await;
        if self.is(Fault::RenewsLapsed) && answer.is_err() {
            self.revive(lease).await;
            answer = Ok(());
        }
        if !renewal {
            self.notes().leases.push(lease.clone());
        }
        answer
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let leases = self.notes().leases.clone();
        match self.fault {
            Some(Fault::KeepsReleased) => return Ok(()),
            Some(Fault::RefusesSecondRelease) if !leases.contains(lease) => {
                return Err(StoreError::LeaseLost(lease.clone()));
            }
            Some(Fault::ReleasesEverybody) => {
                for other in &leases {
                    self.store.release(other).await?;
                }
                self.notes().leases.clear();
            }
            _ => {}
        }
        self.notes().leases.retain(|other| other != lease);
        self.store.release(lease).await
    }

    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>> {
        match self.fault {
            Some(Fault::AnswersStageBeforeDurable) => {
                self.flush().await;
                self.unwritten.lock().unwrap().stages = batch.to_vec();
                return vec![Ok(()); batch.len()];
            }
            Some(Fault::LosesBatchItems) => {
                let mut answers = self.store.stage(&batch[..batch.len().min(100)]).await;
                answers.resize(batch.len(), Ok(()));
                return answers;
            }
            _ => {}
        }
        // The sound store takes batches as they are, so that they stay atomic.
        let mut answers = Vec::new();
        for new in batch {
            answers.push(self.stage_one(new).await);
        }
        match self.fault {
            Some(Fault::AnswersStagesOutOfOrder) => answers.reverse(),
            Some(Fault::StagesAllOrNothing) => {
                if let Some(error) = answers.iter().find_map(|answer| answer.clone().err()) {
                    for (new, answer) in batch.iter().zip(&answers) {
                        if answer.is_ok() {
                            drop(self.store.discard(&new.key).await);
                        }
                    }
                    return vec![Err(error); batch.len()];
                }
            }
            _ => {}
        }
        answers
    }

    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        self.flush().await;
        if self.is(Fault::AnswersCommitBeforeDurable) {
            self.unwritten.lock().unwrap().commits = batch.to_vec();
            return vec![Ok(()); batch.len()];
        }
        let mut answers = Vec::new();
        for commit in batch {
            let held = self.held_of(&commit.key.account).await;
            let before = held.into_iter().find(|version| version.key == commit.key);
            let lease = before.as_ref().map(|version| Lease {
                tenant: commit.key.account.tenant.clone(),
                run: version.run,
            });
            if self.is(Fault::CommitsUnderLeaseOnly)
                && let Some(lease) = lease.filter(|lease| !self.notes().leases.contains(lease))
            {
                answers.push(Err(StoreError::LeaseLost(lease)));
                continue;
            }
            let answer = self
                .store
                .commit(std::slice::from_ref(commit))
                .await
                .remove(0);
            answers.push(self.answer_commit(commit, before, answer).await);
        }
        match self.fault {
            Some(Fault::AnswersCommitsOutOfOrder) => answers.reverse(),
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

    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError> {
        match self.fault {
            Some(Fault::PrunesElsewhere) => self.store.prune(&Select::All, keep).await,
            Some(Fault::PrunesNothing) => Ok(0),
            Some(Fault::PrunesPending) => {
                for version in self.held(select.clone()).await {
                    drop(self.store.discard(&version.key).await);
                }
                self.store.prune(select, keep).await
            }
            Some(Fault::PrunesTooMany) => self.store.prune(select, keep.saturating_sub(1)).await,
            _ => self.store.prune(select, keep).await,
        }
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        self.read(select).map_ok(|(version, _)| version).boxed()
    }
}

impl SecretReader for Broken {
    fn reveal(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>> {
        self.read(select)
    }
}

impl Broken {
    fn read(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>> {
        let found = async move {
            self.flush().await;
            let pending = matches!(select, Select::Pending(_));
            let named_again = match &select {
                Select::Accounts(keys) => repeated(keys),
                _ => Vec::new(),
            };
            let select = match (self.fault, select) {
                (Some(Fault::Crosses), Select::Account(key)) => Select::Tenant(key.tenant),
                (Some(Fault::CrossesInAccounts), Select::Accounts(keys)) => {
                    let all = self.held(Select::All).await.into_iter();
                    let all = all.map(|version| version.key.account);
                    let named =
                        |one: &AccountKey| keys.iter().any(|key| key.account == one.account);
                    Select::Accounts(all.filter(named).collect())
                }
                (Some(Fault::FindsTheFirst), Select::Accounts(mut keys)) => {
                    keys.truncate(1);
                    Select::Accounts(keys)
                }
                (Some(Fault::FindsSome), Select::Accounts(mut keys)) => {
                    keys.truncate(500);
                    Select::Accounts(keys)
                }
                (Some(Fault::MixesTenantsInPending), Select::Pending(_)) => Select::All,
                (Some(Fault::ShowsAllAsPending), Select::Pending(tenant)) => Select::Tenant(tenant),
                (_, select) => select,
            };
            let found = self.store.reveal(select.clone());
            let mut found: Vec<_> = found.map_ok(|item| self.shown(item)).collect().await;
            match self.fault {
                Some(Fault::MixesTenantsInPending) if pending => found.retain(|item| {
                    matches!(item, Ok((version, _)) if version.state == VersionState::Pending)
                }),
                Some(Fault::FindsAsOftenAsNamed) => {
                    let again = self.store.reveal(Select::Accounts(named_again));
                    found.extend(again.collect::<Vec<_>>().await);
                }
                Some(Fault::ReadsBackwards) => found.reverse(),
                Some(Fault::ReadsTwice) => {
                    let again = self.store.reveal(select).collect::<Vec<_>>().await;
                    found.extend(again);
                }
                _ => {}
            }
            stream::iter(found)
        };
        found.flatten_stream().boxed()
    }

    /// How this store shows a version.
    fn shown(&self, (mut version, mut password): (Version, Password)) -> (Version, Password) {
        match self.fault {
            Some(Fault::ForgetsOrigin) => version.origin = rotation_core::Origin::default(),
            Some(Fault::ForgetsCommits) => version.committed = None,
            Some(Fault::RewritesHistory) if version.committed.is_some() => {
                version.committed = self.notes().commits.get(&version.key).cloned();
            }
            Some(Fault::ShowsPendingAsCurrent) => version.state = VersionState::Current,
            Some(Fault::TrimsPasswords) => {
                password = Password::new(password.expose().trim().to_owned().into());
            }
            _ => {}
        }
        (version, password)
    }
}

/// Those of `keys` that occurred before.
fn repeated(keys: &[AccountKey]) -> Vec<AccountKey> {
    let mut seen = HashSet::new();
    keys.iter()
        .filter(|key| !seen.insert(*key))
        .cloned()
        .collect()
}
