//! The command line.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use backend_powershell_compat::script::Module;
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use rotation_core::{RoleId, RunId, role_named};
use uuid::Uuid;

use crate::config::Credential;
use crate::shard::Shard;
use crate::since;

/// Where the configuration is looked for.
const DEFAULT_CONFIG: &str = "rotation.toml";

/// Rotate the passwords of directory accounts, and lose none.
#[derive(Debug, Parser)]
#[command(name = "rotation", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// The configuration [default: rotation.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Only this tenant, named as in the configuration, or a customer by GUID or domain; may be repeated
    #[arg(long = "tenant", global = true, value_name = "TENANT")]
    pub(crate) tenants: Vec<String>,

    /// Only this account, by user principal name or object id; may be repeated
    #[arg(long = "account", global = true, value_name = "UPN|ID")]
    pub(crate) accounts: Vec<String>,

    /// What the data on stdout looks like
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) format: Format,

    /// Say more on stderr: -v what is done, -vv how, -vvv everything. `RUST_LOG` overrides it
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Say only what is wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

impl Common {
    /// The file that was named, or the one in the working directory.
    pub(crate) fn config(&self) -> &Path {
        self.config
            .as_deref()
            .unwrap_or_else(|| Path::new(DEFAULT_CONFIG))
    }

    /// Whether somebody named the file, so that it must be there.
    pub(crate) fn names_config(&self) -> bool {
        self.config.is_some()
    }

    /// The same for everything in another configuration.
    pub(crate) fn with_config(self, config: PathBuf) -> Self {
        Self {
            config: Some(config),
            tenants: Vec::new(),
            accounts: Vec::new(),
            ..self
        }
    }
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    // described by their names: a description would spread every --help over three times the lines
    #[default]
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Rotate what is due, and settle what earlier runs left unsettled
    Apply(Apply),
    /// Look into the record of what every run decided and did
    #[command(subcommand)]
    Audit(Audit),
    /// See it work: a simulated tenant on this machine, rotated over HTTP
    Demo(Demo),
    /// Check everything a run needs, in every tenant, and say how to mend what is wrong; changes nothing
    Doctor(Doctor),
    /// Say whether an account may be rotated, by which role, and if not, why not and what would do
    Explain(Explain),
    /// Print passwords of the policy, and touch nothing
    Generate(Generate),
    /// Write a rotation.toml to begin with
    Init,
    /// Make the key pair that passwords are sealed to
    Keygen(Keygen),
    /// Say what would be rotated, and change nothing
    Plan(Plan),
    /// Drop previous passwords from the store, all but the newest
    Prune(Prune),
    /// Settle what earlier runs left unsettled, and rotate nothing else
    Recover(Recover),
    /// Read passwords back, with the private key if the store seals them
    Reveal(Reveal),
    /// Give the app what it needs in every tenant: service principal, permissions, role; shows it and asks first
    Setup(Setup),
    /// Say what the store holds, what is unsettled first; with --account, the history of that account
    Status(Status),
}

/// Splits the tenants among several runs.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Sharded {
    /// Only the tenants of this shard: 3/16 is every 16th from the 3rd on, in the order of their ids as configured
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Look again until all is well, for so long at most (15m unless said): what was granted may take minutes to be known
    /// everywhere
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "15m")]
    pub(crate) wait: Option<humantime::Duration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Apply {
    /// A reviewed plan, from `rotation plan --out`: only what it rotates is rotated
    pub(crate) plan: Option<PathBuf>,

    /// Add every event to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,

    /// Rotate at most this many accounts
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number::<u64>)]
    pub(crate) max: Option<u64>,

    #[command(flatten)]
    pub(crate) sharded: Sharded,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Print what is on record, a line each; --account and --tenant choose among them
    Show(AuditShow),
    /// Say whether every line is as it was written, and none is missing
    Verify(AuditVerify),
}

#[derive(Debug, clap::Args)]
pub(crate) struct AuditShow {
    /// Only this run
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub(crate) run: Option<RunId>,

    /// Only what happened since then: 2026-11-21, 2026-11-21T08:00:00Z, or a length of time such as 2h
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    pub(crate) since: Option<Timestamp>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AuditVerify {
    /// The hash that the record ended with at some time, from the `audit_head` of a run: it must still be there
    #[arg(long, value_name = "HASH")]
    pub(crate) head: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// How many accounts the simulated tenant has
    #[arg(long = "accounts", value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) number: u32,

    /// Keep configuration, key pair and store in this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// Accounts, by user principal name or object id
    #[arg(required = true, value_name = "ACCOUNT")]
    pub(crate) accounts: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Generate {
    /// How many
    #[arg(short, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = number::<usize>)]
    pub(crate) number: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Keygen {
    /// Write the private key to this new file, and print only the public key
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// Write the plan to this file, to be reviewed and given to `rotation apply`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) sharded: Sharded,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Prune {
    /// Keep so many previous passwords of each account [default: the policy's `keep_previous`]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number::<usize>)]
    pub(crate) keep: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Recover {
    /// Add every event to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) sharded: Sharded,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Reveal {
    /// The file with the private key, from `rotation keygen --out`; a store that does not seal needs none
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,

    /// Previous passwords too
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Setup {
    /// The role that the app is to hold: "User Administrator" for ordinary accounts, "Privileged Authentication Administrator"
    /// for administrators too
    #[arg(long, value_name = "ROLE", default_value = "User Administrator", value_parser = role)]
    pub(crate) role: RoleId,

    /// How it comes to hold the role: assigned directly, through a role-assignable group (Entra ID P1), or by an active
    /// assignment of Privileged Identity Management (P2)
    #[arg(long, value_enum, default_value_t)]
    pub(crate) through: Through,

    /// Why, for whoever reviews the assignment; with --through pim, which wants it unless it takes away
    #[arg(long, value_name = "TEXT", value_parser = words)]
    pub(crate) justification: Option<String>,

    /// How long the assignment lasts, such as 180d; with --through pim [default: without an end]
    #[arg(long = "for", value_name = "TIME", value_parser = lasting)]
    pub(crate) lasts: Option<Duration>,

    /// Who acts: azure-cli, device-code or managed-identity, instead of whoever `[setup]` names
    #[arg(long = "as", value_name = "KIND", value_parser = Credential::of_kind)]
    pub(crate) acting: Option<Credential>,

    /// Take away again what setup gives, and nothing else
    #[arg(long)]
    pub(crate) remove: bool,

    /// Only print the links and requests by which a person can do it; signs in to nothing
    #[arg(long, conflicts_with = "remove")]
    pub(crate) print: bool,

    /// Do it without asking
    #[arg(short, long, conflicts_with = "print")]
    pub(crate) yes: bool,

    /// Only print a script that does it in all tenants, for an administrator to read and run
    #[arg(long, value_enum, conflicts_with_all = ["acting", "print", "remove", "through", "yes"])]
    pub(crate) via: Option<Via>,

    /// Whose cmdlets the script uses: `Microsoft.Graph` (unless said), `Microsoft.Entra`, or `AzureAD`, which is retired
    #[arg(long, value_name = "MODULE", requires = "via", value_parser = module)]
    pub(crate) module: Option<Module>,
}

/// By what else a tenant can be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Via {
    #[value(name = "powershell")]
    PowerShell,
}

fn module(name: &str) -> Result<Module, String> {
    Module::from_name(name).ok_or_else(|| {
        let names = Module::ALL.map(Module::name);
        format!("expected {}", names.join(", "))
    })
}

/// How an app comes to hold its role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    // described where it is used, as Format is
    #[default]
    Direct,
    Group,
    Pim,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Ask the directories too: whose password did someone else change since we set it?
    #[arg(long)]
    pub(crate) verify: bool,

    #[command(flatten)]
    pub(crate) sharded: Sharded,
}

fn number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| "expected a whole number, 0 or more".to_owned())
}

fn role(text: &str) -> Result<RoleId, String> {
    let known = [
        RoleId::USER_ADMINISTRATOR,
        RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
    ];
    let named = role_named(text).filter(|role| known.contains(role));
    named.ok_or_else(|| format!("expected \"{}\" or \"{}\"", known[0], known[1]))
}

/// Some words, and not only space.
fn words(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected some words, such as the number of a ticket".to_owned()),
        words => Ok(words.to_owned()),
    }
}

fn lasting(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(length) if length.as_secs() == 0 => {
            Err("expected some time, such as 180d; without --for there is no end".to_owned())
        }
        length => length.map_err(|error| error.to_string()),
    }
}

fn run_id(text: &str) -> Result<RunId, String> {
    let id = text.parse::<Uuid>();
    id.map(|id| RunId::from_bytes(id.into_bytes()))
        .map_err(|_| "expected the id of a run, which its summary has as `run_id`".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
