//! `rotation status`: what the store holds, read without any key.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use jiff::Timestamp;
use rotation_core::{AccountKey, TenantId, Version, VersionId, VersionState};
use secret_stores::Identities;
use serde::Serialize;

use crate::args::{Common, Format};
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::stored::{self, Filter};

pub(super) async fn run(common: &Common) -> Result<Exit, Failure> {
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    let mut filter = Filter::new(common)?;
    let reader = stored::open(&config, Identities::none()).await?;
    let mut status = Status::new(clock::now());
    let mut versions = reader.versions(filter.select());
    while let Some(version) = versions
        .try_next()
        .await
        .map_err(|error| stored::failure(&error))?
    {
        if filter.takes(&version) {
            status.add(&version);
        }
    }
    match common.format {
        Format::Json => output::json(&status)?,
        Format::Table => status.print()?,
    }
    Ok(filter.exit())
}

/// What the store holds. Grows with the tenants and the unsettled accounts, not with the accounts.
#[derive(Debug, Serialize)]
struct Status {
    tenants: BTreeMap<TenantId, Counts>,
    unsettled: Vec<Unsettled>,
    #[serde(skip)]
    now: Timestamp,
    #[serde(skip)]
    last: Option<AccountKey>,
}

#[derive(Debug, Default, Serialize)]
struct Counts {
    accounts: u64,
    pending: u64,
    current: u64,
    previous: u64,
    /// When the last version was staged.
    last_staged: Option<Timestamp>,
}

/// An account with a pending version: which of its versions is live is not known.
#[derive(Debug, Serialize)]
struct Unsettled {
    #[serde(flatten)]
    key: AccountKey,
    upn: String,
    versions: Vec<PendingVersion>,
}

#[derive(Debug, Serialize)]
struct PendingVersion {
    version: VersionId,
    staged_at: Timestamp,
    age_seconds: i64,
}

impl Status {
    fn new(now: Timestamp) -> Self {
        Self {
            tenants: BTreeMap::new(),
            unsettled: Vec::new(),
            now,
            last: None,
        }
    }

    /// Takes the next version; they come account by account.
    fn add(&mut self, version: &Version) {
        let key = &version.key.account;
        let counts = self.tenants.entry(key.tenant.clone()).or_default();
        if self.last.as_ref() != Some(key) {
            counts.accounts += 1;
            self.last = Some(key.clone());
        }
        counts.last_staged = counts.last_staged.max(Some(version.staged_at));
        match version.state {
            VersionState::Pending => counts.pending += 1,
            VersionState::Current => counts.current += 1,
            VersionState::Previous => counts.previous += 1,
        }
        if version.state == VersionState::Pending {
            self.add_pending(version);
        }
    }

    fn add_pending(&mut self, version: &Version) {
        let pending = PendingVersion {
            version: version.key.version,
            staged_at: version.staged_at,
            age_seconds: self.now.duration_since(version.staged_at).as_secs(),
        };
        match self.unsettled.last_mut() {
            Some(account) if account.key == version.key.account => account.versions.push(pending),
            _ => self.unsettled.push(Unsettled {
                key: version.key.account.clone(),
                upn: version.user_name.clone(),
                versions: vec![pending],
            }),
        }
    }

    fn print(&self) -> Result<(), Failure> {
        if !self.unsettled.is_empty() {
            let mut table =
                output::table(&["unsettled", "account", "pending version", "staged", "age"]);
            for account in &self.unsettled {
                for pending in &account.versions {
                    table.add_row([
                        account.upn.clone(),
                        account.key.account.to_string(),
                        pending.version.to_string(),
                        minute(pending.staged_at),
                        age(pending.age_seconds),
                    ]);
                }
            }
            output::line(&table.trim_fmt())?;
            output::line(
                "\nThe next `rotation apply` settles them; `rotation reveal` reads every password they may have.\n",
            )?;
        }
        if self.tenants.is_empty() {
            return output::line("The store is empty: nothing was rotated yet.");
        }
        let mut table = output::table(&[
            "tenant",
            "accounts",
            "unsettled",
            "current",
            "previous",
            "last rotation",
        ]);
        for (tenant, counts) in &self.tenants {
            let unsettled = self
                .unsettled
                .iter()
                .filter(|account| account.key.tenant == *tenant);
            table.add_row([
                tenant.to_string(),
                counts.accounts.to_string(),
                unsettled.count().to_string(),
                counts.current.to_string(),
                counts.previous.to_string(),
                counts.last_staged.map(minute).unwrap_or_default(),
            ]);
        }
        output::line(&table.trim_fmt())
    }
}

fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn age(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    // two units say enough: "3days 4h"
    let text = humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
