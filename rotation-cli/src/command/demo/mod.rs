//! `rotation demo`: the whole way, from a tenant that does not exist to passwords that really sign in.
//!
//! The simulator judges: it shares no code with what it judges, and everything goes over HTTP, as with a real tenant.

mod proof;
mod world;

use serde::Serialize;

use crate::args::{Common, Demo, Format};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::job::Job;
use crate::output;
use crate::summary::Summary;
use proof::Proof;
use world::World;

pub(super) async fn run(common: Common, args: Demo) -> Result<Exit, Failure> {
    let world = World::start(args.number, args.keep.as_deref()).await?;
    if !common.quiet {
        output::note(&format!(
            "A simulated Entra tenant: {} with {} accounts, at {}\n",
            world.domain(),
            world.users().len(),
            world.base_url()
        ));
    }
    let config_path = world.config_path();
    let config = Config::load(&config_path).map_err(Failure::usage)?;
    let common = common.with_config(config_path);
    let summary = Job::default().run(&config, &common).await?;
    let proof = Proof::by_signing_in(&world, &config).await?;
    match common.format {
        Format::Json => output::json(&Outcome {
            summary: &summary,
            sign_ins: &proof,
        })?,
        Format::Table => page(&summary, &proof, &world)?,
    }
    Ok(exit(&summary, &proof))
}

/// The demo shows on purpose what may not be rotated, so a denied account is no reason to fail here as it is in `apply`.
/// A password that does not behave as it should is.
fn exit(summary: &Summary, proof: &Proof) -> Exit {
    match summary.exit_but_for_denials() {
        Exit::Done if !proof.holds() => Exit::Incomplete,
        exit => exit,
    }
}

/// The end object of `apply`, and how signing in went.
#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    sign_ins: &'a Proof,
}

fn page(summary: &Summary, proof: &Proof, world: &World) -> Result<(), Failure> {
    output::line(&format!(
        "{} accounts got a new password in {:.1} s, over HTTP. Each password was sealed and durable in the store \
         before the directory heard of it.\n",
        summary.rotated(),
        summary.seconds()
    ))?;
    output::line("Proof, by signing in as a sample of them:")?;
    output::line(&format!(
        "  {} {} of {} new passwords sign in",
        mark(proof.new_all_work()),
        proof.new_worked,
        proof.new_tried
    ))?;
    output::line(&format!(
        "  {} {} of {} old passwords still sign in",
        mark(proof.old_none_works()),
        proof.old_worked,
        proof.old_tried
    ))?;
    if let Some(head) = summary.audit_head() {
        output::line(&format!(
            "\nEvery decision and outcome is on record, each bound to the one before; its head is {}…",
            head.get(..16).unwrap_or(head)
        ))?;
    }
    summary.print_reasons()?;
    summary.print_trouble()?;
    output::line(
        "\n\"Skipped\" is what the policy leaves alone. \"Denied\" is due, but out of this caller's reach: it is User \
         Administrator,\nwhich may rotate ordinary accounts only. Each denial was foreseen, not tried.",
    )?;
    output::line(&match world.kept() {
        Some(directory) => format!(
            "\nKept in {0}: rotation.toml, key.txt, the store and the audit record. Look inside:\n  \
             rotation status -c {0}/rotation.toml\n  \
             rotation audit verify -c {0}/rotation.toml\n  \
             rotation reveal -c {0}/rotation.toml --identity {0}/key.txt",
            directory.display()
        ),
        None => {
            "\nNothing is left of this demo. For a tenant of your own: rotation init".to_owned()
        }
    })
}

fn mark(holds: bool) -> char {
    if holds { '✓' } else { '✗' }
}
