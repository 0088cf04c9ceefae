//! OpenBao or Vault: one document per account, one per password, in a secrets engine KV version 2.
//!
//! ```text
//! PREFIX/accounts/TENANT/ACCOUNT            its versions and their states, no password   record.rs
//! PREFIX/passwords/TENANT/VERSION/ACCOUNT   one password, written once                   password.rs
//! PREFIX/leases/TENANT/RUN                  a run at work                                leases.rs
//! PREFIX/pending/TENANT/…                   where to look for pending versions           ledger.rs
//! ```
//!
//! Staging writes the password first, where nothing is written twice; then the account's document, with check-and-set.
//! That second write is the one point at which the version is there or is not, and every other change is such a write
//! too: whoever meets another one reads again and decides again.
//!
//! Each password has a document of its own rather than a KV version of a common one, because the server drops the
//! oldest KV versions of a document when it has more than `max_versions`, whether or not one of them is current; and
//! that setting can be changed, but not with check-and-set.

mod config;
mod error;
mod kv;
mod leases;
mod ledger;
mod password;
mod reader;
mod record;
mod session;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use futures::stream::{BoxStream, TryStreamExt};
use jiff::Timestamp;
use rotation_core::{
    AccountKey, Commit, Lease, NewVersion, SecretStore, Select, StoreError, Version, VersionKey,
};

use kv::Written;
use ledger::{Held, Ledger};
use password::Sealer;
use record::Record;

pub use config::{JwtSource, OpenBaoAuth, OpenBaoConfig};
pub use reader::OpenBaoReader;

/// How often a call decides again after another one was faster. With 16 runs on one account each round has a winner.
const ROUNDS: usize = 24;
/// How many documents a stream reads ahead.
const AT_ONCE: usize = 16;
/// How long a call may take, whatever the server does.
const CALL: Duration = Duration::from_secs(60);

/// What became of each item of a batch, in its order.
type Answers = Vec<Result<(), StoreError>>;

/// Keeps versions in OpenBao, or in Vault, whose secrets engine KV version 2 is the same.
///
/// # For applications
/// Without recipients, the server's own encryption protects the passwords, and applications read them from it: the
/// account's document says in `current` which version is live, and that names the document that holds its `password`.
/// ```text
/// now=$(bao kv get -mount=secret -field=current rotation/accounts/$TENANT/$ACCOUNT)
/// bao kv get -mount=secret -field=password rotation/passwords/$TENANT/$now/$ACCOUNT
/// ```
/// Tenant and account are their ids; in a path, what is not a lower-case letter, digit, hyphen, underscore, at sign or
/// inner dot is `=` and its code in hexadecimal. An application's policy needs `read` on both:
/// `secret/data/rotation/accounts/TENANT/ACCOUNT` and `secret/data/rotation/passwords/TENANT/+/ACCOUNT`.
///
/// # For runs
/// A run needs no right to read a password. This policy is enough, here for the mount `secret` and the prefix
/// `rotation`, besides `default`, by which tokens renew themselves:
/// ```text
#[doc = include_str!("policy.hcl")]
/// ```
///
/// # Limits
/// - The mount must not delete by itself (`delete_version_after`), and nobody else may write below the prefix.
/// - A password whose staging was not answered may stay behind unused, if the run ended at just that moment.
/// - What the server's audit devices log of requests is hashed by it, unless it is told otherwise (`log_raw`).
#[derive(Debug)]
pub struct OpenBaoStore {
    ledger: Ledger,
    sealer: Sealer,
}

impl OpenBaoStore {
    /// Logs in and checks that the mount is of KV version 2. Nothing is written.
    ///
    /// # Errors
    /// - [`StoreError::Unusable`] if the address, the login, the mount or a policy is wrong.
    /// - [`StoreError::Unavailable`] if the server does not answer, or is sealed.
    pub async fn open(config: OpenBaoConfig) -> Result<Self, StoreError> {
        let sealer = Sealer::new(config.recipients.as_ref())?;
        let ledger = Ledger::open(&config).await?;
        Ok(Self { ledger, sealer })
    }

    /// The policy that a run needs, as HCL, for this mount and prefix.
    #[must_use]
    pub fn policy(config: &OpenBaoConfig) -> String {
        include_str!("policy.hcl")
            .replace("\"secret/", &format!("\"{}/", config.mount))
            .replace("/rotation/", &format!("/{}/", config.prefix))
    }

    /// Stages versions that share a lease.
    async fn stage_under(&self, lease: &Lease, batch: &[&NewVersion]) -> Answers {
        let mut answers = vec![None; batch.len()];
        for round in 0..ROUNDS {
            let open = answers.iter_mut().zip(batch);
            let (places, open): (Vec<_>, Vec<_>) = open
                .filter(|(answer, _)| answer.is_none())
                .map(|(answer, new)| (answer, *new))
                .unzip();
            if open.is_empty() {
                break;
            }
            let found = self.stage_round(lease, &open, round > 0).await;
            let found = found.unwrap_or_else(|error| vec![Some(Err(error)); open.len()]);
            for (place, answer) in places.into_iter().zip(found) {
                *place = answer;
            }
        }
        let late = |new: &NewVersion| Err(busy(&format!("account {}", new.key.account)));
        let answers = answers.into_iter().zip(batch);
        answers
            .map(|(answer, new)| answer.unwrap_or_else(|| late(new)))
            .collect()
    }

    /// Tries once for each; `None` where another call was faster.
    async fn stage_round(
        &self,
        lease: &Lease,
        batch: &[&NewVersion],
        again: bool,
    ) -> Result<Vec<Option<Result<(), StoreError>>>, StoreError> {
        let path = self.ledger.lease(lease);
        let until = async || {
            let until = leases::until(&self.ledger.kv, &path).await?;
            until.ok_or_else(|| StoreError::LeaseLost(lease.clone()))
        };
        let first_read = until().await?;
        let held = batch.iter().map(|new| self.ledger.held(&new.key.account));
        let held = join_all(held).await;
        let fresh = held
            .iter()
            .flatten()
            .filter(|held| !held.record.has_pending())
            .map(|held| (held.record.account.account.clone(), held.cas + 1));
        let now = self.ledger.intend(&lease.tenant, fresh.collect()).await?;
        // Reading took its time, in which the lease may have been prolonged.
        if now >= first_read && now >= until().await? {
            return Err(StoreError::LeaseLost(lease.clone()));
        }
        let stage = held.into_iter().zip(batch).map(async |(held, new)| {
            match self.stage_one(held?, new, now).await? {
                Written::At(_) => Ok(Some(())),
                Written::Conflict => Ok(None),
            }
        });
        let answers = join_all(stage).await.into_iter().zip(batch);
        let answers = answers.map(async |(answer, new)| {
            if again
                && matches!(
                    answer,
                    Err(StoreError::Leased { .. } | StoreError::RotatedSince { .. })
                )
            {
                // An earlier round wrote the password, and none its account. The answer holds, whatever is left behind.
                let forgo = |record: &mut Record| record.forgo(new.key.version);
                self.drop_versions(&new.key.account, forgo).await.ok();
            }
            answer.transpose()
        });
        Ok(join_all(answers).await)
    }

    async fn stage_one(
        &self,
        mut held: Held,
        new: &NewVersion,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        let account = &new.key.account;
        if let Some(answer) = held.record.known(new) {
            return answer.map(|()| Written::At(now));
        }
        if let Some(run) = held.record.owner().filter(|run| *run != new.run) {
            let lease = Lease {
                tenant: account.tenant.clone(),
                run,
            };
            let path = self.ledger.lease(&lease);
            if let Some(lapses_in) = leases::remaining(&self.ledger.kv, &path, now).await? {
                return Err(StoreError::Leased {
                    account: account.clone(),
                    run,
                    lapses_in,
                });
            }
        }
        if let Some(run) = held.record.rotated_since(new) {
            return Err(StoreError::RotatedSince {
                account: account.clone(),
                run,
            });
        }
        let document = self.sealer.document(new)?;
        self.ledger.put_password(&new.key, &document).await?;
        held.record.stage(new);
        self.ledger.put(&held).await
    }

    /// Changes the record of `account`, atomically.
    async fn change<T>(
        &self,
        account: &AccountKey,
        change: impl Fn(&mut Record) -> T + Send + Sync,
    ) -> Result<T, StoreError> {
        for _ in 0..ROUNDS {
            let mut held = self.ledger.held(account).await?;
            let before = held.record.clone();
            let answer = change(&mut held.record);
            if held.record == before {
                return Ok(answer);
            }
            if held.record.has_pending() && !before.has_pending() {
                let again = BTreeMap::from([(account.account.clone(), held.cas + 1)]);
                self.ledger.intend(&account.tenant, again).await?;
            }
            if let Written::At(_) = self.ledger.put(&held).await? {
                return Ok(answer);
            }
        }
        Err(busy(&format!("account {account}")))
    }

    /// Drops versions as `drop` says, and then their passwords; also what an earlier call left, had it ended in between.
    async fn drop_versions<T>(
        &self,
        account: &AccountKey,
        drop: impl Fn(&mut Record) -> T + Send + Sync,
    ) -> Result<T, StoreError> {
        let drop = |record: &mut Record| (drop(record), record.doomed().to_vec());
        let (answer, doomed) = self.change(account, drop).await?;
        if doomed.is_empty() {
            return Ok(answer);
        }
        let erase = doomed.iter().map(async |version| {
            let key = VersionKey {
                account: account.clone(),
                version: *version,
            };
            self.ledger.kv.erase(&self.ledger.password(&key)).await
        });
        for erased in join_all(erase).await {
            erased?;
        }
        self.change(account, |record| record.bury(&doomed)).await?;
        Ok(answer)
    }
}

#[async_trait]
impl SecretStore for OpenBaoStore {
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        let path = self.ledger.lease(lease);
        in_time(leases::take(&self.ledger.kv, &path, lease, ttl)).await?
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        in_time(self.ledger.kv.erase(&self.ledger.lease(lease))).await?
    }

    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>> {
        let mut leases: HashMap<Lease, Vec<usize>> = HashMap::new();
        for (at, new) in batch.iter().enumerate() {
            leases.entry(new.lease()).or_default().push(at);
        }
        let groups = leases.iter().map(async |(lease, places)| {
            let group: Vec<_> = places.iter().filter_map(|at| batch.get(*at)).collect();
            (places, self.stage_under(lease, &group).await)
        });
        match in_time(join_all(groups)).await {
            Ok(groups) => in_order(groups),
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        let mut accounts: HashMap<&AccountKey, Vec<usize>> = HashMap::new();
        for (at, commit) in batch.iter().enumerate() {
            accounts.entry(&commit.key.account).or_default().push(at);
        }
        let groups = accounts.iter().map(async |(account, places)| {
            let commits = || places.iter().filter_map(|at| batch.get(*at));
            let commit = |record: &mut Record| -> Answers {
                commits().map(|commit| record.commit(commit)).collect()
            };
            let answers = self.change(account, commit).await;
            let answers = answers.unwrap_or_else(|error| vec![Err(error); places.len()]);
            (places, answers)
        });
        match in_time(join_all(groups)).await {
            Ok(groups) => in_order(groups),
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        let discard = |record: &mut Record| record.discard(version);
        in_time(self.drop_versions(&version.account, discard)).await??
    }

    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError> {
        if let Select::Pending(_) = select {
            return Ok(0);
        }
        // Not bounded as a whole, for it may be every account; each request is.
        self.ledger
            .accounts(select.clone(), false)
            .map_ok(|account| async move {
                self.drop_versions(&account, |record| record.prune(keep))
                    .await
            })
            .try_buffer_unordered(AT_ONCE)
            .try_fold(0, async |sum, count| Ok(sum + count))
            .await
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        self.ledger.versions(select, true)
    }
}

/// Puts the answers of groups, each with the places of its items, in the order asked.
fn in_order(groups: Vec<(&Vec<usize>, Answers)>) -> Answers {
    let mut placed: Vec<_> = groups
        .into_iter()
        .flat_map(|(places, answers)| places.iter().zip(answers))
        .collect();
    placed.sort_unstable_by_key(|(place, _)| **place);
    placed.into_iter().map(|(_, answer)| answer).collect()
}

/// Gives up after a while: whether the change was made is then not known.
async fn in_time<T>(call: impl Future<Output = T> + Send) -> Result<T, StoreError> {
    tokio::time::timeout(CALL, call).await.map_err(|_| {
        error::unavailable(
            format!("the OpenBao server was not done within {CALL:?}"),
            "see what slows it down; everything answered before is safe",
        )
    })
}

/// Others were faster, each time.
fn busy(what: &str) -> StoreError {
    error::unavailable(
        format!("{what} was changed by others each time that we were about to"),
        "try again; if it goes on, see which other programs write below the store's prefix",
    )
}
