//! Reasons in few words, so that a thousand accounts make a handful of lines.

use std::collections::BTreeMap;

use rotation_core::{Decision, Due, SkipReason};
use serde::Serialize;

/// How many accounts get which decision, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reasons {
    rotate: BTreeMap<String, u64>,
    skip: BTreeMap<String, u64>,
    deny: BTreeMap<String, u64>,
}

/// One line: what becomes of how many accounts, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ReasonCount<'a> {
    pub(crate) decision: &'static str,
    pub(crate) accounts: u64,
    pub(crate) reason: &'a str,
}

impl Reasons {
    /// Counts an account.
    pub(crate) fn add(&mut self, decision: &Decision) {
        *self.of(decision).entry(heading(decision)).or_default() += 1;
    }

    /// Counts it no longer.
    pub(crate) fn remove(&mut self, decision: &Decision) {
        let (reasons, heading) = (self.of(decision), heading(decision));
        if let Some(accounts) = reasons.get_mut(&heading) {
            *accounts = accounts.saturating_sub(1);
        }
        reasons.retain(|_, accounts| *accounts > 0);
    }

    fn of(&mut self, decision: &Decision) -> &mut BTreeMap<String, u64> {
        match decision {
            Decision::Rotate { .. } => &mut self.rotate,
            Decision::Skip { .. } => &mut self.skip,
            Decision::Deny { .. } => &mut self.deny,
        }
    }

    /// Adds those of another tenant.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (into, from) in [
            (&mut self.rotate, &other.rotate),
            (&mut self.skip, &other.skip),
            (&mut self.deny, &other.deny),
        ] {
            for (reason, accounts) in from {
                *into.entry(reason.clone()).or_default() += accounts;
            }
        }
    }

    pub(crate) fn rotate(&self) -> u64 {
        self.rotate.values().sum()
    }

    pub(crate) fn skip(&self) -> u64 {
        self.skip.values().sum()
    }

    pub(crate) fn deny(&self) -> u64 {
        self.deny.values().sum()
    }

    /// All of them, the most frequent of each decision first.
    pub(crate) fn counts(&self) -> Vec<ReasonCount<'_>> {
        let mut counts: Vec<_> = [
            ("rotate", &self.rotate),
            ("skip", &self.skip),
            ("deny", &self.deny),
        ]
        .into_iter()
        .enumerate()
        .flat_map(|(order, (decision, reasons))| {
            reasons.iter().map(move |(reason, &accounts)| {
                (
                    order,
                    ReasonCount {
                        decision,
                        accounts,
                        reason,
                    },
                )
            })
        })
        .collect();
        counts.sort_by_key(|(order, count)| (*order, u64::MAX - count.accounts));
        counts.into_iter().map(|(_, count)| count).collect()
    }
}

/// The reason without what differs from account to account.
fn heading(decision: &Decision) -> String {
    match decision {
        Decision::Rotate {
            due: Due::TooOld { .. },
            ..
        } => "password older than the policy allows".to_owned(),
        Decision::Rotate { due, .. } => due.to_string(),
        Decision::Skip {
            why: SkipReason::NotDue { .. },
        } => "not due yet".to_owned(),
        Decision::Skip { why } => why.to_string(),
        Decision::Deny { because } => because.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rotation_core::AccountKind;

    use super::*;

    #[test]
    fn dates_do_not_split_a_reason_and_the_most_frequent_comes_first() {
        let mut reasons = Reasons::default();
        reasons.add(&Decision::Skip {
            why: SkipReason::Kind {
                kind: AccountKind::Guest,
            },
        });
        for day in 1..=3 {
            let due_at = format!("2026-01-0{day}T00:00:00Z").parse().unwrap();
            reasons.add(&Decision::Skip {
                why: SkipReason::NotDue { due_at },
            });
        }
        let counts: Vec<_> = reasons
            .counts()
            .into_iter()
            .map(|c| (c.accounts, c.reason.to_owned()))
            .collect();
        assert_eq!(counts[0], (3, "not due yet".to_owned()));
        assert_eq!(counts[1].0, 1);
        assert_eq!(
            (reasons.rotate(), reasons.skip(), reasons.deny()),
            (0, 4, 0)
        );
    }
}
