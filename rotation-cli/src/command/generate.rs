//! `rotation generate`: passwords of the policy, for whoever needs one by hand.

use std::io::{self, Write};

use rotation_core::{Forbidden, GenerateError, Generator, Policy};

use crate::args::{Common, Format, Generate};
use crate::config;
use crate::exit::{Exit, Failure};
use crate::output::SecretOutput;

pub(super) fn run(common: &Common, args: &Generate) -> Result<Exit, Failure> {
    let generator = policy(common)?.generator().map_err(refused)?;
    let mut refusal = None;
    SecretOutput::stdout(|out| {
        if let Err(error) = passwords(&generator, args.number, common.format, out)? {
            refusal = Some(error);
        }
        Ok(())
    })?;
    refusal.map_or(Ok(Exit::Done), |error| Err(refused(error)))
}

/// Passwords are made without a configuration too; one that is named must be there.
fn policy(common: &Common) -> Result<Policy, Failure> {
    let path = common.config();
    if !common.names_config() && !path.exists() {
        return Ok(Policy::default());
    }
    config::load_policy(path).map_err(Failure::usage)
}

fn passwords(
    generator: &Generator,
    number: usize,
    format: Format,
    out: &mut impl Write,
) -> io::Result<Result<(), GenerateError>> {
    let mut rng = rand::rng();
    if format == Format::Json {
        write!(out, "[")?;
    }
    for index in 0..number {
        let password = match generator.generate(&mut rng, &Forbidden::default()) {
            Ok(password) => password,
            Err(error) => return Ok(Err(error)),
        };
        match format {
            Format::Table => writeln!(out, "{}", password.expose())?,
            Format::Json => {
                if index > 0 {
                    write!(out, ",")?;
                }
                serde_json::to_writer(&mut *out, password.expose())?;
            }
        }
    }
    if format == Format::Json {
        writeln!(out, "]")?;
    }
    Ok(Ok(()))
}

fn refused(error: GenerateError) -> Failure {
    Failure::usage(miette::miette!("{error}"))
}
