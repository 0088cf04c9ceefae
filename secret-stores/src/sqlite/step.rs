use std::collections::HashSet;
use std::time::Duration;

use rotation_core::{
    AccountKey, Commit, Committed, Lease, NewVersion, RunId, StoreError, VersionKey, VersionState,
};
use rusqlite::Transaction;

use super::error;
use super::history::{History, Standing, Verdict};
use super::known::Known;
use super::lease::{Leases, Life};
use super::log::{self, Event, Sealed, Settlement};
use crate::seal::{DataKey, Label, SealError};

/// One change to make durable.
pub(super) enum Change {
    Commit(Commit),
    Discard(VersionKey),
    /// Erases the password of a discarded version, staged by this row. The row stays, so that the id stays known.
    Erase(i64),
    Lease(Lease, Duration),
    /// Answers as `Commit` does, and makes no version current.
    #[cfg(feature = "exec")]
    MayCommit(VersionKey),
    /// Answers as `Stage` does, and changes nothing.
    #[cfg(feature = "exec")]
    MayStage(NewVersion),
    Prune(Dropped),
    Release(Lease),
    Stage(NewVersion),
}

/// Previous versions to be removed.
pub(super) struct Dropped {
    /// The last row of the log when they were chosen.
    pub(super) seen: i64,
    pub(super) versions: Vec<Rows>,
}

/// The rows of one version.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) staged: i64,
    pub(super) contested: Option<i64>,
    pub(super) committed: Option<i64>,
}

/// How many versions a change concerned: none if it had been made before.
pub(super) type Answer = Result<u64, StoreError>;

/// What passwords are sealed with. It never leaves the writing thread, and is wiped when that ends.
pub(super) struct Keys {
    pub(super) data_key: DataKey,
    /// The same for the recipients: stored along with the first version that is sealed.
    pub(super) wrapped: Vec<u8>,
}

/// One transaction under way.
pub(super) struct Step<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    /// `None` if a program outside keeps the passwords.
    pub(super) keys: Option<&'a Keys>,
    pub(super) known: &'a mut Known,
    pub(super) leases: Leases<'a>,
}

impl Step<'_> {
    /// The outer error undoes the whole transaction, the inner one is an answer.
    pub(super) fn make(&mut self, change: &Change) -> rusqlite::Result<Answer> {
        match change {
            Change::Commit(commit) => self.commit(&commit.key, Some(&commit.committed)),
            Change::Discard(key) => self.discard(key),
            Change::Erase(staged) => {
                log::erase(self.transaction, *staged)?;
                Ok(Ok(0))
            }
            Change::Lease(lease, ttl) => self.lease(lease, *ttl),
            #[cfg(feature = "exec")]
            Change::MayCommit(key) => self.commit(key, None),
            #[cfg(feature = "exec")]
            Change::MayStage(row) => self.admit(row),
            Change::Prune(dropped) => self.prune(dropped),
            Change::Release(lease) => self.release(lease),
            Change::Stage(row) => self.stage(row),
        }
    }

    fn lease(&mut self, lease: &Lease, ttl: Duration) -> rusqlite::Result<Answer> {
        if self.leases.life(lease)? == Life::Lapsed {
            return Ok(Err(StoreError::LeaseLost(lease.clone())));
        }
        self.leases.extend(lease, ttl)?;
        Ok(Ok(0))
    }

    fn release(&mut self, lease: &Lease) -> rusqlite::Result<Answer> {
        self.leases.remove(lease)?;
        self.known.rivals.forget(lease);
        Ok(Ok(0))
    }

    fn stage(&mut self, new: &NewVersion) -> rusqlite::Result<Answer> {
        let admitted = self.admit(new)?;
        if matches!(admitted, Ok(1)) {
            let sealed = match self.seal(new)? {
                Ok(sealed) => sealed,
                Err(error) => return Ok(Err(error::seal(error))),
            };
            let origin = self.origin(new)?;
            let seq = log::append_staged(self.transaction, new, origin, sealed.as_ref())?;
            self.known.staged(&new.key, new.run, seq);
        }
        Ok(admitted)
    }

    /// Whether the row may be appended, and how many versions that would concern.
    fn admit(&mut self, new: &NewVersion) -> rusqlite::Result<Answer> {
        let lease = new.lease();
        if !matches!(self.leases.life(&lease)?, Life::Alive(_)) {
            self.known.rivals.forget(&lease);
            return Ok(Err(StoreError::LeaseLost(lease)));
        }
        if let Some(found) = log::staged_row(self.transaction, new.key.version)? {
            if found.account != new.key.account || found.run != new.run {
                let message = format!(
                    "version {} was staged before, for account {} by run {}",
                    new.key.version, found.account, found.run
                );
                return Ok(Err(error::unusable(
                    message,
                    "draw a new id for each version",
                )));
            }
            let is_there = self.standing(&new.key)?.is_some();
            return Ok(if is_there {
                Ok(0)
            } else {
                Err(StoreError::NotPending(new.key.clone()))
            });
        }
        if let Some(refusal) = self.belongs_to_another(&new.key.account, &lease)? {
            return Ok(Err(refusal));
        }
        let account = new.key.account.clone();
        let since = new.planned_at;
        let rival =
            self.known
                .rivals
                .rotated_since(self.transaction, &lease, &account.account, since)?;
        if let Some(run) = rival {
            return Ok(Err(StoreError::RotatedSince { account, run }));
        }
        Ok(Ok(1))
    }

    /// Refuses an account that belongs to another run than that of `lease`.
    fn belongs_to_another(
        &mut self,
        account: &AccountKey,
        lease: &Lease,
    ) -> rusqlite::Result<Option<StoreError>> {
        let Some(run) = self.known.pending.holder(account) else {
            return Ok(None);
        };
        if run == lease.run {
            return Ok(None);
        }
        let tenant = lease.tenant.clone();
        Ok(match self.leases.life(&Lease { tenant, run })? {
            Life::Alive(lapses_in) => Some(StoreError::Leased {
                account: account.clone(),
                run,
                lapses_in,
            }),
            Life::Absent | Life::Lapsed => None,
        })
    }

    /// Makes the version current, unless it is only asked whether it may be.
    fn commit(
        &mut self,
        key: &VersionKey,
        committed: Option<&Committed>,
    ) -> rusqlite::Result<Answer> {
        let Some(Standing {
            staged,
            run,
            verdict,
            ..
        }) = self.standing(key)?
        else {
            return Ok(Err(StoreError::NotPending(key.clone())));
        };
        match verdict {
            Verdict::Commit => {
                if let Some(committed) = committed {
                    self.make_current(key, run, staged, committed)?;
                }
                Ok(Ok(1))
            }
            Verdict::Contest => {
                self.contest(key, run, staged)?;
                Ok(Err(StoreError::Fenced(key.clone())))
            }
            Verdict::Done => Ok(Ok(0)),
            Verdict::Fenced => Ok(Err(StoreError::Fenced(key.clone()))),
            Verdict::NotPending => Ok(Err(StoreError::NotPending(key.clone()))),
        }
    }

    fn make_current(
        &mut self,
        key: &VersionKey,
        run: RunId,
        staged: i64,
        committed: &Committed,
    ) -> rusqlite::Result<()> {
        let settlement = Settlement::Committed { staged };
        let account = &key.account;
        let seq =
            log::append_settlement(self.transaction, account, run, settlement, Some(committed))?;
        self.known
            .settled(account, seq, settlement, Some((run, committed.at)));
        Ok(())
    }

    fn contest(&mut self, key: &VersionKey, run: RunId, staged: i64) -> rusqlite::Result<()> {
        let settlement = Settlement::Contested { staged };
        let seq = log::append_settlement(self.transaction, &key.account, run, settlement, None)?;
        self.known.contested(key, run, staged, seq);
        Ok(())
    }

    fn discard(&mut self, key: &VersionKey) -> rusqlite::Result<Answer> {
        let Some(standing) = self.standing(key)? else {
            return Ok(Ok(0));
        };
        if standing.state != VersionState::Pending {
            return Ok(Err(StoreError::NotPending(key.clone())));
        }
        let Standing { staged, run, .. } = standing;
        let settlement = Settlement::Discarded { staged };
        let seq = log::append_settlement(self.transaction, &key.account, run, settlement, None)?;
        self.known.settled(&key.account, seq, settlement, None);
        Ok(Ok(1))
    }

    /// Removes the rows of versions that were previous when they were chosen. Nothing but a refused commit can have made
    /// one of them pending again, and that is looked for.
    ///
    /// The last row of the log is never among them, so that no seq is ever used again: it made a version previous, and
    /// that is done by the commit of a later one.
    fn prune(&mut self, dropped: &Dropped) -> rusqlite::Result<Answer> {
        let mut contested = HashSet::new();
        log::contested_after(self.transaction, dropped.seen, |staged| {
            contested.insert(staged);
        })?;
        let mut count = 0;
        for rows in &dropped.versions {
            if contested.contains(&rows.staged) {
                continue;
            }
            for seq in [rows.contested, rows.committed].into_iter().flatten() {
                log::remove(self.transaction, seq)?;
            }
            count += u64::from(log::remove(self.transaction, rows.staged)?);
        }
        Ok(Ok(count))
    }

    /// What the version is now; `None` if it was never staged or is discarded.
    ///
    /// Reads nothing for a version that is pending; otherwise its account's rows of the log since it was staged, for
    /// nothing before that has a bearing on it.
    fn standing(&self, key: &VersionKey) -> rusqlite::Result<Option<Standing>> {
        if let Some(standing) = self.known.pending.standing(key) {
            return Ok(Some(standing));
        }
        let Some(found) = log::staged_row(self.transaction, key.version)? else {
            return Ok(None);
        };
        if found.account != key.account {
            return Ok(None);
        }
        let mut history = History::default();
        log::rows_of(self.transaction, &key.account, found.seq, |row| {
            match row.event {
                Event::Staged(new) => history.stage(row.seq, new.run, ()),
                Event::Settled(settled) => {
                    let settlement = settled.settlement;
                    if let (Settlement::Contested { staged }, Some(run)) = (settlement, settled.run)
                        && history.standing(staged).is_none()
                    {
                        // Staged earlier than what we look at, but it comes after it from here on.
                        history.stage(staged, run, ());
                    }
                    // What settles an earlier version has no bearing.
                    history.settle(row.seq, settlement);
                }
            }
        })?;
        Ok(history.standing(found.seq))
    }

    /// Seals the password of `new`, unless a program outside keeps it.
    fn seal(&mut self, new: &NewVersion) -> rusqlite::Result<Result<Option<Sealed>, SealError>> {
        let Some(keys) = self.keys else {
            return Ok(Ok(None));
        };
        let label = Label::new(&new.key, new.run);
        let bytes = match keys.data_key.seal(&label, &new.password) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        let data_key = match self.known.data_key {
            Some(id) => id,
            None => {
                let id = log::append_data_key(self.transaction, &keys.wrapped)?;
                *self.known.data_key.insert(id)
            }
        };
        Ok(Ok(Some(Sealed { data_key, bytes })))
    }

    fn origin(&mut self, new: &NewVersion) -> rusqlite::Result<i64> {
        if let Some((origin, id)) = &self.known.origin
            && origin.caller == new.origin.caller
            && origin.backend == new.origin.backend
        {
            return Ok(*id);
        }
        let id = log::origin_id(self.transaction, &new.origin)?;
        self.known.origin = Some((new.origin.clone(), id));
        Ok(id)
    }
}
