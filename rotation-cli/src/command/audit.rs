//! `rotation audit`: the record of what every run decided and did.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rotation_core::{AuditError, AuditFile, AuditFilter, AuditRecord, AuditSummary};
use serde_json::Value;

use crate::args::{Audit, AuditShow, AuditVerify, Common, Format};
use crate::audit::failure;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::named::{Named, includes};
use crate::output;
use crate::stored::tenant_ids;

/// In hexadecimal digits.
const HASH_LENGTH: usize = 64;

pub(super) fn run(common: &Common, args: &Audit) -> Result<Exit, Failure> {
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    let path = record(&config)?;
    match args {
        Audit::Show(args) => show(common, args, &path),
        Audit::Verify(args) => verify(common, args, &path),
    }
}

/// The record of the configuration.
fn record(config: &Config) -> Result<PathBuf, Failure> {
    let path = config.audit_path().ok_or_else(|| {
        Failure::usage(miette::miette!(
            help = "remove `enabled = false` from [audit], and whatever is rotated from then on is on record",
            "the configuration switches the audit record off"
        ))
    })?;
    if !path.exists() {
        return Err(Failure::usage(miette::miette!(
            help = "correct [audit] path, or run `rotation apply` first",
            "there is no audit record at {}",
            path.display()
        )));
    }
    Ok(path)
}

fn verify(common: &Common, args: &AuditVerify, path: &Path) -> Result<Exit, Failure> {
    let head = args.head.as_deref().map(check_head).transpose()?;
    let summary = AuditFile::verify(path, head.as_deref()).map_err(|error| changed(&error))?;
    match common.format {
        Format::Json => output::json(&summary)?,
        Format::Table => print(&summary, path, head.is_some())?,
    }
    Ok(Exit::Done)
}

/// A record that was changed is no mistake of whoever asks, but what they asked to find out.
fn changed(error: &AuditError) -> Failure {
    match error {
        AuditError::Broken { .. } => Failure {
            exit: Exit::Incomplete,
            ..failure(error)
        },
        _ => failure(error),
    }
}

fn check_head(head: &str) -> Result<String, Failure> {
    let head = head.trim().to_lowercase();
    if head.len() == HASH_LENGTH && head.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(head);
    }
    Err(Failure::usage(miette::miette!(
        help = "`rotation apply --format json` ends with it as `audit_head`",
        "--head: expected a hash of {HASH_LENGTH} hexadecimal digits, found `{head}`"
    )))
}

fn print(summary: &AuditSummary, path: &Path, against_head: bool) -> Result<(), Failure> {
    output::line(&format!(
        "{}: {} records, each as it was written{}.",
        path.display(),
        summary.records,
        if against_head {
            ", the one with the given hash among them"
        } else {
            ""
        }
    ))?;
    let mut table = output::table(&[]);
    if let (Some(first), Some(last)) = (summary.first, summary.last) {
        let time = "%Y-%m-%d %H:%M:%S UTC";
        let span = format!("{} to {}", first.strftime(time), last.strftime(time));
        table.add_row(["from".to_owned(), span]);
    }
    let more = if summary.runs.len() < AuditSummary::MOST_RUNS {
        ""
    } else {
        " or more"
    };
    table.add_row(["runs".to_owned(), format!("{}{more}", summary.runs.len())]);
    table.add_row(["head".to_owned(), summary.head.clone()]);
    output::line(&table.trim_fmt())?;
    if summary.torn > 0 {
        output::line(&format!(
            "{} lines were torn by a crash in the middle of writing; nobody was told that they were on record.",
            summary.torn
        ))?;
    }
    if !summary.end_known {
        output::line(&format!(
            "{}.head is missing, so a cut at the end does not show. → verify against a head kept elsewhere: --head",
            path.display()
        ))?;
    }
    output::line(
        "Whoever can write the record and its .head can write both anew: keep the head elsewhere, and give it with --head.",
    )
}

fn show(common: &Common, args: &AuditShow, path: &Path) -> Result<Exit, Failure> {
    let tenants = tenant_ids(common.tenants.iter().map(String::as_str))?;
    let filter = AuditFilter {
        run: args.run,
        since: args.since,
        ..AuditFilter::default()
    };
    let records = AuditFile::read(path, filter).map_err(|error| failure(&error))?;
    let mut about = About::new(&common.accounts);
    let mut broken = None;
    output::write(|out| {
        for record in records {
            match record {
                Ok(record) => {
                    let of = |tenant| tenants.is_empty() || tenants.contains(tenant);
                    if record.tenant.as_ref().is_none_or(of) && about.names(&record) {
                        write(out, common.format, &record)?;
                    }
                }
                Err(error) => broken = Some(error),
            }
        }
        Ok(())
    })?;
    match broken {
        None => Ok(about.exit()),
        Some(error) => Err(changed(&error)),
    }
}

/// The accounts that somebody asks about.
struct About<'a> {
    names: &'a [String],
    /// Theirs, as far as a record had name and id together: most have the id alone.
    ids: BTreeSet<String>,
    unseen: Named,
}

impl<'a> About<'a> {
    fn new(names: &'a [String]) -> Self {
        Self {
            names,
            ids: BTreeSet::new(),
            unseen: Named::new(names),
        }
    }

    /// Whether a record is about one of them. Those about no account are shown only if none is named.
    fn names(&mut self, record: &AuditRecord) -> bool {
        if self.names.is_empty() {
            return true;
        }
        let Some(id) = text(record, "account") else {
            return false;
        };
        let upn = text(record, "upn").unwrap_or_default();
        if includes(self.names, id, upn) {
            self.unseen.see_names(id, upn);
            self.ids.insert(id.to_owned());
        }
        self.ids.contains(id)
    }

    /// How the program ends: an account that was asked for and is not there is not everything wanted.
    fn exit(self) -> Exit {
        let missing = self.unseen.missing();
        for name in &missing {
            output::note(&format!("no such record is about {name}"));
        }
        if missing.is_empty() {
            Exit::Done
        } else {
            Exit::Incomplete
        }
    }
}

fn write(out: &mut dyn Write, format: Format, record: &AuditRecord) -> io::Result<()> {
    if format == Format::Json {
        serde_json::to_writer(&mut *out, &record.fields)?;
        return writeln!(out);
    }
    let time = record.at.strftime("%Y-%m-%d %H:%M:%S");
    write!(out, "{:>6}  {time}  {:<12}", record.seq, record.event)?;
    let who = text(record, "upn").or_else(|| text(record, "account"));
    let what = WHAT.iter().filter_map(|name| text(record, name));
    for part in who.into_iter().chain(what) {
        write!(out, "  {part}")?;
    }
    if let Some(run) = record.run_id.filter(|_| record.event.starts_with("run-")) {
        write!(out, "  run {run}")?;
    }
    writeln!(out)
}

/// What a person wants to know of a record; `--format json` has everything.
const WHAT: &[&str] = &[
    "decision",
    "outcome",
    "result",
    "stop",
    "reason",
    "problem",
    "version",
    "request_id",
];

fn text<'a>(record: &'a AuditRecord, name: &str) -> Option<&'a str> {
    record.fields.get(name).and_then(Value::as_str)
}
