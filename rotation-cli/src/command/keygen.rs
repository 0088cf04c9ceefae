//! `rotation keygen`: the key pair that passwords are sealed to.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use secrecy::ExposeSecret;
use secret_stores::{KeyPair, keygen};
use zeroize::Zeroizing;

use crate::args::{Common, Keygen};
use crate::exit::{Exit, Failure};
use crate::output::SecretOutput;
use crate::{clock, file, output};

/// More than the longest identity file of one key.
const IDENTITY_CAPACITY: usize = 512;

pub(super) fn run(common: &Common, args: &Keygen) -> Result<Exit, Failure> {
    let pair = keygen();
    match &args.out {
        Some(path) => {
            write_private(&pair, path)?;
            output::line(&pair.public)?;
            if !common.quiet {
                output::note(&format!(
                    "Wrote the private key to {}: whoever has it reads every password, and without it nobody does.\n\
                     Put the public key above into `recipients` of rotation.toml.",
                    path.display()
                ));
            }
        }
        None => SecretOutput::stdout(|out| write_identity(&pair, out))?,
    }
    Ok(Exit::Done)
}

/// Writes the private key of `pair` to the new file `path`, for its owner only.
///
/// # Errors
/// If there is a file already, or it cannot be written.
pub(super) fn write_private(pair: &KeyPair, path: &Path) -> Result<(), Failure> {
    let mut text = Zeroizing::new(Vec::with_capacity(IDENTITY_CAPACITY));
    let written = write_identity(pair, &mut *text).and_then(|()| file::create(path, &text));
    written.map_err(|error| {
        let name = path.display();
        Failure::usage(match error.kind() {
            ErrorKind::AlreadyExists => miette::miette!(
                help = "a lost private key is lost for good, so this file is never replaced: name another one",
                "{name} exists, and is left as it is"
            ),
            _ => miette::miette!("cannot write {name}: {error}"),
        })
    })
}

/// The form of `age-keygen`.
fn write_identity(pair: &KeyPair, out: &mut impl Write) -> io::Result<()> {
    let now = clock::now();
    writeln!(out, "# created: {}", now.strftime("%Y-%m-%dT%H:%M:%SZ"))?;
    writeln!(out, "# public key: {}", pair.public)?;
    writeln!(out, "{}", pair.private.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_fits_its_buffer() {
        let mut text = Vec::new();
        write_identity(&keygen(), &mut text).unwrap();
        assert!(text.len() <= IDENTITY_CAPACITY);
        assert!(secret_stores::Identities::parse(std::str::from_utf8(&text).unwrap()).is_ok());
    }
}
