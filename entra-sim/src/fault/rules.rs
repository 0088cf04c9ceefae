//! Deciding which fault strikes a request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::{Effect, Fault};
use crate::directory::{Account, Directory};
use crate::endpoint::Endpoint;
use crate::rng::Rng;

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'a> {
    pub(crate) method: &'a str,
    pub(crate) endpoint: Endpoint,
    pub(crate) tenant: Option<&'a Directory>,
    pub(crate) account: Option<&'a Account>,
}

/// What is to happen to a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) delay: Duration,
    pub(crate) effect: Option<Effect>,
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    matched: u64,
}

#[derive(Debug)]
struct State {
    rules: Vec<Rule>,
    rng: Rng,
}

/// The rules of one server.
#[derive(Debug)]
pub(crate) struct Faults {
    /// So that a server without rules takes no lock.
    any: AtomicBool,
    seed: u64,
    state: Mutex<State>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            rules: Vec::new(),
            rng: Rng::derived(seed, "faults"),
        };
        Self {
            any: AtomicBool::new(false),
            seed,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn add(&self, fault: Fault) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.rules.push(Rule { fault, matched: 0 });
        self.any.store(true, Ordering::Release);
    }

    /// Removes all rules and starts the dice again.
    pub(crate) fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.rules.clear();
        state.rng = Rng::derived(self.seed, "faults");
        self.any.store(false, Ordering::Release);
    }

    pub(crate) fn decide(&self, probe: Probe<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        if !self.any.load(Ordering::Acquire) {
            return verdict;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { rules, rng } = &mut *state;
        for rule in rules.iter_mut().filter(|rule| rule.fault.matches(probe)) {
            if !rule.strikes(rng) {
                continue;
            }
            if let Effect::Delay { min_ms, max_ms } = rule.fault.effect {
                let spread = max_ms.saturating_sub(min_ms).saturating_add(1);
                verdict.delay += Duration::from_millis(min_ms.saturating_add(rng.below(spread)));
            } else {
                verdict.effect = Some(rule.fault.effect.clone());
                break;
            }
        }
        verdict
    }
}

impl Rule {
    /// Counts a match, and says whether it is one of those that the rule is for.
    fn strikes(&mut self, rng: &mut Rng) -> bool {
        let first = self.fault.skip;
        let end = self.fault.times.map(|times| first.saturating_add(times));
        if end.is_some_and(|end| self.matched >= end) {
            return false;
        }
        // A match that the dice let pass does not use up `times`.
        let lucky = |probability| rng.fraction() >= probability;
        if self.matched >= first && self.fault.probability.is_some_and(lucky) {
            return false;
        }
        self.matched += 1;
        self.matched > first
    }
}

impl Fault {
    fn matches(&self, probe: Probe<'_>) -> bool {
        let method = self.method.as_deref();
        method.is_none_or(|method| method.eq_ignore_ascii_case(probe.method))
            && self
                .endpoint
                .is_none_or(|endpoint| endpoint == probe.endpoint)
            && self.tenant.as_deref().is_none_or(|name| {
                probe
                    .tenant
                    .is_some_and(|tenant| names_tenant(name, tenant))
            })
            && self.account.as_deref().is_none_or(|key| {
                probe
                    .account
                    .is_some_and(|account| names_account(key, account))
            })
    }
}

fn names_tenant(name: &str, tenant: &Directory) -> bool {
    Uuid::try_parse(name).is_ok_and(|id| id == tenant.id)
        || tenant
            .domains
            .iter()
            .any(|(domain, _)| domain.eq_ignore_ascii_case(name))
}

fn names_account(key: &str, account: &Account) -> bool {
    Uuid::try_parse(key).is_ok_and(|id| id == account.id)
        || account.user_principal_name.eq_ignore_ascii_case(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: Probe<'_> = Probe {
        method: "PATCH",
        endpoint: Endpoint::User,
        tenant: None,
        account: None,
    };

    fn strikes(fault: Fault, requests: usize) -> Vec<bool> {
        let faults = Faults::new(1);
        faults.add(fault);
        (0..requests)
            .map(|_| faults.decide(PATCH).effect.is_some())
            .collect()
    }

    #[test]
    fn skip_and_times_select_the_matches() {
        let fault = Fault::on_patch(Effect::disconnect_before())
            .skip(1)
            .times(2);
        assert_eq!(strikes(fault, 5), [false, true, true, false, false]);
    }

    #[test]
    fn probability_is_repeatable_and_about_right() {
        let run = || {
            strikes(
                Fault::on_patch(Effect::disconnect_before()).probability(0.25),
                1000,
            )
        };
        let hits = run().into_iter().filter(|hit| *hit).count();
        assert_eq!(run(), run());
        assert!((200..300).contains(&hits), "{hits}");
    }

    #[test]
    fn other_methods_and_endpoints_pass() {
        let faults = Faults::new(1);
        faults.add(Fault::on_patch(Effect::disconnect_before()));
        let get = Probe {
            method: "GET",
            ..PATCH
        };
        let list = Probe {
            endpoint: Endpoint::Users,
            ..PATCH
        };
        assert!(faults.decide(get).effect.is_none());
        assert!(faults.decide(list).effect.is_none());
    }

    #[test]
    fn delays_add_up_before_the_deciding_effect() {
        let faults = Faults::new(1);
        faults.add(Fault::new(Effect::delay(Duration::from_millis(5))));
        faults.add(Fault::new(Effect::delay(Duration::from_millis(7))));
        faults.add(Fault::new(Effect::disconnect_before()));
        faults.add(Fault::new(Effect::delay(Duration::from_millis(100))));
        let verdict = faults.decide(PATCH);
        assert_eq!(verdict.delay, Duration::from_millis(12));
        assert!(verdict.effect.is_some());
    }
}
