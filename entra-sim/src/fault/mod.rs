//! Scripted misfortune: which requests go wrong, and how.

mod effect;
pub use effect::Effect;
pub(crate) use effect::Outcome;
mod rules;
pub(crate) use rules::{Faults, Probe};

use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;

/// A rule: requests that match it suffer its effect.
///
/// Rules are tried in the order in which they were added. The first match with an effect other
/// than a delay decides; delays of all matching rules before it add up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    pub(crate) effect: Effect,
    #[serde(default)]
    pub(crate) method: Option<String>,
    #[serde(default)]
    pub(crate) endpoint: Option<Endpoint>,
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    #[serde(default)]
    pub(crate) account: Option<String>,
    #[serde(default)]
    pub(crate) skip: u64,
    #[serde(default)]
    pub(crate) times: Option<u64>,
    #[serde(default)]
    pub(crate) probability: Option<f64>,
}

impl Fault {
    /// Every request, always.
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            method: None,
            endpoint: None,
            tenant: None,
            account: None,
            skip: 0,
            times: None,
            probability: None,
        }
    }

    /// Every password (or enabled state) being set: `PATCH /users/{id}`.
    pub fn on_patch(effect: Effect) -> Self {
        Self::new(effect).method("PATCH").endpoint(Endpoint::User)
    }

    /// Only requests with this HTTP method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only requests to this kind of endpoint.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Only requests in this tenant, by id or domain.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Only requests whose path names this account, by id or UPN, whichever of the two it uses, and its own sign-ins.
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Lets the first `count` matches pass.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Ends after `count` matches.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }

    /// Ends after one match.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Strikes each match with this probability, 0 to 1, from the seed of the server.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }
}
