use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::seats::Seats;
use super::{Quotas, RateController};

/// How many requests may be under way at once, unless somebody says otherwise.
const REQUESTS_AT_ONCE: usize = 256;

/// The rate controllers of one process: it knows which of them share a quota. Clones share it.
///
/// Tenants that share a quota get of it by what is still to be done in each, so that all are done at the same time. Of
/// the requests at once every tenant has its part, and a little of what is free, so that one that answers slowly takes
/// nobody's turn.
#[derive(Clone, Debug)]
pub struct RateControl(Arc<Mutex<Seats>>);

impl Default for RateControl {
    fn default() -> Self {
        Self::new()
    }
}

impl RateControl {
    /// No controllers yet, and 256 requests at once.
    #[must_use]
    pub fn new() -> Self {
        Self::with_requests_at_once(REQUESTS_AT_ONCE)
    }

    /// No controllers yet. No more than `requests` passwords are on their way at once, all tenants together, but one to
    /// each tenant may always be.
    #[must_use]
    pub fn with_requests_at_once(requests: usize) -> Self {
        Self(Arc::new(Mutex::new(Seats::new(requests))))
    }

    /// The controller of `app` in `tenant`, always the same for the same pair. What is said of quotas first counts.
    #[must_use]
    pub fn controller(&self, app: &str, tenant: &str, quotas: &Quotas) -> RateController {
        let seats = Arc::clone(&self.0);
        RateController::seated(seats, |seats| {
            seats.seat(app, tenant, quotas, Instant::now())
        })
    }
}
