//! Leases: one document for each, and the server's clock alone.
//!
//! The server dates every write. So a lease is given a time to live, counted from the date of the write; and a write
//! that was meant to prolong a lease, but is dated after its end, is void. Whether a lease lapsed follows from its
//! document, for good, and nobody's own clock has a say.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rotation_core::{Lease, StoreError};
use serde::{Deserialize, Serialize};

use super::kv::{Document, Kv, Written};
use super::{ROUNDS, busy};

/// The last thing that happened to a lease.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Note {
    /// It began.
    Begun { ttl_ms: u64 },
    /// It was prolonged, if that was before its end.
    Renewed { ttl_ms: u64, before: Timestamp },
    /// Another run looked whether it lives. If not, this makes it so for good.
    Seen { until: Timestamp },
}

impl Note {
    /// Until when the lease lives; `None` if it lapsed.
    fn until(&self, written: Timestamp) -> Option<Timestamp> {
        let (ttl_ms, end) = match *self {
            Self::Begun { ttl_ms } => return Some(after(written, ttl_ms)),
            Self::Renewed { ttl_ms, before } => (Some(ttl_ms), before),
            Self::Seen { until } => (None, until),
        };
        (written < end).then(|| ttl_ms.map_or(end, |ttl_ms| after(written, ttl_ms)))
    }
}

fn after(written: Timestamp, ttl_ms: u64) -> Timestamp {
    let ttl = SignedDuration::from_millis(i64::try_from(ttl_ms).unwrap_or(i64::MAX));
    written.checked_add(ttl).unwrap_or(Timestamp::MAX)
}

/// Begins the lease at `path`, or prolongs it.
pub(super) async fn take(
    kv: &Kv,
    path: &str,
    lease: &Lease,
    ttl: Duration,
) -> Result<(), StoreError> {
    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    let lost = || StoreError::LeaseLost(lease.clone());
    for _ in 0..ROUNDS {
        let (note, cas) = match read(kv, path).await? {
            None => (Note::Begun { ttl_ms }, 0),
            Some(found) => {
                let before = found.content.until(found.written).ok_or_else(lost)?;
                (Note::Renewed { ttl_ms, before }, found.cas)
            }
        };
        if let Written::At(written) = kv.write(path, &note, cas).await? {
            return note.until(written).map(|_| ()).ok_or_else(lost);
        }
    }
    Err(busy(&kv.full(path)))
}

/// Until when the lease at `path` lives, unless it lapses or ends before; `None` if it did.
pub(super) async fn until(kv: &Kv, path: &str) -> Result<Option<Timestamp>, StoreError> {
    let found = read(kv, path).await?;
    Ok(found.and_then(|found| found.content.until(found.written)))
}

/// How much longer the lease at `path` lives, `now` being a date that the server gave just before. One that is found to
/// have lapsed never lives again: whoever asked may take over what it held.
pub(super) async fn remaining(
    kv: &Kv,
    path: &str,
    now: Timestamp,
) -> Result<Option<Duration>, StoreError> {
    for _ in 0..ROUNDS {
        let Some(found) = read(kv, path).await? else {
            return Ok(None);
        };
        let Some(until) = found.content.until(found.written) else {
            return Ok(None);
        };
        if now < until {
            return Ok(Some(until.duration_since(now).unsigned_abs()));
        }
        let seen = Note::Seen { until };
        if let Written::At(written) = kv.write(path, &seen, found.cas).await? {
            let left = until.duration_since(written).unsigned_abs();
            return Ok(seen.until(written).map(|_| left));
        }
    }
    Err(busy(&kv.full(path)))
}

async fn read(kv: &Kv, path: &str) -> Result<Option<Document<Note>>, StoreError> {
    kv.read(path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::constant(second, 0)
    }

    #[test]
    fn a_lease_lives_for_its_time_from_the_date_of_the_write() {
        assert_eq!(Note::Begun { ttl_ms: 5000 }.until(at(10)), Some(at(15)));
        assert_eq!(
            Note::Begun { ttl_ms: u64::MAX }.until(at(10)),
            Some(Timestamp::MAX)
        );
    }

    #[test]
    fn a_renewal_dated_after_the_end_is_void() {
        let renewed = Note::Renewed {
            ttl_ms: 5000,
            before: at(15),
        };
        assert_eq!(renewed.until(at(14)), Some(at(19)));
        assert_eq!(renewed.until(at(15)), None);
    }

    #[test]
    fn a_look_neither_prolongs_a_lease_nor_ends_it_early() {
        let seen = Note::Seen { until: at(15) };
        assert_eq!(seen.until(at(11)), Some(at(15)));
        assert_eq!(seen.until(at(15)), None);
    }
}
