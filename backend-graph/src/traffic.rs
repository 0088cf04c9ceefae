use std::sync::atomic::{AtomicU64, Ordering};

/// What a backend has asked of Graph so far. Requests for tokens are not counted: they go to another service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// HTTP requests sent, repeats included; a batch is one.
    pub requests: u64,
    /// How many of them, or of the items of batches, were answered with 429.
    pub throttled: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counter {
    requests: AtomicU64,
    throttled: AtomicU64,
}

impl Counter {
    pub(crate) fn sent(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn throttled(&self) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Traffic {
        Traffic {
            requests: self.requests.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
        }
    }
}
