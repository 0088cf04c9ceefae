//! How far the copies of the store are behind it.

use rotation_core::{AccountKey, Problem, Select, StoreError};
use secret_stores::{Lag, lag};
use serde::Serialize;

use crate::exit::Failure;
use crate::output;
use crate::wiring::store::{StoreReader, Stores, problem};

/// A copy, and what it lacks.
#[derive(Debug, Serialize)]
pub(super) struct CopyStatus {
    name: String,
    /// How many accounts have a later current password in the primary store; `None` if the copy cannot be read.
    behind: Option<u64>,
    /// The first few of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<AccountKey>,
    #[serde(flatten)]
    problem: Option<Problem>,
}

impl CopyStatus {
    /// Compares every copy with the primary store.
    pub(super) async fn of(
        stores: &Stores,
        primary: &dyn StoreReader,
        selects: &[Select],
    ) -> Vec<Self> {
        let mut copies = Vec::new();
        for (name, copy) in stores.read_copies().await {
            let compared = match copy {
                Ok(copy) => compare(primary, copy.as_ref(), selects).await,
                Err(error) => Err(error),
            };
            copies.push(match compared {
                Ok(lag) => Self {
                    name: name.to_owned(),
                    behind: Some(lag.accounts),
                    accounts: lag.named,
                    problem: None,
                },
                Err(error) => Self {
                    name: name.to_owned(),
                    behind: None,
                    accounts: Vec::new(),
                    problem: Some(problem(&error)),
                },
            });
        }
        copies
    }
}

async fn compare(
    primary: &dyn StoreReader,
    copy: &dyn StoreReader,
    selects: &[Select],
) -> Result<Lag, StoreError> {
    let mut all = Lag::default();
    for select in selects {
        let one = lag(
            primary.versions(select.clone()),
            copy.versions(select.clone()),
        )
        .await?;
        all.accounts += one.accounts;
        all.named.extend(one.named);
    }
    Ok(all)
}

pub(super) fn print(copies: &[CopyStatus]) -> Result<(), Failure> {
    let mut table = output::table(&["copy", "behind"]);
    for copy in copies {
        let behind = match (copy.behind, &copy.problem) {
            (Some(0), _) => "no account".to_owned(),
            (Some(1), _) => "1 account, until it is rotated again".to_owned(),
            (Some(accounts), _) => format!("{accounts} accounts, until each is rotated again"),
            (None, Some(problem)) => format!("unknown: {problem}"),
            (None, None) => "unknown".to_owned(),
        };
        table.add_row([copy.name.clone(), behind]);
    }
    if table.is_empty() {
        return Ok(());
    }
    output::line(&format!("{}\n", table.trim_fmt()))
}
