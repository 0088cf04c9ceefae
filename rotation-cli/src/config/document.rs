//! The text of a configuration, and the way back from a value to its place in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::suggest::nearest;

/// The stores and backends of the design, so that one which this binary lacks is told from a misspelt one.
const STORES: &[&str] = &["sqlite", "exec", "openbao", "postgres"];
const BACKENDS: &[&str] = &["graph", "powershell"];

/// A configuration file as text.
#[derive(Debug)]
pub(crate) struct Document {
    path: PathBuf,
    text: String,
}

/// One step on the way to a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    Index(usize),
    Key(&'a str),
}

impl Document {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let path = path.to_owned();
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self { path, text }),
            Err(error) => Err(ConfigError::unreadable(&path, &error)),
        }
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        Self {
            path: PathBuf::from("rotation.toml"),
            text: text.to_owned(),
        }
    }

    /// A path of the configuration: relative ones start where the file lies.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        match self.path.parent() {
            Some(directory) => directory.join(path),
            None => path.to_owned(),
        }
    }

    /// An error that points at the value that `steps` lead to, or at the nearest one above it.
    pub(crate) fn error(&self, steps: &[Step<'_>], message: impl Into<String>) -> ConfigError {
        let span = DeTable::parse(&self.text)
            .ok()
            .and_then(|table| locate(table.get_ref(), steps));
        ConfigError::new(&self.path, &self.text, span, message.into())
    }

    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(&self.text)
            .map_err(|error| ConfigError::from_toml(&self.path, &self.text, &error))
    }

    /// The key of `[policy]` that `message` names first in backticks.
    pub(super) fn key_named_in(&self, message: &str) -> Option<String> {
        let table = DeTable::parse(&self.text).ok()?;
        let policy = table.get_ref().get("policy")?.get_ref().as_table()?;
        let mut quoted = message.split('`').skip(1).step_by(2);
        quoted
            .find(|name| policy.contains_key(*name))
            .map(str::to_owned)
    }

    /// Tells a store or backend that this binary lacks from a misspelt one, before their unknown keys are mourned.
    pub(super) fn check_what_is_built_in(&self) -> Result<(), ConfigError> {
        let Ok(table) = DeTable::parse(&self.text) else {
            return Ok(());
        };
        let store = [Step::Key("store"), Step::Key("kind")];
        self.check_built_in(table.get_ref(), &store, "store", STORES)?;
        let tenants = table.get_ref().get("tenant").map(Spanned::get_ref);
        let tenants = tenants
            .and_then(DeValue::as_array)
            .map_or(0, |all| all.len());
        (0..tenants).try_for_each(|index| {
            let backend = [
                Step::Key("tenant"),
                Step::Index(index),
                Step::Key("backend"),
            ];
            self.check_built_in(table.get_ref(), &backend, "backend", BACKENDS)
        })
    }

    fn check_built_in(
        &self,
        table: &DeTable<'_>,
        steps: &[Step<'_>],
        what: &str,
        known: &[&str],
    ) -> Result<(), ConfigError> {
        let Some(name) = value(table, steps).and_then(|value| value.get_ref().as_str()) else {
            return Ok(());
        };
        let (built_in, missing) = known.split_at(1);
        let error = |message| self.error(steps, message);
        if built_in.contains(&name) {
            Ok(())
        } else if missing.contains(&name) {
            Err(
                error(format!("the {what} `{name}` is not built into this binary"))
                    .with_help(format!("use \"{}\"", built_in.join("\" or \""))),
            )
        } else {
            let unknown = error(format!(
                "unknown {what} `{name}`, expected `{}`",
                built_in.join("`, `")
            ));
            Err(unknown.with_suggestion(nearest(name, built_in.iter().copied())))
        }
    }
}

/// The span of the value that `steps` lead to, or of the last one on the way.
fn locate(table: &DeTable<'_>, steps: &[Step<'_>]) -> Option<Range<usize>> {
    (1..=steps.len())
        .rev()
        .find_map(|length| value(table, steps.get(..length)?))
        .map(Spanned::span)
}

fn value<'a, 'i>(table: &'a DeTable<'i>, steps: &[Step<'_>]) -> Option<&'a Spanned<DeValue<'i>>> {
    let (first, rest) = steps.split_first()?;
    let Step::Key(key) = first else { return None };
    rest.iter()
        .try_fold(table.get(*key)?, |value, step| match step {
            Step::Index(index) => value.get_ref().as_array()?.get(*index),
            Step::Key(key) => value.get_ref().as_table()?.get(*key),
        })
}
