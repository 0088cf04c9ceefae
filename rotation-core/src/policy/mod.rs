//! When an account is due, which accounts are in or out, what a password must look like, how far a run may go.

mod age;
mod class;
mod collision;
mod due;
mod forbidden;
mod limits;
mod passphrase;
mod password;
mod select;

pub use age::Age;
pub use class::Class;
pub use collision::{Collision, PolicyError, Rule};
pub use due::{Due, NeverChanged};
pub use forbidden::{Forbidden, forbidden_parts};
pub use limits::Tolerance;
pub use passphrase::{PassphrasePolicy, PassphraseRules};
pub use password::{PasswordPolicy, PasswordRules};
pub use select::Selector;

pub(crate) use forbidden::fold;
#[cfg(test)]
pub(crate) use passphrase::WORD_LENGTHS;
pub(crate) use password::Pool;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Account, GenerateError, Generator, Password, Problem, RuleSet};

/// What a run is to do. Reads and writes as the table `[policy]` of `rotation.toml`.
///
/// ```
/// use rotation_core::{Age, Policy};
///
/// let policy = Policy { max_age: Age::days(30), ..Policy::default() };
/// assert_eq!(policy.spread(), Age::days(3));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "grows by fields with defaults; written with ..Policy::default()"
)]
pub struct Policy {
    /// A password older than this is due. Zero makes every password of known age due.
    pub max_age: Age,
    /// How much earlier than `max_age` accounts may fall due, each by an amount of its own. A tenth of `max_age` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Age>,
    /// What to do if the directory does not say how old a password is.
    pub unknown_age: Treatment,
    /// What to do with passwords that were never changed.
    pub never_changed: NeverChanged,

    /// If not empty, only these accounts.
    pub include: Vec<Selector>,
    /// Not these accounts.
    pub exclude: Vec<Selector>,
    /// Never these accounts, whatever else is said.
    pub break_glass: Vec<Selector>,
    /// Accounts at another identity provider.
    pub federated: Treatment,
    /// Guests from other tenants.
    pub guest: Treatment,
    /// Accounts synced from an on-premises directory.
    pub synced: Treatment,
    /// Accounts that cannot sign in.
    pub disabled: Treatment,

    /// Length of a password in characters, 8 to 256.
    pub length: usize,
    /// The classes of characters to draw from.
    pub classes: BTreeSet<Class>,
    /// Least number of lower-case letters; 1 if absent and the class is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_lower: Option<usize>,
    /// Least number of upper-case letters; 1 if absent and the class is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_upper: Option<usize>,
    /// Least number of digits; 1 if absent and the class is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_digit: Option<usize>,
    /// Least number of symbols; 1 if absent and the class is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_symbol: Option<usize>,
    /// The symbols to draw from.
    pub symbols: String,
    /// Whether to leave out characters that people confuse.
    pub exclude_look_alikes: bool,
    /// More characters to leave out.
    pub exclude_characters: String,
    /// Terms that no password may contain, in addition to parts of the account's names.
    pub forbid: Vec<String>,
    /// Draw passphrases instead, for passwords that people must type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<PassphraseRules>,

    /// Who may rotate whom.
    pub rules: RuleSet,
    /// Whether people must choose another password at the next sign-in. Never for accounts of services.
    pub force_change_at_next_sign_in: bool,
    /// What to look for after the directory said that a password is set.
    pub verify: Verify,
    /// What to do with accounts whose password someone else changed since we committed ours.
    pub drift: Drift,
    /// How many previous versions of each account the store keeps.
    pub keep_previous: usize,

    /// This many accounts go first; the rest only if all of them succeed.
    pub canary: u64,
    /// How many accounts may fail or stay unsettled before the run stops.
    pub max_failures: Tolerance,
    /// How many may do so one after the other: more, and something is wrong with all of them.
    pub max_consecutive_failures: u64,
    /// A run rotates at most this many accounts of each tenant; no limit if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_per_tenant: Option<u64>,
}

impl Default for Policy {
    fn default() -> Self {
        let password = PasswordRules::default();
        Self {
            max_age: Age::days(90),
            spread: None,
            unknown_age: Treatment::Skip,
            never_changed: NeverChanged::ByAge,
            include: Vec::new(),
            exclude: Vec::new(),
            break_glass: Vec::new(),
            federated: Treatment::Skip,
            guest: Treatment::Skip,
            synced: Treatment::Skip,
            disabled: Treatment::Skip,
            length: password.length,
            classes: password.classes,
            min_lower: password.min_lower,
            min_upper: password.min_upper,
            min_digit: password.min_digit,
            min_symbol: password.min_symbol,
            symbols: password.symbols,
            exclude_look_alikes: password.exclude_look_alikes,
            exclude_characters: password.exclude_characters,
            forbid: password.forbid,
            passphrase: None,
            rules: RuleSet::Strict,
            force_change_at_next_sign_in: false,
            verify: Verify::None,
            drift: Drift::Report,
            keep_previous: 3,
            canary: 5,
            max_failures: Tolerance::default(),
            max_consecutive_failures: 20,
            max_per_tenant: None,
        }
    }
}

/// What to do with accounts of some kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::exhaustive_enums, reason = "a switch")]
pub enum Treatment {
    /// Rotate them like any other.
    Rotate,
    /// Leave them alone, and say so.
    Skip,
}

impl Treatment {
    pub(crate) fn rotates(self) -> bool {
        self == Self::Rotate
    }
}

/// What to look for after the directory said that a password is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verify {
    /// Its word is enough.
    #[default]
    None,
    /// Its time of the last change must move. If it does not, setting the same password again must succeed.
    Timestamp,
    /// The password must sign in. Where that cannot be found out, the same as [`Timestamp`](Self::Timestamp).
    SignIn,
}

/// What to do with accounts whose password someone else changed since we committed ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Drift {
    /// Do not look. It saves reading what the store knows of every account.
    Ignore,
    /// Say so.
    #[default]
    Report,
    /// Say so, and rotate them now, however young their password is.
    Rotate,
}

impl Policy {
    /// The generator of this policy's passwords.
    ///
    /// # Errors
    /// If the policy contradicts itself, or no password, or hardly any, satisfies it; the error names the rules that collide.
    pub fn generator(&self) -> Result<Generator, GenerateError> {
        if self.spread() > self.max_age {
            let found = format!("{}, with max_age = {}", self.spread(), self.max_age);
            return Err(PolicyError::Field {
                field: "spread",
                found,
                expected: "no more than `max_age`",
            }
            .into());
        }
        match &self.passphrase {
            Some(rules) => {
                let mut rules = rules.clone();
                rules.forbid.extend_from_slice(&self.forbid);
                Generator::of_passphrases(&PassphrasePolicy::new(rules)?)
            }
            None => Generator::new(&PasswordPolicy::new(self.password_rules())?),
        }
    }

    fn password_rules(&self) -> PasswordRules {
        PasswordRules {
            length: self.length,
            classes: self.classes.clone(),
            min_lower: self.min_lower,
            min_upper: self.min_upper,
            min_digit: self.min_digit,
            min_symbol: self.min_symbol,
            symbols: self.symbols.clone(),
            exclude_look_alikes: self.exclude_look_alikes,
            exclude_characters: self.exclude_characters.clone(),
            forbid: self.forbid.clone(),
        }
    }

    /// A fresh password for `account`, which holds no part of its names.
    pub(crate) fn draw(
        &self,
        generator: &Generator,
        account: &Account,
    ) -> Result<Password, Problem> {
        let names = forbidden_parts(&account.user_name, &account.display_name);
        generator
            .generate(&mut rand::rng(), &names)
            .map_err(|error| {
                Problem::new(format!("no password for {}: {error}", account.user_name))
                    .with_fix("relax the password rules in [policy]")
            })
    }

    /// A fingerprint that changes with any setting: it binds a plan to the policy it was made for.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        // the fields are plain values, so serialising does not fail
        let canonical =
            serde_json::to_vec(self).unwrap_or_else(|_| format!("{self:?}").into_bytes());
        format!("sha256:{:x}", Sha256::digest(canonical))
    }
}
