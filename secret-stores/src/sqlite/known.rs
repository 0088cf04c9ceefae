use jiff::Timestamp;
use rotation_core::{AccountKey, Origin, RunId, VersionKey};
use rusqlite::Connection;

use super::log::{self, Event, Settlement};
use super::pending::Pending;
use super::rivals::Rivals;

/// What the writer knows of the log without reading it. Forgetting it all is always safe: it is read again.
#[derive(Default)]
pub(super) struct Known {
    pub(super) pending: Pending,
    pub(super) rivals: Rivals,
    /// Up to which row these two are right.
    last_seq: i64,
    /// Under which id our wrapped key is stored, once it is.
    pub(super) data_key: Option<i64>,
    /// Where the last version came from, and the id under which that is stored.
    pub(super) origin: Option<(Origin, i64)>,
}

impl Known {
    pub(super) fn is_nothing(&self) -> bool {
        self.last_seq == 0
    }

    /// Follows what was appended since, by whomever.
    pub(super) fn catch_up(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        log::rows_after(connection, self.last_seq, |row| {
            let account = row.account;
            match row.event {
                Event::Staged(new) => {
                    let version = new.version;
                    self.staged(&VersionKey { account, version }, new.run, row.seq);
                }
                Event::Settled(settled) => match settled.settlement {
                    Settlement::Contested { staged } => {
                        // The version may be one that nothing was known of, for it was not pending.
                        let new = log::brief_at(connection, staged)?;
                        let version = new.version;
                        let key = VersionKey { account, version };
                        self.contested(&key, new.run, staged, row.seq);
                    }
                    settlement => {
                        let at = settled.committed.map(|committed| committed.at);
                        let commit = settled.run.zip(at);
                        if !self.settled(&account, row.seq, settlement, commit) {
                            return Err(log::untrue(row.seq));
                        }
                    }
                },
            }
            Ok(())
        })
    }

    pub(super) fn staged(&mut self, key: &VersionKey, run: RunId, seq: i64) {
        self.pending.stage(key, run, seq);
        self.last_seq = seq;
    }

    pub(super) fn contested(&mut self, key: &VersionKey, run: RunId, staged: i64, seq: i64) {
        self.pending.contest(key, run, staged, seq);
        self.last_seq = seq;
    }

    /// A version was committed, by that run at that time, or discarded. Says whether it was pending.
    pub(super) fn settled(
        &mut self,
        account: &AccountKey,
        seq: i64,
        settlement: Settlement,
        commit: Option<(RunId, Timestamp)>,
    ) -> bool {
        if let Some((run, at)) = commit {
            self.rivals.follow(account, run, at);
        }
        self.last_seq = seq;
        self.pending.settle(account, seq, settlement)
    }
}
