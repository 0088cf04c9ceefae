//! `rotation status`: what the store holds, read without any key.

mod copies;
mod drift;
mod history;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rotation_core::{AccountKey, Lease, RunId, TenantId, Version, VersionId, VersionState};
use secret_stores::Identities;
use serde::Serialize;

use crate::args::{Common, Format, Status as Args};
use crate::clock;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::stored::{self, Filter, tenant_ids};
use crate::wiring::store::Stores;
use crate::wiring::{self, Candidate};
use copies::CopyStatus;
use drift::{Directories, Drifted};
use history::History;

pub(super) async fn run(common: &Common, args: &Args) -> Result<Exit, Failure> {
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    let stores = Stores::of(&config).map_err(Failure::usage)?;
    let reader = stores.read(Identities::none()).await;
    let reader = reader.map_err(|error| stored::failure(&error))?;
    let directories = match args.verify {
        true => Some(Directories::look(&config, common, args.sharded).await?),
        false => None,
    };
    let mut filter = filter(&config, common, args, directories.as_ref()).await?;
    let mut status = Status::new(clock::now(), directories, !common.accounts.is_empty());
    let leases = reader.leases().await;
    status.at_work(leases.map_err(|error| stored::failure(&error))?);
    filter
        .read(reader.as_ref(), |version| status.add(version))
        .await?;
    if common.accounts.is_empty() {
        status.copies = CopyStatus::of(&stores, reader.as_ref(), &filter.selects()).await;
    }
    match common.format {
        Format::Json => output::json(&status)?,
        Format::Table => status.print()?,
    }
    Ok(match filter.exit() {
        Exit::Done if !status.is_well() => Exit::Incomplete,
        exit => exit,
    })
}

/// What to show: of the tenants that the command line names, or of all that the store knows.
async fn filter(
    config: &Config,
    common: &Common,
    args: &Args,
    directories: Option<&Directories>,
) -> Result<Filter, Failure> {
    let names_some = args.sharded.shard.is_some() || !common.tenants.is_empty();
    match (directories, args.sharded.shard) {
        (Some(seen), _) => Ok(Filter::new(
            names_some.then(|| seen.tenants.clone()),
            &common.accounts,
        )),
        (None, None) => Filter::of(common),
        (None, Some(_)) => {
            let asked = wiring::asked(config, common, args.sharded).await?;
            if let Some(unread) = asked.iter().find(|candidate| candidate.is_list) {
                return Err(unread.refused());
            }
            let ids = tenant_ids(asked.iter().map(Candidate::id))?;
            Ok(Filter::new(Some(ids), &common.accounts))
        }
    }
}

/// What the store holds. Grows with the tenants and the accounts that need a look, not with all accounts.
#[derive(Debug, Serialize)]
struct Status {
    unsettled: Vec<Unsettled>,
    /// If the directories were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    drifted: Option<Vec<Drifted>>,
    /// The tenants whose directories could not be asked, as they are configured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
    /// If the store can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_work: Option<Vec<AtWork>>,
    /// If there are any, and no accounts are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    copies: Vec<CopyStatus>,
    /// If accounts are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<History>>,
    tenants: BTreeMap<TenantId, Counts>,
    #[serde(skip)]
    directories: Option<Directories>,
    #[serde(skip)]
    now: Timestamp,
    #[serde(skip)]
    last: Option<AccountKey>,
}

/// A run that holds a lease.
#[derive(Debug, Serialize)]
struct AtWork {
    tenant: TenantId,
    run_id: RunId,
    lapses_in_seconds: f64,
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
    fn new(now: Timestamp, directories: Option<Directories>, history: bool) -> Self {
        Self {
            unsettled: Vec::new(),
            drifted: directories.is_some().then(Vec::new),
            left_out: directories
                .as_ref()
                .map(|seen| seen.left_out.clone())
                .unwrap_or_default(),
            at_work: None,
            copies: Vec::new(),
            history: history.then(Vec::new),
            tenants: BTreeMap::new(),
            directories,
            now,
            last: None,
        }
    }

    fn at_work(&mut self, leases: Option<Vec<(Lease, Duration)>>) {
        let at_work = |(lease, lapses_in): (Lease, Duration)| AtWork {
            tenant: lease.tenant,
            run_id: lease.run,
            lapses_in_seconds: lapses_in.as_secs_f64(),
        };
        self.at_work = leases.map(|all| all.into_iter().map(at_work).collect());
    }

    /// Takes the next version; they come account by account.
    fn add(&mut self, version: Version) {
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
            self.add_pending(&version);
        }
        if let (Some(drifted), Some(seen)) = (&mut self.drifted, &self.directories) {
            drifted.extend(seen.drift_of(&version));
        }
        if let Some(history) = &mut self.history {
            History::add(history, version);
        }
    }

    /// Whether the store knows which password is live, and nobody else has changed it, as far as was asked.
    fn is_well(&self) -> bool {
        self.unsettled.is_empty()
            && self.left_out.is_empty()
            && self.drifted.as_ref().is_none_or(Vec::is_empty)
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
        self.print_unsettled()?;
        if let Some(drifted) = &self.drifted {
            drift::print(drifted)?;
            for name in &self.left_out {
                output::line(&format!(
                    "{name}: not asked, so nothing is known of drift there\n"
                ))?;
            }
        }
        self.print_at_work()?;
        copies::print(&self.copies)?;
        if let Some(history) = &self.history {
            return history::print(history);
        }
        if self.tenants.is_empty() {
            return output::line("The store is empty: nothing was rotated yet.");
        }
        self.print_counts()
    }

    fn print_unsettled(&self) -> Result<(), Failure> {
        if self.unsettled.is_empty() {
            return Ok(());
        }
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
            "\n`rotation recover` settles them, and so does the next `rotation apply`; `rotation reveal` reads every \
             password they may have.\n",
        )
    }

    fn print_at_work(&self) -> Result<(), Failure> {
        for AtWork {
            tenant,
            run_id,
            lapses_in_seconds,
        } in self.at_work.iter().flatten()
        {
            output::line(&format!(
                "Run {run_id} is at work in tenant {tenant}, or died: its lease lapses in {lapses_in_seconds:.0} s \
                 unless it renews it. Until then what it has under way is pending.\n"
            ))?;
        }
        Ok(())
    }

    fn print_counts(&self) -> Result<(), Failure> {
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
    output::span(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}
