//! What is wrong with a configuration, shown in place.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};

use super::redact::{redact_message, redact_text};
use super::suggest::suggestion;

/// A mistake in a configuration: where, what was found, what was expected. Shows nothing of a secret that was put
/// there by mistake.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub(crate) struct ConfigError {
    message: String,
    #[source_code]
    text: Option<Arc<NamedSource<String>>>,
    #[label("here")]
    span: Option<SourceSpan>,
    #[help]
    help: Option<String>,
}

impl ConfigError {
    pub(super) fn new(
        path: &Path,
        text: &str,
        span: Option<Range<usize>>,
        message: String,
    ) -> Self {
        let name = path.display().to_string();
        let message = if span.is_some() {
            message
        } else {
            format!("{name}: {message}")
        };
        Self {
            message,
            text: span
                .is_some()
                .then(|| Arc::new(NamedSource::new(name, redact_text(text)))),
            span: span.map(SourceSpan::from),
            help: None,
        }
    }

    /// What the parser says at `span`; `also` are keys that are right, but unknown to it.
    pub(super) fn from_toml(
        path: &Path,
        text: &str,
        message: &str,
        span: Option<Range<usize>>,
        also: &[&str],
    ) -> Self {
        // a word of parsers, where people write a list
        let message =
            redact_message(message).replace("expected a sequence", "expected a list, [\"…\"]");
        match (
            suggestion(&message, also),
            message.split_once(", expected "),
        ) {
            // one suggestion says more than the list of all names
            (Some(meant), Some((wrong, _))) => {
                Self::new(path, text, span, wrong.to_owned()).with_suggestion(Some(meant))
            }
            _ => Self::new(path, text, span, message),
        }
    }

    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let help = (error.kind() == io::ErrorKind::NotFound).then(|| {
            "`rotation init` writes one to begin with; `--config` names another".to_owned()
        });
        Self {
            message: format!("cannot read the configuration {}: {error}", path.display()),
            text: None,
            span: None,
            help,
        }
    }

    /// Adds what to do.
    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    /// Adds what was probably meant.
    pub(crate) fn with_suggestion(self, meant: Option<String>) -> Self {
        match meant {
            Some(meant) => self.with_help(format!("did you mean `{meant}`?")),
            None => self,
        }
    }
}
