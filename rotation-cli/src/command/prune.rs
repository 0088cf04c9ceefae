//! `rotation prune`: drops previous passwords from the store, all but the newest.

use std::collections::BTreeSet;

use rotation_core::Select;
use secret_stores::Identities;
use serde::Serialize;

use crate::args::{Common, Format, Prune};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::stored::{self, Filter};
use crate::wiring::store::Stores;

/// What it did.
#[derive(Serialize)]
struct Pruned {
    pruned: u64,
    kept_of_each: usize,
}

pub(super) async fn run(common: &Common, args: &Prune) -> Result<Exit, Failure> {
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    // where tenants differ, as many as the one that keeps most
    let policies = config.tenants.iter().map(|tenant| &tenant.policy);
    let most = policies.map(|policy| policy.keep_previous).max();
    let keep = args.keep.or(most).unwrap_or(config.policy.keep_previous);
    let mut filter = Filter::of(common)?;
    // a store that is not there is not made to prune it
    let reader = stored::open(&config, Identities::none()).await?;
    let selects = if common.accounts.is_empty() {
        filter.selects()
    } else {
        let mut accounts = BTreeSet::new();
        let read = filter.read(reader.as_ref(), |version| {
            accounts.insert(version.key.account);
        });
        read.await?;
        accounts.into_iter().map(Select::Account).collect()
    };
    let stores = Stores::of(&config).map_err(Failure::usage)?;
    let open = stores
        .open()
        .await
        .map_err(|error| stored::failure(&error))?;
    let mut pruned = 0;
    for select in selects {
        let dropped = open.store.prune(&select, keep).await;
        pruned += dropped.map_err(|error| stored::failure(&error))?;
    }
    open.close().await;
    match common.format {
        Format::Json => output::json(&Pruned {
            pruned,
            kept_of_each: keep,
        })?,
        Format::Table => output::line(&format!(
            "Previous passwords dropped: {pruned}; kept of each account: the newest {keep}."
        ))?,
    }
    Ok(filter.exit())
}
