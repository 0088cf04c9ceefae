//! `rotation reveal`: reads passwords back, with the private key if the store seals them. The one command that shows any
//! it did not just make.

use std::io::{self, Write};
use std::path::Path;

use futures::TryStreamExt;
use jiff::Timestamp;
use miette::IntoDiagnostic;
use rotation_core::{
    AccountId, AccountKey, Password, RunId, TenantId, Version, VersionId, VersionState,
};
use secret_stores::Identities;
use serde::Serialize;

use crate::args::{Common, Format, Reveal};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::output::{SecretOutput, allow_broken_pipe};
use crate::stored::{self, Filter};
use crate::wiring::store::Stores;

pub(super) async fn run(common: &Common, args: &Reveal) -> Result<Exit, Failure> {
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    let mut filter = Filter::of(common)?;
    let stores = Stores::of(&config).map_err(Failure::usage)?;
    let identities = identities(args.identity.as_deref(), &stores)?;
    let reader = stores.read(identities).await;
    let reader = reader.map_err(|error| stored::failure(&error))?;
    let mut sheet = Sheet::begin(common.format).map_err(unwritable)?;
    for select in filter.selects() {
        let mut versions = reader.reveal(select);
        while let Some((version, password)) = versions
            .try_next()
            .await
            .map_err(|error| stored::failure(&error))?
        {
            let wanted = args.all || version.state != VersionState::Previous;
            if !wanted || !filter.takes(&version) {
                continue;
            }
            if let Err(error) = sheet.add(&version, &password) {
                allow_broken_pipe(error).map_err(unwritable)?;
                return Ok(Exit::Done);
            }
        }
    }
    sheet.end().or_else(allow_broken_pipe).map_err(unwritable)?;
    Ok(filter.exit())
}

/// The private keys, where it takes one.
fn identities(path: Option<&Path>, stores: &Stores) -> Result<Identities, Failure> {
    match path {
        Some(path) => Identities::from_file(path)
            .into_diagnostic()
            .map_err(Failure::usage),
        None if stores.seals() => Err(Failure::usage(miette::miette!(
            help = "name the file that `rotation keygen --out` wrote: --identity FILE",
            "the passwords in {} are sealed, and opened with a private key alone",
            stores.name()
        ))),
        None => Ok(Identities::none()),
    }
}

fn unwritable(error: io::Error) -> Failure {
    Failure::usage(miette::miette!("cannot write to stdout: {error}"))
}

/// Passwords on their way to stdout, one at a time.
struct Sheet {
    out: SecretOutput,
    format: Format,
    last: Option<AccountKey>,
}

impl Sheet {
    fn begin(format: Format) -> io::Result<Self> {
        let mut out = SecretOutput::open()?;
        if format == Format::Json {
            write!(out, "[")?;
        }
        Ok(Self {
            out,
            format,
            last: None,
        })
    }

    fn add(&mut self, version: &Version, password: &Password) -> io::Result<()> {
        match self.format {
            Format::Json => self.object(version, password)?,
            Format::Table => self.row(version, password)?,
        }
        self.last = Some(version.key.account.clone());
        Ok(())
    }

    fn object(&mut self, version: &Version, password: &Password) -> io::Result<()> {
        let comma = if self.last.is_some() { "," } else { "" };
        writeln!(self.out, "{comma}")?;
        Ok(serde_json::to_writer(
            &mut self.out,
            &Revealed::new(version, password),
        )?)
    }

    fn row(&mut self, version: &Version, password: &Password) -> io::Result<()> {
        if self.last.as_ref() != Some(&version.key.account) {
            writeln!(self.out, "{}  ({})", version.user_name, version.key.account)?;
        }
        let state = match version.state {
            VersionState::Current => "current ",
            VersionState::Pending => "pending ",
            VersionState::Previous => "previous",
        };
        let staged = version.staged_at.strftime("%Y-%m-%d %H:%M UTC");
        writeln!(self.out, "  {state}  {}  {staged}", password.expose())
    }

    fn end(mut self) -> io::Result<()> {
        if self.format == Format::Json {
            writeln!(self.out, "\n]")?;
        }
        self.out.flush()
    }
}

/// A version as programs see it.
#[derive(Serialize)]
struct Revealed<'a> {
    tenant: &'a TenantId,
    account: &'a AccountId,
    upn: &'a str,
    state: VersionState,
    version: VersionId,
    password: &'a str,
    staged_at: Timestamp,
    run_id: RunId,
}

impl<'a> Revealed<'a> {
    fn new(version: &'a Version, password: &'a Password) -> Self {
        Self {
            tenant: &version.key.account.tenant,
            account: &version.key.account.account,
            upn: &version.user_name,
            state: version.state,
            version: version.key.version,
            password: password.expose(),
            staged_at: version.staged_at,
            run_id: version.run,
        }
    }
}
