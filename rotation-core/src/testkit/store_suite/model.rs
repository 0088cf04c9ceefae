use super::trial::{Trial, Verdict, commit, refused, succeeded, versions};
use crate::VersionState::{Current, Pending, Previous};
use crate::{AccountKey, NewVersion, SecretStore, Select, StoreError, VersionState};

const WALKS: usize = 4;
const STEPS: usize = 150;
const ACCOUNTS: usize = 3;

/// Random calls on a few accounts; after each, answers and states must be the model's.
pub(super) async fn random_walks(trial: Trial<'_>) -> Verdict {
    for walk in 0..WALKS {
        let first = walk * ACCOUNTS;
        let accounts = (first..first + ACCOUNTS).map(|number| trial.account(number));
        let mut models: Vec<_> = accounts.map(Model::new).collect();
        let mut random = Random(walk as u64);
        let mut store = trial.open().await;
        for step in 0..STEPS {
            if random.below(20) == 0 {
                store = trial.open().await;
            }
            if let Some(model) = models.get_mut(random.below(ACCOUNTS)) {
                call(&trial, &*store, model, &mut random)
                    .await
                    .map_err(|found| format!("walk {walk}, step {step}: {found}"))?;
            }
        }
        for model in &models {
            let expected: Vec<_> = model
                .versions
                .iter()
                .map(|(version, state)| (version, *state))
                .collect();
            trial
                .expect_account(&*store, &model.account, &expected)
                .await?;
        }
    }
    Ok(())
}

/// One call, of the store and of the model.
async fn call(
    trial: &Trial<'_>,
    store: &dyn SecretStore,
    model: &mut Model,
    random: &mut Random,
) -> Verdict {
    let known = model.pick(random);
    let what = match (random.below(3), known) {
        (1, Some(version)) => {
            agree(
                &version,
                commit(store, &version).await?,
                model.commit(&version),
            )?;
            "a commit"
        }
        (2, Some(version)) => {
            let found = store.discard(&version.key).await;
            agree(&version, found, model.discard(&version))?;
            "a discard"
        }
        _ => {
            let version = trial.staged(store, &model.account).await?;
            model.versions.push((version, Pending));
            "a stage"
        }
    };
    let found: Vec<_> = versions(store, Select::Account(model.account.clone()))
        .await?
        .into_iter()
        .map(|version| (version.key.version, version.state))
        .collect();
    let expected: Vec<_> = model
        .versions
        .iter()
        .map(|(version, state)| (version.key.version, *state))
        .collect();
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "after {what} found {found:?}, expected {expected:?}"
    ))
}

fn agree(version: &NewVersion, found: Result<(), StoreError>, pending: bool) -> Verdict {
    if pending {
        succeeded("a call", &found)
    } else {
        refused(version, found)
    }
}

/// One account as the contract of [`SecretStore`](crate::SecretStore) has it.
struct Model {
    account: AccountKey,
    versions: Vec<(NewVersion, VersionState)>,
    discarded: Vec<NewVersion>,
}

impl Model {
    fn new(account: AccountKey) -> Self {
        Self {
            account,
            versions: Vec::new(),
            discarded: Vec::new(),
        }
    }

    /// A version that was staged once.
    fn pick(&self, random: &mut Random) -> Option<NewVersion> {
        let known: Vec<_> = self
            .versions
            .iter()
            .map(|(version, _)| version)
            .chain(&self.discarded)
            .collect();
        // The youngest are the most interesting.
        let back = random.below(known.len().clamp(1, 5)) + 1;
        known
            .len()
            .checked_sub(back)
            .and_then(|at| known.get(at))
            .map(|version| (*version).clone())
    }

    /// Says whether the store does it, too.
    fn commit(&mut self, version: &NewVersion) -> bool {
        match self.find(version) {
            Some((_, Current)) => true,
            Some((at, Pending)) => {
                for (index, (_, state)) in self.versions.iter_mut().enumerate() {
                    if index <= at {
                        *state = if index == at { Current } else { Previous };
                    }
                }
                true
            }
            Some((_, Previous)) | None => false,
        }
    }

    /// Says whether the store does it, too.
    fn discard(&mut self, version: &NewVersion) -> bool {
        match self.find(version) {
            Some((at, Pending)) => {
                self.discarded.push(self.versions.remove(at).0);
                true
            }
            Some((_, Current | Previous)) => false,
            None => true,
        }
    }

    fn find(&self, version: &NewVersion) -> Option<(usize, VersionState)> {
        self.versions
            .iter()
            .position(|(known, _)| known.key == version.key)
            .and_then(|at| Some((at, self.versions.get(at)?.1)))
    }
}

/// `SplitMix64`: the same walks on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % limit as u64).unwrap_or(0)
    }
}
