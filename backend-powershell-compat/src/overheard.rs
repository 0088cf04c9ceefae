use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

use crate::redact::gives_away;
use crate::secret::Secret;

/// How many lines are kept, the last ones.
const KEPT: usize = 20;

/// What a worker printed besides its answers, for diagnostics.
///
/// Once a password was handed to it nothing more is kept, for it may be in there in a form that we do not know.
#[derive(Default)]
pub(crate) struct Overheard(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    kept: VecDeque<String>,
    withheld: u64,
    handed: Handed,
}

/// What the worker was handed that must not be shown.
#[derive(Default)]
enum Handed {
    #[default]
    Nothing,
    Credential(SecretString),
    Password,
}

impl Overheard {
    pub(crate) fn add(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_secret = match &lines.handed {
            Handed::Nothing => false,
            Handed::Credential(secret) => gives_away(&line, secret.expose_secret()),
            Handed::Password => true,
        };
        if is_secret {
            lines.withheld += 1;
            return;
        }
        tracing::debug!("powershell says: {line}");
        if lines.kept.len() == KEPT {
            lines.kept.pop_front();
        }
        lines.kept.push_back(line);
    }

    /// From now on `secret` may be in whatever is printed.
    pub(crate) fn may_hold(&self, secret: &Secret) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.handed = match secret {
            Secret::Credential(secret) => Handed::Credential(secret.clone()),
            Secret::Password(_) => Handed::Password,
        };
    }

    /// The lines that were kept; at their end how many were not.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let withheld = (lines.withheld > 0).then(|| {
            format!(
                "(lines withheld, for they may hold a secret: {})",
                lines.withheld
            )
        });
        lines.kept.iter().cloned().chain(withheld).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rotation_core::Password;

    use super::*;

    #[test]
    fn nothing_is_kept_after_a_password() {
        let overheard = Overheard::default();
        for number in 0..=KEPT {
            overheard.add(format!("line {number}"));
        }
        overheard.may_hold(&Secret::Credential("opensesame".into()));
        overheard.add("signing in with opensesame".to_owned());
        let password = Password::new("hunter2".to_owned().into());
        overheard.may_hold(&Secret::Password(Arc::new(password)));
        overheard.add("a module is loaded".to_owned());
        let lines = overheard.lines();
        assert_eq!(lines.len(), KEPT + 1);
        assert_eq!(lines.first().map(String::as_str), Some("line 1"));
        let last = "(lines withheld, for they may hold a secret: 2)";
        assert_eq!(lines.last().map(String::as_str), Some(last));
    }
}
