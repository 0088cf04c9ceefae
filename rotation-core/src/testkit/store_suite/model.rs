use jiff::Timestamp;

use super::trial::Seen::{self, Current, Overtaken, Pending, Previous};
use super::trial::{
    Trial, Verdict, commit, commit_of, fenced, lease_lost, leased, refused, rotated_since,
    succeeded, try_stage, versions,
};
use crate::{AccountKey, NewVersion, RunId, SecretStore, Select, StoreError, Version};

const WALKS: usize = 4;
const STEPS: usize = 250;
const ACCOUNTS: usize = 3;

/// Random calls by two runs on a few accounts; after each, answers and states must be the model's.
pub(super) async fn random_walks(trial: Trial<'_>) -> Verdict {
    // Runs whose lease lives.
    let mut live = vec![trial.one];
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
                call(&trial, &*store, &mut live, model, &mut random)
                    .await
                    .map_err(|found| format!("walk {walk}, step {step}: {found}"))?;
            }
        }
        for model in &models {
            let held = model.held.iter();
            let expected: Vec<_> = held.map(|held| (&held.version, held.seen)).collect();
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
    live: &mut Vec<RunId>,
    model: &mut Model,
    random: &mut Random,
) -> Verdict {
    let run = if random.below(2) == 0 {
        trial.one
    } else {
        trial.two
    };
    let known = model.pick(random);
    let what = match (random.below(14), known) {
        (0 | 1, _) => {
            live.retain(|other| *other != run);
            trial.release(store, run).await?;
            "a release"
        }
        (2 | 3, _) => {
            live.retain(|other| *other != run);
            live.push(run);
            trial.lease(store, run).await?;
            "a lease"
        }
        (4, _) => {
            let keep = random.below(3);
            let select = Select::Account(model.account.clone());
            let pruned = store
                .prune(&select, keep)
                .await
                .map_err(|error| format!("pruning failed: {error}"))?;
            let expected = model.prune(keep);
            if pruned != expected {
                return Err(format!("{pruned} versions pruned, expected {expected}"));
            }
            "a prune"
        }
        (5..=7, Some(version)) => {
            let answer = model.commit(&version);
            answer.agree(&version, &commit(store, &version).await?)?;
            "a commit"
        }
        (8, Some(version)) => {
            let answer = model.discard(&version);
            answer.agree(&version, &store.discard(&version.key).await)?;
            "a discard"
        }
        (9, Some(version)) => {
            let answer = model.stage(&version, live);
            answer.agree(&version, &try_stage(store, &version).await?)?;
            "staging again"
        }
        _ => {
            let mut version = trial.version_of(run, &model.account);
            // Whether a store still knows of a commit that was pruned is its own affair.
            if random.below(4) == 0 && !model.pruned {
                version = version.with_planned_at(Timestamp::UNIX_EPOCH);
            }
            let answer = model.stage(&version, live);
            answer.agree(&version, &try_stage(store, &version).await?)?;
            "a stage"
        }
    };
    let found = versions(store, Select::Account(model.account.clone())).await?;
    let held = model.held.iter();
    let expected: Vec<Version> = held.map(|held| held.seen.version(&held.version)).collect();
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "after {what} found {found:?}, expected {expected:?}"
    ))
}

/// What the store must say.
enum Answer {
    Done,
    Fenced,
    LeaseLost,
    Leased(RunId),
    NotPending,
    RotatedSince(RunId),
}

impl Answer {
    fn agree(self, version: &NewVersion, found: &Result<(), StoreError>) -> Verdict {
        let account = &version.key.account;
        match self {
            Self::Done => succeeded("a call", found),
            Self::Fenced => fenced(version, found),
            Self::LeaseLost => lease_lost(&version.lease(), found),
            Self::Leased(run) => leased(account, run, found),
            Self::NotPending => refused(version, found),
            Self::RotatedSince(run) => rotated_since(account, run, found),
        }
    }
}

/// One account as the contract of [`SecretStore`](crate::SecretStore) has it.
struct Model {
    account: AccountKey,
    held: Vec<Held>,
    discarded: Vec<NewVersion>,
    /// Whether something was pruned.
    pruned: bool,
}

struct Held {
    version: NewVersion,
    seen: Seen,
    contested: bool,
}

impl Model {
    fn new(account: AccountKey) -> Self {
        Self {
            account,
            held: Vec::new(),
            discarded: Vec::new(),
            pruned: false,
        }
    }

    /// A version that was staged once.
    fn pick(&self, random: &mut Random) -> Option<NewVersion> {
        let known: Vec<_> = self
            .held
            .iter()
            .map(|held| &held.version)
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

    fn stage(&mut self, version: &NewVersion, live: &[RunId]) -> Answer {
        if !live.contains(&version.run) {
            return Answer::LeaseLost;
        }
        if self.find(version).is_some() {
            return Answer::Done;
        }
        if self.discarded.iter().any(|gone| gone.key == version.key) {
            return Answer::NotPending;
        }
        let newest = self.held.iter().rfind(|held| held.seen == Pending);
        if let Some(held) = newest
            && held.version.run != version.run
            && live.contains(&held.version.run)
        {
            return Answer::Leased(held.version.run);
        }
        let rotated = self.held.iter().find(|held| {
            held.version.run != version.run
                && matches!(held.seen, Current | Previous)
                && commit_of(&held.version).committed.at >= version.planned_at
        });
        if let Some(held) = rotated {
            return Answer::RotatedSince(held.version.run);
        }
        self.held.push(Held {
            version: version.clone(),
            seen: Pending,
            contested: false,
        });
        Answer::Done
    }

    fn commit(&mut self, version: &NewVersion) -> Answer {
        let Some((at, seen, contested)) = self.find(version) else {
            return Answer::NotPending;
        };
        let mut others = self.held.iter().skip(at);
        let overtaken = others.any(|other| other.version.run != version.run);
        match seen {
            Current => Answer::Done,
            Previous => Answer::NotPending,
            Pending | Overtaken if contested => Answer::Fenced,
            Pending | Overtaken if overtaken => {
                let mut held = self.held.remove(at);
                held.seen = Pending;
                held.contested = true;
                self.held.push(held);
                Answer::Fenced
            }
            Overtaken => Answer::NotPending,
            Pending => {
                for (index, held) in self.held.iter_mut().enumerate() {
                    held.seen = match held.seen {
                        _ if index == at => Current,
                        Current if index < at => Previous,
                        Pending if index < at => Overtaken,
                        seen => seen,
                    };
                }
                Answer::Done
            }
        }
    }

    fn discard(&mut self, version: &NewVersion) -> Answer {
        match self.find(version) {
            Some((at, Pending, _)) => {
                self.discarded.push(self.held.remove(at).version);
                Answer::Done
            }
            Some(_) => Answer::NotPending,
            None => Answer::Done,
        }
    }

    /// How many versions that drops.
    fn prune(&mut self, keep: usize) -> u64 {
        let before = self.held.len();
        let mut kept = 0;
        let mut newest_first: Vec<_> = self.held.drain(..).rev().collect();
        newest_first.retain(|held| {
            let previous = matches!(held.seen, Previous | Overtaken);
            kept += usize::from(previous);
            !previous || kept <= keep
        });
        self.held.extend(newest_first.into_iter().rev());
        let dropped = before - self.held.len();
        self.pruned |= dropped > 0;
        dropped as u64
    }

    fn find(&self, version: &NewVersion) -> Option<(usize, Seen, bool)> {
        let at = self
            .held
            .iter()
            .position(|held| held.version.key == version.key)?;
        let held = self.held.get(at)?;
        Some((at, held.seen, held.contested))
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
