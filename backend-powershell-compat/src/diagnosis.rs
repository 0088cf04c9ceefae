use std::path::PathBuf;

use rotation_core::Problem;
use serde::Deserialize;

use crate::Dialect;

/// What a worker runs on, and what should be known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The program that runs.
    pub program: PathBuf,
    /// The version of PowerShell.
    pub powershell: String,
    /// Its edition: `Core`, or `Desktop` for Windows PowerShell.
    pub edition: String,
    /// The dialect that is spoken.
    pub dialect: Dialect,
    /// The version of its module.
    pub module_version: String,
    /// What of PowerShell's own logging is on.
    pub logging: Vec<Logging>,
    /// What was printed besides answers until the worker was signed in.
    pub printed: Vec<String>,
}

/// What PowerShell can be told to record
/// (<https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_logging_windows>,
/// <https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_group_policy_settings>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Logging {
    /// The arguments of every cmdlet.
    Module,
    /// The text of every script that runs.
    ScriptBlock,
    /// What is typed and printed.
    Transcription,
}

impl Diagnosis {
    pub(crate) fn new(program: PathBuf, dialect: Dialect) -> Self {
        Self {
            program,
            powershell: String::new(),
            edition: String::new(),
            dialect,
            module_version: String::new(),
            logging: Vec::new(),
            printed: Vec::new(),
        }
    }

    /// What a person should know before passwords go this way.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        let logging = self.logging.iter().map(|logging| logging.warning());
        let retired = (self.dialect == Dialect::AzureAd).then(|| {
            Problem::new(
                "the AzureAD module is retired: its support ended on 30 March 2025, and the service it calls is switched off",
            )
            .with_fix("move to the dialect microsoft.graph")
        });
        logging.chain(retired).collect()
    }
}

impl Logging {
    fn warning(self) -> Problem {
        match self {
            Self::Module => Problem::new(
                "module logging is on: PowerShell records the arguments of cmdlets. Passwords are handed over in a \
                 stream or a SecureString, of which only the type is recorded, or to Update-MgUser in a hashtable, which \
                 the module turns into an object of its own first; what that one's text holds, and what a module hands on \
                 to its own cmdlets, is out of our hands",
            )
            .with_fix(
                "take the module out of \"Turn on Module Logging\" for this machine, or turn on Protected Event Logging",
            ),
            Self::ScriptBlock => Problem::new(
                "script block logging is on: PowerShell records the text of scripts. The worker's is constant and holds no \
                 password; scripts that a module makes up would be recorded too",
            )
            .with_fix("turn on Protected Event Logging, so that what is recorded is encrypted"),
            Self::Transcription => Problem::new(
                "transcription is on: PowerShell records what is printed. The worker prints no password; a module that \
                 prints one would be recorded",
            )
            .with_fix("keep transcripts where only administrators can read them"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logging_and_retirement_are_warned_of_with_what_to_do() {
        let mut diagnosis = Diagnosis::new("pwsh".into(), Dialect::MicrosoftGraph);
        assert_eq!(diagnosis.warnings(), []);
        diagnosis.dialect = Dialect::AzureAd;
        diagnosis.logging = vec![
            Logging::Module,
            Logging::ScriptBlock,
            Logging::Transcription,
        ];
        let warnings = diagnosis.warnings();
        assert_eq!(warnings.len(), 4);
        assert!(warnings.iter().all(|warning| warning.fix.is_some()));
        let last = warnings.last().map(ToString::to_string);
        assert!(last.is_some_and(|last| last.contains("retired")));
    }
}
