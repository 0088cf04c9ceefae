//! When an account is due.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Age, Policy};
use crate::{Account, AccountId, SkipReason};

/// What to do with accounts whose password was never changed since they were created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NeverChanged {
    /// Their password is as old as they are.
    #[default]
    ByAge,
    /// Rotate them now, however young.
    Rotate,
    /// Leave them alone.
    Skip,
}

/// Why an account is to be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "due", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Due {
    /// Someone else changed its password since we committed ours, and the policy takes that as due.
    Drifted {
        /// The time of that change.
        changed: Timestamp,
    },
    /// Its password was never changed since it was created.
    NeverChanged,
    /// Its password is older than the policy allows.
    TooOld {
        /// The time of the last change.
        changed: Timestamp,
    },
    /// The directory does not say how old its password is, and the policy takes that as due.
    UnknownAge,
    /// An earlier run left a pending version whose outcome is unknown.
    Unsettled,
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drifted { changed } => {
                write!(
                    f,
                    "changed by someone else on {}",
                    changed.strftime("%Y-%m-%d")
                )
            }
            Self::NeverChanged => f.write_str("never changed since creation"),
            Self::TooOld { changed } => {
                write!(f, "last changed on {}", changed.strftime("%Y-%m-%d"))
            }
            Self::UnknownAge => f.write_str("age unknown, which the policy takes as due"),
            Self::Unsettled => f.write_str("an earlier run left it unsettled"),
        }
    }
}

/// Entra writes both times of a new account within moments of each other.
const CREATION: Duration = Duration::from_secs(60);

impl Policy {
    /// Whether the password of `account` is due at `now`.
    pub(crate) fn due(&self, account: &Account, now: Timestamp) -> Result<Due, SkipReason> {
        let Some(changed) = account.password_changed else {
            return if self.unknown_age.rotates() {
                Ok(Due::UnknownAge)
            } else {
                Err(SkipReason::UnknownAge)
            };
        };
        let never_changed = account
            .created
            .is_some_and(|created| changed.duration_since(created).unsigned_abs() <= CREATION);
        match self.never_changed {
            NeverChanged::Rotate if never_changed => return Ok(Due::NeverChanged),
            NeverChanged::Skip if never_changed => return Err(SkipReason::NeverChanged),
            _ => {}
        }
        // a sum beyond the calendar's end is never reached
        let due_at = changed
            .checked_add(self.lifetime(&account.id))
            .unwrap_or(Timestamp::MAX);
        if due_at <= now {
            Ok(Due::TooOld { changed })
        } else {
            Err(SkipReason::NotDue { due_at })
        }
    }

    /// `max_age`, less a part of `spread` that is always the same for one account and even over all: accounts that
    /// were rotated together fall due apart, and none lives longer than `max_age`.
    fn lifetime(&self, account: &AccountId) -> Duration {
        let digest = Sha256::digest(account.as_str());
        let head = digest
            .iter()
            .take(4)
            .fold(0, |head, byte| head << 8 | u32::from(*byte));
        let part = f64::from(head) / f64::from(u32::MAX);
        self.max_age
            .duration()
            .saturating_sub(self.spread().duration().mul_f64(part))
    }

    /// The spread, by default a tenth of `max_age`.
    #[must_use]
    pub fn spread(&self) -> Age {
        self.spread
            .unwrap_or_else(|| Age::from(self.max_age.duration() / 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Holdings, Treatment};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn account(id: u32, changed: Option<&str>) -> Account {
        let mut account = Account::new(AccountId::new(&id.to_string()), "ada@contoso.com")
            .holding(Holdings::default());
        account.password_changed = changed.map(at);
        account
    }

    fn policy() -> Policy {
        Policy {
            max_age: Age::days(90),
            ..Policy::default()
        }
    }

    #[test]
    fn no_password_outlives_max_age_and_the_spread_disperses_a_fleet() {
        let policy = policy();
        let due_on = |id, day: &str| {
            policy
                .due(&account(id, Some("2026-01-01T00:00:00Z")), at(day))
                .is_ok()
        };
        let counts = [
            "2026-03-23T00:00:00Z",
            "2026-03-27T12:00:00Z",
            "2026-04-01T00:00:01Z",
        ]
        .map(|day| (0..1000).filter(|id| due_on(*id, day)).count());
        assert!(counts[0] < 20, "after 81 days hardly any: {counts:?}");
        assert!(
            (400..600).contains(&counts[1]),
            "halfway about half: {counts:?}"
        );
        assert_eq!(counts[2], 1000, "after 90 days all");
    }

    #[test]
    fn an_unknown_age_is_not_infinitely_old() {
        let now = at("2026-11-21T00:00:00Z");
        assert_eq!(
            policy().due(&account(1, None), now),
            Err(SkipReason::UnknownAge)
        );
        let eager = Policy {
            unknown_age: Treatment::Rotate,
            ..policy()
        };
        assert_eq!(eager.due(&account(1, None), now), Ok(Due::UnknownAge));
    }

    #[test]
    fn a_never_changed_account_follows_its_own_rule() {
        let mut young = account(1, Some("2026-11-20T00:00:05Z"));
        young.created = Some(at("2026-11-20T00:00:00Z"));
        let now = at("2026-11-21T00:00:00Z");
        let by = |never_changed| {
            Policy {
                never_changed,
                ..policy()
            }
            .due(&young, now)
        };
        assert!(matches!(
            by(NeverChanged::ByAge),
            Err(SkipReason::NotDue { .. })
        ));
        assert_eq!(by(NeverChanged::Rotate), Ok(Due::NeverChanged));
        assert_eq!(by(NeverChanged::Skip), Err(SkipReason::NeverChanged));
    }

    #[test]
    fn the_ends_of_the_calendar_do_not_panic() {
        let policy = Policy {
            max_age: "999y".parse().unwrap(),
            ..Policy::default()
        };
        for changed in [Timestamp::MIN, Timestamp::MAX] {
            let mut account = account(1, None);
            account.password_changed = Some(changed);
            account.created = Some(Timestamp::MIN);
            assert!(policy.due(&account, Timestamp::MIN).is_err());
        }
    }
}
