//! `rotation init`: a configuration to begin with.

use std::io::ErrorKind;

use crate::args::Common;
use crate::exit::{Exit, Failure};
use crate::{file, output};

/// What it writes: everything that must be filled in, and the defaults of what need not be.
const TEMPLATE: &str = include_str!("init.toml");

pub(super) fn run(common: &Common) -> Result<Exit, Failure> {
    let path = common.config();
    let name = path.display();
    file::create(path, TEMPLATE.as_bytes()).map_err(|error| {
        Failure::usage(match error.kind() {
            ErrorKind::AlreadyExists => miette::miette!(
                help = "name another file with --config",
                "{name} exists, and is left as it is"
            ),
            _ => miette::miette!("cannot write {name}: {error}"),
        })
    })?;
    if !common.quiet {
        output::note(&format!(
            "Wrote {name}. Next:\n\
             1. rotation keygen --out key.txt   a key pair: its public key goes into `recipients`, the file away\n\
             2. fill in the rest of {name}: [[tenant]], and how the client secret is found\n\
             3. rotation doctor                 what the app still lacks; rotation setup --as device-code gives it\n\
             4. rotation plan                   what would be rotated; changes nothing\n\
             5. rotation apply --max 1          one account; then the rest, without --max\n\
             To see it work first, without a tenant: rotation demo"
        ));
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::TEMPLATE;
    use crate::config::Config;

    #[test]
    fn the_template_shows_the_defaults() {
        let policy: toml::Table = TEMPLATE.parse().unwrap();
        let written = policy["policy"]
            .clone()
            .try_into::<rotation_core::Policy>()
            .unwrap();
        let example = rotation_core::Policy {
            break_glass: vec!["breakglass@contoso.com".parse().unwrap()],
            ..rotation_core::Policy::default()
        };
        assert_eq!(written, example);
    }

    #[test]
    fn every_table_that_is_commented_out_is_one_that_works() {
        let (mut tables, mut in_table) = (0, false);
        let text: String = TEMPLATE
            .lines()
            .map(|line| {
                let commented = line.strip_prefix("# ");
                let begins = commented.is_some_and(|line| line.starts_with('['));
                tables += usize::from(begins);
                in_table = commented.is_some() && (in_table || begins);
                let line = commented.filter(|_| in_table).unwrap_or(line);
                line.to_owned() + "\n"
            })
            .collect();
        assert_eq!(tables, 5, "{text}");
        let key = secret_stores::keygen().public;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rotation.toml");
        std::fs::write(&path, text.replace("age1…", &key)).unwrap();
        let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(config.tenants.len(), 2);
    }
}
