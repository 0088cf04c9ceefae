//! The text of a configuration, and the way back from a value to its place in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, IntoDeserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::suggest::nearest;

/// The stores and backends of the design, and whether this binary has them, so that one which it lacks is told from a
/// misspelt one.
const STORES: &[(&str, bool)] = &[
    ("sqlite", cfg!(feature = "sqlite")),
    ("postgres", cfg!(feature = "postgres")),
    ("openbao", cfg!(feature = "openbao")),
    ("exec", cfg!(feature = "exec")),
];
const BACKENDS: &[(&str, bool)] = &[("graph", true), ("powershell", true)];

/// Where tools put the secrets of a job.
const WELL_KNOWN: [&str; 5] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SECRET",
    "SYSTEM_ACCESSTOKEN",
    "VAULT_TOKEN",
];

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

/// One step further than `steps`.
pub(crate) fn below<'a>(steps: &[Step<'a>], next: Step<'a>) -> Vec<Step<'a>> {
    let mut steps = steps.to_vec();
    steps.push(next);
    steps
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
        toml::from_str(&self.text).map_err(|error| self.refused(&error, None, &[]))
    }

    /// The value that `steps` lead to, if it is there.
    pub(super) fn at<T: DeserializeOwned>(
        &self,
        steps: &[Step<'_>],
    ) -> Result<Option<T>, ConfigError> {
        let table = self.parsed()?;
        let Some(found) = value(table.get_ref(), steps).cloned() else {
            return Ok(None);
        };
        let place = found.span();
        T::deserialize(found.into_deserializer())
            .map(Some)
            .map_err(|error| self.refused(&error, Some(place), &[]))
    }

    /// The table that `steps` lead to, but for its keys `but`, which are read elsewhere.
    pub(super) fn table<T: DeserializeOwned>(
        &self,
        steps: &[Step<'_>],
        but: &[&str],
    ) -> Result<T, ConfigError> {
        let table = self.parsed()?;
        let mut found = value(table.get_ref(), steps)
            .cloned()
            .ok_or_else(|| self.error(steps, "expected a table"))?;
        if let DeValue::Table(table) = found.get_mut() {
            for key in but {
                table.remove(*key);
            }
        }
        T::deserialize(found.into_deserializer()).map_err(|error| self.refused(&error, None, but))
    }

    fn parsed(&self) -> Result<Spanned<DeTable<'_>>, ConfigError> {
        DeTable::parse(&self.text).map_err(|error| self.refused(&error, None, &[]))
    }

    /// What the parser says, at `place` if it does not know better.
    fn refused(
        &self,
        error: &toml::de::Error,
        place: Option<Range<usize>>,
        also: &[&str],
    ) -> ConfigError {
        let place = error.span().or(place);
        ConfigError::from_toml(&self.path, &self.text, error.message(), place, also)
    }

    /// The variables that hold secrets: those that the configuration names, and those in which they are looked for without.
    pub(crate) fn secret_variables(&self) -> Vec<String> {
        let mut names: Vec<String> = WELL_KNOWN.map(str::to_owned).to_vec();
        if let Ok(table) = self.text.parse::<toml::Table>() {
            add_variables(&table, &mut names);
        }
        names
    }

    /// The key of the table at `steps` that `message` names first in backticks.
    pub(super) fn key_named_in(&self, steps: &[Step<'_>], message: &str) -> Option<String> {
        let table = DeTable::parse(&self.text).ok()?;
        let policy = value(table.get_ref(), steps)?.get_ref().as_table()?;
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
        let table = table.get_ref();
        let (store, tenant) = ([Step::Key("store")], [Step::Key("tenant")]);
        let copy = below(&store, Step::Key("copy"));
        self.check_built_in(table, &below(&store, Step::Key("kind")), "store", STORES)?;
        for one in each(table, &copy) {
            self.check_built_in(table, &below(&one, Step::Key("kind")), "store", STORES)?;
        }
        for one in each(table, &tenant) {
            self.check_built_in(
                table,
                &below(&one, Step::Key("backend")),
                "backend",
                BACKENDS,
            )?;
        }
        Ok(())
    }

    fn check_built_in(
        &self,
        table: &DeTable<'_>,
        steps: &[Step<'_>],
        what: &str,
        known: &[(&str, bool)],
    ) -> Result<(), ConfigError> {
        let Some(name) = value(table, steps).and_then(|value| value.get_ref().as_str()) else {
            return Ok(());
        };
        let built_in: Vec<_> = known
            .iter()
            .filter(|(_, here)| *here)
            .map(|(name, _)| *name)
            .collect();
        let error = |message| self.error(steps, message);
        if built_in.contains(&name) {
            Ok(())
        } else if known.iter().any(|(known, _)| *known == name) {
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

fn add_variables(table: &toml::Table, names: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            toml::Value::String(name) if key == "env" || key.ends_with("_env") => {
                names.push(name.clone());
            }
            toml::Value::Table(table) => add_variables(table, names),
            toml::Value::Array(all) => {
                let tables = all.iter().filter_map(toml::Value::as_table);
                tables.for_each(|table| add_variables(table, names));
            }
            _ => {}
        }
    }
}

/// The way to each element of the array that `steps` lead to.
fn each<'a>(table: &DeTable<'_>, steps: &[Step<'a>]) -> Vec<Vec<Step<'a>>> {
    let array = value(table, steps).and_then(|value| value.get_ref().as_array());
    let length = array.map_or(0, |all| all.len());
    (0..length)
        .map(|index| below(steps, Step::Index(index)))
        .collect()
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
