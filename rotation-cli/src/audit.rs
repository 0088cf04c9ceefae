//! The record of what every run decided and did, as the configuration wants it.

use std::path::PathBuf;
use std::sync::Arc;

use rotation_core::{AuditError, AuditFile, AuditLog, Engine};

use crate::config::Config;
use crate::exit::Failure;
use crate::output;

/// The record that runs write, or none.
pub(crate) struct AuditRecord(Option<(PathBuf, Arc<dyn AuditLog>)>);

impl AuditRecord {
    /// Opens it, and makes it if there is none.
    ///
    /// # Errors
    /// If it cannot be written, or is no sound record.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        let Some(path) = config.audit_path() else {
            return Ok(Self(None));
        };
        let file = AuditFile::open(&path).map_err(|error| failure(&error).at_preflight())?;
        Ok(Self(Some((path, Arc::new(file)))))
    }

    /// The same engine, which writes it.
    pub(crate) fn written_by(&self, engine: Engine) -> Engine {
        match &self.0 {
            Some((_, log)) => engine.with_audit(Arc::clone(log)),
            None => engine,
        }
    }

    /// The hash that it ends with, by which a later look finds whether anything before was changed.
    pub(crate) fn head(&self) -> Option<String> {
        let (path, _) = self.0.as_ref()?;
        AuditFile::head(path).unwrap_or_else(|error| {
            output::note(&format!("the audit record has no head: {error}"));
            None
        })
    }
}

/// What is wrong with a record, with the fix.
pub(crate) fn failure(error: &AuditError) -> Failure {
    let problem = error.problem();
    Failure::usage(match &problem.fix {
        Some(fix) => miette::miette!(help = fix.clone(), "the audit record: {problem}"),
        None => miette::miette!("the audit record: {problem}"),
    })
}
