//! Removes what nobody needs any more, while others write.

use std::collections::VecDeque;
use std::path::Path;
use std::pin::pin;

use futures::{Stream, TryStreamExt};
use rotation_core::{Select, StoreError, VersionKey, VersionState};
use tokio::sync::mpsc;

use super::log;
use super::step::{Change, Dropped, Rows};
use super::writer::Writer;
use super::{blocking, connect, error, reading};

/// How many versions go in one change: others' changes need not wait long for it.
const CHUNK: usize = 256;

/// A version as it was found, in a file whose last row was `seen`.
struct Found {
    key: VersionKey,
    state: VersionState,
    rows: Rows,
    seen: i64,
}

/// Removes the previous versions of each account that `select` names, but for the `keep` newest, and says how many; and
/// to `told` which, once they are gone. Of discarded versions, which are not counted, it erases the passwords.
pub(super) async fn prune(
    path: &Path,
    writer: &Writer,
    select: Select,
    keep: usize,
    told: Option<mpsc::Sender<VersionKey>>,
) -> Result<u64, StoreError> {
    let mut versions = pin!(found(path, select.clone()));
    let mut account = None;
    let mut kept = VecDeque::new();
    let mut dropped = Vec::new();
    let mut seen = 0;
    let mut count = 0;
    while let Some(version) = versions.try_next().await? {
        if version.state != VersionState::Previous {
            continue;
        }
        seen = version.seen;
        if account.as_ref() != Some(&version.key.account) {
            account = Some(version.key.account.clone());
            kept.clear();
        }
        kept.push_back((version.key, version.rows));
        if kept.len() > keep {
            dropped.extend(kept.pop_front());
        }
        if dropped.len() == CHUNK {
            count += remove(writer, seen, std::mem::take(&mut dropped), told.as_ref()).await?;
        }
    }
    if !dropped.is_empty() {
        count += remove(writer, seen, dropped, told.as_ref()).await?;
    }
    // Only now, when all of these accounts were found sound.
    let erased = erase_discarded(path, writer, select).await?;
    if count > 0 || erased {
        let path = path.to_owned();
        blocking(move || connect::fold_wal(&path)).await?;
    }
    Ok(count)
}

async fn remove(
    writer: &Writer,
    seen: i64,
    versions: Vec<(VersionKey, Rows)>,
    told: Option<&mpsc::Sender<VersionKey>>,
) -> Result<u64, StoreError> {
    let (keys, changes): (Vec<_>, _) = versions
        .into_iter()
        .map(|(key, rows)| {
            let versions = vec![rows];
            (key, Change::Prune(Dropped { seen, versions }))
        })
        .unzip();
    let answers = writer.count(changes).await;
    let mut count = 0;
    for (key, answer) in keys.into_iter().zip(answers) {
        let removed = answer?;
        count += removed;
        if removed > 0
            && let Some(told) = told
            && told.send(key).await.is_err()
        {
            return Err(error::stopped("whoever is told what is pruned"));
        }
    }
    Ok(count)
}

/// Erases the passwords of discarded versions, which nothing brings back, and says whether there were any.
async fn erase_discarded(path: &Path, writer: &Writer, select: Select) -> Result<bool, StoreError> {
    if matches!(select, Select::Pending(_)) {
        return Ok(false);
    }
    let path = path.to_owned();
    let discarded = blocking(move || {
        let connection = connect::read_only(&path)?;
        let (condition, parameters) = reading::condition(&select)?;
        log::discarded(&connection, &condition, parameters)
            .map_err(|error| error::sqlite(&path, error))
    })
    .await?;
    for chunk in discarded.chunks(CHUNK) {
        let changes = chunk.iter().copied().map(Change::Erase).collect();
        for answer in writer.write(changes).await {
            answer?;
        }
    }
    Ok(!discarded.is_empty())
}

/// The versions that `select` names, account by account.
fn found(path: &Path, select: Select) -> impl Stream<Item = Result<Found, StoreError>> {
    let named = path.to_owned();
    let mut last_seq = None;
    reading::stream(path.to_owned(), select, move |connection, entry| {
        let seen = match last_seq {
            Some(seen) => seen,
            None => log::last_seq(connection).map_err(|error| error::sqlite(&named, error))?,
        };
        last_seq = Some(seen);
        Ok(Found {
            key: entry.item.key,
            state: entry.state,
            rows: Rows {
                staged: entry.staged,
                contested: entry.contested,
                committed: entry.committed,
            },
            seen,
        })
    })
}
