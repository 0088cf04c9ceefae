//! Writes that are stuck on their way and take effect when their sender has given them up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Method;

use crate::endpoint::Route;
use crate::graph::{Call, Caller, Query};
use crate::world::World;

/// A request on its way, authenticated when it was sent. Without `Debug`, as its body may hold a password.
pub(crate) struct LateRequest {
    after: Option<Duration>,
    caller: Caller,
    method: Method,
    path: String,
    query: Query,
    content_type: Option<String>,
    body: Vec<u8>,
}

impl LateRequest {
    pub(crate) fn new(call: &Call<'_>, after: Option<Duration>) -> Self {
        Self {
            after,
            caller: call.caller.clone(),
            method: call.method.clone(),
            path: call.path.to_owned(),
            query: call.query.clone(),
            content_type: call.content_type.map(str::to_owned),
            body: call.body.to_vec(),
        }
    }

    /// Lets it take its course; nobody hears of the answer.
    pub(crate) fn arrive(self, world: &World) {
        let route = Route::graph(&self.path);
        let call = Call {
            world,
            caller: &self.caller,
            directory: &self.caller.directory,
            method: &self.method,
            route: &route,
            path: &self.path,
            query: self.query,
            content_type: self.content_type.as_deref(),
            eventual: false,
            body: &self.body,
        };
        if let Ok(reply) = call.answer() {
            world.records.count_write(reply.status);
        }
    }
}

/// The requests on their way to one server, in the order in which they were sent.
#[derive(Default)]
pub(crate) struct LateRequests(Mutex<Vec<LateRequest>>);

impl std::fmt::Debug for LateRequests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.requests().len();
        f.debug_struct("LateRequests")
            .field("count", &count)
            .finish_non_exhaustive()
    }
}

impl LateRequests {
    pub(crate) fn hold(&self, request: LateRequest) {
        self.requests().push(request);
    }

    /// Those that know when they will arrive, each with its time from now.
    pub(crate) fn take_timed(&self) -> Vec<(Duration, LateRequest)> {
        let timed = self
            .requests()
            .extract_if(.., |late| late.after.is_some())
            .collect::<Vec<_>>();
        let timed = timed.into_iter();
        timed.filter_map(|late| Some((late.after?, late))).collect()
    }

    pub(crate) fn take_all(&self) -> Vec<LateRequest> {
        std::mem::take(&mut *self.requests())
    }

    fn requests(&self) -> MutexGuard<'_, Vec<LateRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
