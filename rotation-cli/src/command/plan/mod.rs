//! `rotation plan`: what would be rotated, and why not the rest.

mod spool;

use std::io::{self, Write};
use std::path::Path;
use std::pin::pin;

use futures::{StreamExt, TryStreamExt};
use rotation_core::{BackendError, Decision, PlanEntry, PlanHeader, PlanWriter};
use serde::Serialize;

use crate::args::{Common, Format, Plan};
use crate::clock;
use crate::concurrent::in_order;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::file::Draft;
use crate::interrupt::Interrupt;
use crate::named::Named;
use crate::output;
use crate::preflight::{self, Purpose, Ready, ReadyTenant};
use crate::reason::{ReasonCount, Reasons};
use crate::stored;
use crate::wiring;
use crate::wiring::store::OpenStore;
use spool::{Spool, Spooled};

/// How many accounts a person reads; the plan document has all.
const MOST_ROWS: usize = 50;

pub(super) async fn run(common: &Common, args: &Plan) -> Result<Exit, Failure> {
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    let mut interrupt = Interrupt::listen()?;
    let tenants = wiring::tenants(&config, common, args.sharded);
    let tenants = interrupt.during(tenants).await?;
    let planning = async {
        let ready = preflight::check(&config, tenants, Purpose::Plan, common).await?;
        plan(&config, common, ready, args.out.as_deref()).await
    };
    interrupt.during(planning).await
}

async fn plan(
    config: &Config,
    common: &Common,
    ready: Ready,
    path: Option<&Path>,
) -> Result<Exit, Failure> {
    let header = PlanHeader::new(clock::now(), config.policies(), ready.plan_tenants());
    let document =
        Document::begin(path, common.format, &header).map_err(|error| unwritable(path, &error))?;
    let mut sink = Sink {
        document,
        page: Page::default(),
    };
    let named = Named::new(&common.accounts);
    let Ready {
        store,
        tenants,
        obstructed,
    } = ready;
    let mut left_out: Vec<_> = obstructed.into_iter().map(|tenant| tenant.name).collect();
    let all = tenants.len();
    let mut unreadable = 0;
    {
        let decide = async |tenant: ReadyTenant| {
            let spool = decide(config, common, &store, &tenant, &named, path).await;
            (tenant, spool)
        };
        let at_once = config.engine.tenants_at_once;
        let mut spools = pin!(in_order(tenants, at_once, decide));
        while let Some((tenant, spool)) = spools.next().await {
            match spool? {
                Ok(spool) => spool
                    .read(|entry| sink.take(entry))
                    .map_err(|error| unwritable(path, &error))?,
                Err(error) => {
                    unreadable += 1;
                    left_out.push(preflight::unreadable(&tenant, &error).name);
                }
            }
        }
    }
    if unreadable == all && all > 0 {
        return Err(preflight::refused());
    }
    sink.document
        .finish()
        .map_err(|error| unwritable(path, &error))?;
    sink.page.print(common.format, path, &left_out)?;
    let missing = named.missing();
    for name in &missing {
        output::note(&format!("no account {name} in any of these tenants"));
    }
    Ok(if missing.is_empty() && left_out.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    })
}

/// Decides on every account of one tenant.
async fn decide(
    config: &Config,
    common: &Common,
    store: &OpenStore,
    tenant: &ReadyTenant,
    named: &Named,
    path: Option<&Path>,
) -> Result<Result<Spooled, BackendError>, Failure> {
    let policy = tenant.tenant.policy.clone();
    let engine = tenant.tenant.engine(config, policy, &store.store)?;
    let plan = engine.plan_as(tenant.caller.clone(), wiring::query(common));
    let plan = plan.await;
    let mut plan = plan.map_err(|error| stored::failure(&error).at_preflight())?;
    let mut spool = Spool::new(path).map_err(unspoolable)?;
    loop {
        match plan.try_next().await {
            Ok(Some(planned)) => {
                named.see(&planned.account);
                let entry = PlanEntry::new(tenant.caller.tenant.clone(), &planned);
                spool.add(&entry).map_err(unspoolable)?;
            }
            Ok(None) => return spool.finish().map(Ok).map_err(unspoolable),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Where decisions go, tenant by tenant.
struct Sink {
    document: Document,
    page: Page,
}

impl Sink {
    fn take(&mut self, entry: &PlanEntry) -> io::Result<()> {
        self.page.add(entry);
        self.document.add(entry)
    }
}

/// The plan document, if somebody wants it.
enum Document {
    File(PlanWriter<io::BufWriter<Draft>>),
    None,
    Stdout(PlanWriter<io::Stdout>),
}

impl Document {
    fn begin(path: Option<&Path>, format: Format, header: &PlanHeader) -> io::Result<Self> {
        Ok(match (path, format) {
            (Some(path), _) => Self::File(PlanWriter::new(
                io::BufWriter::new(Draft::new(path)?),
                header,
            )?),
            (None, Format::Json) => Self::Stdout(PlanWriter::new(io::stdout(), header)?),
            (None, Format::Table) => Self::None,
        })
    }

    fn add(&mut self, entry: &PlanEntry) -> io::Result<()> {
        match self {
            Self::File(writer) => writer.entry(entry),
            Self::None => Ok(()),
            Self::Stdout(writer) => writer.entry(entry),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::File(writer) => {
                let draft = writer.finish()?.into_inner();
                draft.map_err(io::IntoInnerError::into_error)?.replace()
            }
            Self::None => Ok(()),
            Self::Stdout(writer) => writer.finish()?.flush(),
        }
    }
}

fn unspoolable(error: io::Error) -> Failure {
    Failure::usage(miette::miette!(
        help = "decisions are kept there until all of a tenant are made; the variable TMPDIR names another folder, if the \
                plan goes to no file",
        "cannot write a temporary file beside the plan: {error}"
    ))
}

fn unwritable(path: Option<&Path>, error: &io::Error) -> Failure {
    Failure::usage(match path {
        None => miette::miette!("cannot write the plan to stdout: {error}"),
        Some(path) => miette::miette!(
            help = "name a file in a folder that exists, and in which you may write: --out FILE",
            "cannot write the plan to {}: {error}",
            path.display()
        ),
    })
}

/// What a person sees: the counts, then the accounts that something happens to.
#[derive(Default)]
struct Page {
    reasons: Reasons,
    rows: Vec<[String; 3]>,
}

impl Page {
    fn add(&mut self, entry: &PlanEntry) {
        self.reasons.add(&entry.decision);
        let decision = match entry.decision {
            Decision::Rotate { .. } => "rotate",
            Decision::Deny { .. } => "deny",
            Decision::Skip { .. } => return,
        };
        if self.rows.len() < MOST_ROWS {
            let (name, reason) = (entry.upn.clone(), entry.reason.clone());
            self.rows.push([decision.to_owned(), name, reason]);
        }
    }

    fn print(
        &self,
        format: Format,
        path: Option<&Path>,
        left_out: &[String],
    ) -> Result<(), Failure> {
        match (format, path) {
            (Format::Table, _) => self.print_table(path, left_out),
            (Format::Json, Some(path)) => {
                output::json(&Written::new(path, &self.reasons, left_out))
            }
            // the document itself went to stdout
            (Format::Json, None) => Ok(()),
        }
    }

    fn print_table(&self, path: Option<&Path>, left_out: &[String]) -> Result<(), Failure> {
        let mut counts = output::table(&["accounts", "decision", "reason"]);
        for count in self.reasons.counts() {
            counts.add_row([
                count.accounts.to_string(),
                count.decision.to_owned(),
                count.reason.to_owned(),
            ]);
        }
        if !counts.is_empty() {
            output::line(&counts.trim_fmt())?;
        }
        if !self.rows.is_empty() {
            let mut table = output::table(&["decision", "account", "reason"]);
            table.add_rows(self.rows.iter().cloned());
            output::line(&format!("\n{}", table.trim_fmt()))?;
        }
        let more =
            (self.reasons.rotate() + self.reasons.deny()).saturating_sub(self.rows.len() as u64);
        if more > 0 {
            output::line(&format!(
                "… and {more} more: --out FILE or --format json has all"
            ))?;
        }
        if let tenants @ 1.. = left_out.len() {
            output::line(&format!(
                "Left out: {tenants} of the tenants, because of what is said on stderr with ✗"
            ))?;
        }
        output::line(&match path {
            Some(path) if self.reasons.rotate() == 0 => {
                format!("\nWrote {}: nothing is to be rotated.", path.display())
            }
            Some(path) => format!(
                "\nWrote {0}. To carry it out: rotation apply {0}",
                path.display()
            ),
            None if self.reasons.rotate() == 0 => "\nNothing is to be rotated.".to_owned(),
            None => "\nNothing was changed. To carry it out: rotation apply".to_owned(),
        })
    }
}

/// What a program sees when the document went to a file.
#[derive(Serialize)]
struct Written<'a> {
    plan: String,
    rotate: u64,
    skip: u64,
    deny: u64,
    reasons: Vec<ReasonCount<'a>>,
    /// The tenants that could not be looked into, as they are configured.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    left_out: &'a [String],
}

impl<'a> Written<'a> {
    fn new(path: &Path, reasons: &'a Reasons, left_out: &'a [String]) -> Self {
        Self {
            plan: path.display().to_string(),
            rotate: reasons.rotate(),
            skip: reasons.skip(),
            deny: reasons.deny(),
            reasons: reasons.counts(),
            left_out,
        }
    }
}
