//! The leases in the file, judged by the machine's clock.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use rotation_core::{Lease, RunId, TenantId};
use rusqlite::{Connection, OptionalExtension, params};

use super::log;

/// The leases as they are at one moment, each read from the file once.
pub(super) struct Leases<'a> {
    connection: &'a Connection,
    now: Timestamp,
    read: HashMap<Lease, Option<Timestamp>>,
}

/// What a lease is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// There is none: never begun, or released.
    Absent,
    /// For so long, unless it is renewed.
    Alive(Duration),
    Lapsed,
}

impl<'a> Leases<'a> {
    pub(super) fn at(connection: &'a Connection, now: Timestamp) -> Self {
        Self {
            connection,
            now,
            read: HashMap::new(),
        }
    }

    pub(super) fn life(&mut self, lease: &Lease) -> rusqlite::Result<Life> {
        let until = match self.read.get(lease) {
            Some(until) => *until,
            None => {
                let until = until(self.connection, lease)?;
                self.read.insert(lease.clone(), until);
                until
            }
        };
        Ok(until.map_or(Life::Absent, |until| life(until, self.now)))
    }

    /// Lets the lease live for `ttl` from now.
    pub(super) fn extend(&mut self, lease: &Lease, ttl: Duration) -> rusqlite::Result<()> {
        // A lease for longer than time goes on lives forever.
        let until = self.now.checked_add(ttl).unwrap_or(Timestamp::MAX);
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO lease (tenant, run, until) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![
                lease.tenant.as_str(),
                lease.run.as_bytes(),
                log::sortable(until)
            ])?;
        self.read.insert(lease.clone(), Some(until));
        Ok(())
    }

    pub(super) fn remove(&mut self, lease: &Lease) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM lease WHERE tenant = ?1 AND run = ?2")?
            .execute(params![lease.tenant.as_str(), lease.run.as_bytes()])?;
        self.read.insert(lease.clone(), None);
        Ok(())
    }
}

/// The leases that live, and for how long.
pub(super) fn alive(
    connection: &Connection,
    now: Timestamp,
) -> rusqlite::Result<Vec<(Lease, Duration)>> {
    let mut statement =
        connection.prepare("SELECT tenant, run, until FROM lease ORDER BY tenant, run")?;
    let mut rows = statement.query(())?;
    let mut alive = Vec::new();
    while let Some(row) = rows.next()? {
        let until = log::timestamp(row.get_ref("until")?)?;
        if let Life::Alive(left) = life(until, now) {
            let lease = Lease {
                tenant: TenantId::new(row.get_ref("tenant")?.as_str()?),
                run: RunId::from_bytes(row.get("run")?),
            };
            alive.push((lease, left));
        }
    }
    Ok(alive)
}

fn until(connection: &Connection, lease: &Lease) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT until FROM lease WHERE tenant = ?1 AND run = ?2")?
        .query_row(
            params![lease.tenant.as_str(), lease.run.as_bytes()],
            |row| Ok(log::timestamp(row.get_ref(0)?)?),
        )
        .optional()
}

fn life(until: Timestamp, now: Timestamp) -> Life {
    match Duration::try_from(until.duration_since(now)) {
        Ok(left) if !left.is_zero() => Life::Alive(left),
        _ => Life::Lapsed,
    }
}
