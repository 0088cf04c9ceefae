use std::collections::{BTreeSet, HashMap};

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use rotation_core::{AccountKey, StoreError, Version, VersionId, VersionState};

use super::queue::NAMED;

/// How far a copy is behind its primary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// How many accounts have a current version in the primary, but none or another one in the copy.
    pub accounts: u64,
    /// The first few of these.
    pub named: Vec<AccountKey>,
}

/// Compares the current versions of a primary and of a copy, given what `versions` of each store or reader gives for the
/// same selection.
///
/// Both are read once, side by side. That takes memory for the accounts that only one of them has shown so far: few, if
/// both show them in the same order and the copy is not far behind.
///
/// Every difference counts: the ids of versions cannot tell which is the later one, for the clocks of their runs may
/// differ. So what is copied while this reads may count too; what differs twice does lag.
///
/// # Errors
/// The first error of either.
pub async fn lag(
    primary: impl Stream<Item = Result<Version, StoreError>> + Send,
    copy: impl Stream<Item = Result<Version, StoreError>> + Send,
) -> Result<Lag, StoreError> {
    let primary = current(primary).map_ok(|(account, version)| (account, Some(version), None));
    let copy = current(copy).map_ok(|(account, version)| (account, None, Some(version)));
    let mut both = stream::select(primary.boxed(), copy.boxed());
    let mut open = HashMap::new();
    let mut behind = 0;
    let mut named = BTreeSet::new();
    let mut lags = |account| {
        behind += 1;
        named.insert(account);
        if named.len() > NAMED {
            named.pop_last();
        }
    };
    while let Some((account, in_primary, in_copy)) = both.try_next().await? {
        let (earlier_primary, earlier_copy) = open.remove(&account).unwrap_or_default();
        match (in_primary.or(earlier_primary), in_copy.or(earlier_copy)) {
            (Some(primary), Some(copy)) if copy != primary => lags(account),
            (Some(_), Some(_)) => {}
            half => {
                open.insert(account, half);
            }
        }
    }
    let left = open.into_iter();
    left.filter(|(_, (in_primary, _))| in_primary.is_some())
        .for_each(|(account, _)| lags(account));
    Ok(Lag {
        accounts: behind,
        named: named.into_iter().collect(),
    })
}

fn current(
    versions: impl Stream<Item = Result<Version, StoreError>> + Send,
) -> impl Stream<Item = Result<(AccountKey, VersionId), StoreError>> + Send {
    versions.try_filter_map(async |version| {
        let is_current = version.state == VersionState::Current;
        Ok(is_current.then_some((version.key.account, version.key.version)))
    })
}
