use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use rotation_core::{AccountId, AccountKey, Lease, RunId};
use rusqlite::Connection;

use super::log;

/// How much further back than asked for the log is read: versions are not staged in the order in which they were
/// planned, and reading it again for each would take longer than reading more.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// What other runs committed, for each lease under which versions are staged here. Takes memory for what they committed
/// since the earliest of these was planned.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    leases: HashMap<Lease, Rotated>,
}

/// The accounts of a tenant that other runs rotated.
#[derive(Debug)]
struct Rotated {
    since: Timestamp,
    last: HashMap<AccountId, (Timestamp, RunId)>,
}

impl Rivals {
    /// The run, other than that of `lease`, that committed a version of `account` at `planned_at` or later.
    pub(super) fn rotated_since(
        &mut self,
        connection: &Connection,
        lease: &Lease,
        account: &AccountId,
        planned_at: Timestamp,
    ) -> rusqlite::Result<Option<RunId>> {
        let rotated = match self.leases.get(lease) {
            Some(rotated) if rotated.since <= planned_at => rotated,
            _ => {
                let rotated = Rotated::read(connection, lease, planned_at)?;
                self.leases
                    .entry(lease.clone())
                    .insert_entry(rotated)
                    .into_mut()
            }
        };
        let last = rotated.last.get(account);
        Ok(last.and_then(|(at, run)| (*at >= planned_at).then_some(*run)))
    }

    /// Takes note of a commit.
    pub(super) fn follow(&mut self, account: &AccountKey, run: RunId, at: Timestamp) {
        for (lease, rotated) in &mut self.leases {
            rotated.follow(lease, account, run, at);
        }
    }

    /// Drops what was kept for a lease that has ended.
    pub(super) fn forget(&mut self, lease: &Lease) {
        self.leases.remove(lease);
    }
}

impl Rotated {
    fn read(
        connection: &Connection,
        lease: &Lease,
        planned_at: Timestamp,
    ) -> rusqlite::Result<Self> {
        let since = planned_at.checked_sub(MARGIN).unwrap_or(Timestamp::MIN);
        let mut rotated = Self {
            since,
            last: HashMap::new(),
        };
        log::commits_since(connection, since, |account, run, at| {
            rotated.follow(lease, account, run, at);
        })?;
        Ok(rotated)
    }

    fn follow(&mut self, lease: &Lease, account: &AccountKey, run: RunId, at: Timestamp) {
        if account.tenant != lease.tenant || run == lease.run || at < self.since {
            return;
        }
        let last = self
            .last
            .entry(account.account.clone())
            .or_insert((at, run));
        if at > last.0 {
            *last = (at, run);
        }
    }
}
