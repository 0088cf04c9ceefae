//! `[engine]`: how the work is done, as opposed to what is to be done.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::ConfigError;
use super::document::{Document, Step};

/// More of either than any directory bears.
const AT_ONCE: RangeInclusive<usize> = 1..=4096;

/// How the work is done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Engine {
    /// How many tenants are under way at once.
    pub(crate) tenants_at_once: usize,
    /// How many requests to directories are under way at once, all tenants together.
    pub(crate) requests_at_once: usize,
    /// Whether several passwords go in one request.
    pub(crate) batch: Batch,
}

/// Whether several passwords go in one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Batch {
    Always,
    /// Where it is faster.
    #[default]
    Auto,
    Never,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            tenants_at_once: 32,
            requests_at_once: 256,
            batch: Batch::default(),
        }
    }
}

impl Engine {
    pub(super) fn check(&self, document: &Document) -> Result<(), ConfigError> {
        for (key, found) in [
            ("tenants_at_once", self.tenants_at_once),
            ("requests_at_once", self.requests_at_once),
        ] {
            if !AT_ONCE.contains(&found) {
                let (least, most) = AT_ONCE.into_inner();
                let at = [Step::Key("engine"), Step::Key(key)];
                let message = format!("{key} of {found}, expected {least} to {most}");
                return Err(document.error(&at, message));
            }
        }
        Ok(())
    }
}
