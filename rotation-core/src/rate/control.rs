use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Quotas, RateController};

/// The rate controllers of one process: it knows which of them share a quota. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct RateControl(Arc<Mutex<HashMap<(String, String), RateController>>>);

impl RateControl {
    /// No controllers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The controller of `app` in `tenant`, always the same for the same pair. What is said of quotas first counts.
    #[must_use]
    pub fn controller(&self, app: &str, tenant: &str, quotas: &Quotas) -> RateController {
        let key = (app.to_lowercase(), tenant.to_lowercase());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(key)
            .or_insert_with(|| RateController::new(quotas))
            .clone()
    }
}
