//! What the server was asked, without a word of what it was told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::endpoint::Endpoint;

/// One request, or one item of a batch. Bodies are never kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RequestRecord {
    /// Counts from 0 in the order of completion.
    pub sequence: u64,
    /// When it was answered, by the clock of the server.
    pub at: Timestamp,
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// What the path names.
    pub endpoint: Endpoint,
    /// The account that the path names, or that signs in, if it exists.
    pub account: Option<Uuid>,
    /// `None` if no answer was sent.
    pub status: Option<u16>,
    /// An item of a batch.
    pub in_batch: bool,
    /// A fault other than a delay changed the course of things.
    pub faulted: bool,
}

/// Totals since the start or the last reset, of requests and batch items alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Totals {
    /// Requests in all; the items of a batch count, their envelope does too.
    pub requests: u64,
    /// How many of them are items of a batch.
    pub items: u64,
    /// Answered with 429.
    pub throttled: u64,
    /// Accepted writes: a PATCH answered with 204, or applied and its answer lost.
    pub writes: u64,
}

/// A record as it is kept: as cheap as it can be made for each request.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) at: Timestamp,
    pub(crate) method: Method,
    pub(crate) path: Box<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) account: Option<Uuid>,
    pub(crate) status: Option<u16>,
    pub(crate) in_batch: bool,
    pub(crate) faulted: bool,
}

impl Kept {
    fn shown(&self, sequence: u64) -> RequestRecord {
        RequestRecord {
            sequence,
            at: self.at,
            method: self.method.to_string(),
            path: self.path.to_string(),
            endpoint: self.endpoint,
            account: self.account,
            status: self.status,
            in_batch: self.in_batch,
            faulted: self.faulted,
        }
    }
}

/// The newest records and the totals.
#[derive(Debug)]
pub(crate) struct Records {
    kept: usize,
    newest: Mutex<VecDeque<(u64, Kept)>>,
    requests: AtomicU64,
    items: AtomicU64,
    throttled: AtomicU64,
    writes: AtomicU64,
}

impl Records {
    pub(crate) fn new(kept: usize) -> Self {
        Self {
            kept,
            newest: Mutex::default(),
            requests: AtomicU64::new(0),
            items: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        }
    }

    /// Numbers and keeps a record. `record` is made only if records are kept at all.
    pub(crate) fn push(&self, status: Option<u16>, in_batch: bool, record: impl FnOnce() -> Kept) {
        let sequence = self.requests.fetch_add(1, Ordering::Relaxed);
        if in_batch {
            self.items.fetch_add(1, Ordering::Relaxed);
        }
        if status == Some(429) {
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
        if self.kept == 0 {
            return;
        }
        let record = record();
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (newest.len() == self.kept).then(|| newest.pop_front());
        newest.push_back((sequence, record));
        drop(newest);
        drop(oldest);
    }

    /// Counts a write that had this status before any fault changed it.
    pub(crate) fn count_write(&self, status: StatusCode) {
        if status.is_success() {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn all(&self) -> Vec<RequestRecord> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = |(sequence, kept): &(u64, Kept)| kept.shown(*sequence);
        newest.iter().map(shown).collect()
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals {
            requests: self.requests.load(Ordering::Relaxed),
            items: self.items.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn clear(&self) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.clear();
        for total in [&self.requests, &self.items, &self.throttled, &self.writes] {
            total.store(0, Ordering::Relaxed);
        }
    }
}
