//! Every version of an account: when, by which run, through what, and why.

use jiff::Timestamp;
use rotation_core::{AccountKey, RunId, Version, VersionId, VersionState};
use serde::Serialize;

use crate::exit::Failure;
use crate::output;

/// The versions of an account, the newest last.
#[derive(Debug, Serialize)]
pub(super) struct History {
    #[serde(flatten)]
    key: AccountKey,
    upn: String,
    versions: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    version: VersionId,
    state: VersionState,
    staged_at: Timestamp,
    committed_at: Option<Timestamp>,
    run_id: RunId,
    caller: String,
    backend: String,
    reason: String,
    request_id: Option<String>,
}

impl History {
    /// Adds a version to those of its account; they come account by account.
    pub(super) fn add(histories: &mut Vec<Self>, version: Version) {
        let (key, upn) = (version.key.account.clone(), version.user_name.clone());
        let entry = Entry::from(version);
        match histories.last_mut() {
            Some(history) if history.key == key => {
                // the name it has by now
                history.upn = upn;
                history.versions.push(entry);
            }
            _ => histories.push(Self {
                key,
                upn,
                versions: vec![entry],
            }),
        }
    }
}

impl From<Version> for Entry {
    fn from(version: Version) -> Self {
        let (committed_at, request_id) = match version.committed {
            Some(known) => (Some(known.at), known.request_id),
            None => (None, None),
        };
        Self {
            version: version.key.version,
            state: version.state,
            staged_at: version.staged_at,
            committed_at,
            run_id: version.run,
            caller: version.origin.caller,
            backend: version.origin.backend,
            reason: version.origin.reason,
            request_id,
        }
    }
}

pub(super) fn print(histories: &[History]) -> Result<(), Failure> {
    for history in histories {
        output::line(&format!("{}  ({})", history.upn, history.key))?;
        for entry in &history.versions {
            print_entry(entry)?;
        }
        output::line("")?;
    }
    Ok(())
}

fn print_entry(entry: &Entry) -> Result<(), Failure> {
    let state = match entry.state {
        VersionState::Current => "current",
        VersionState::Pending => "pending",
        VersionState::Previous => "previous",
    };
    let committed = match (entry.committed_at, &entry.request_id) {
        (None, _) => "never".to_owned(),
        (Some(at), None) => second(at),
        (Some(at), Some(id)) => format!("{}, request-id {id}", second(at)),
    };
    let mut table = output::table(&[]);
    table.add_row(["  version", &format!("{}, {state}", entry.version)]);
    table.add_row([
        "  staged",
        &format!("{} by run {}", second(entry.staged_at), entry.run_id),
    ]);
    table.add_row(["  committed", &committed]);
    if !entry.caller.is_empty() {
        let set_by = format!("caller {} through {}", entry.caller, entry.backend);
        table.add_row(["  set by", &set_by]);
    }
    if !entry.reason.is_empty() {
        table.add_row(["  because", &entry.reason]);
    }
    output::line(&format!("\n{}", table.trim_fmt()))
}

fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
