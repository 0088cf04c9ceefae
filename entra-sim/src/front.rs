//! The front door: every request that is not for the control endpoint.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::middleware::Next;

use crate::endpoint::{Endpoint, Route, decode};
use crate::exchange::Exchange;
use crate::fault::Outcome;
use crate::graph::{self, Call, Ids, Query};
use crate::reply::Reply;
use crate::token;
use crate::wire::Plug;
use crate::world::World;

/// Larger bodies are refused; a full batch has a tenth of it.
const MAX_BODY: usize = 1 << 20;

/// One request with its body. Without `Debug`, as that may hold a password.
#[derive(Clone, Copy)]
struct Received<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// Serves a request.
pub(crate) async fn serve(
    State(world): State<Arc<World>>,
    ConnectInfo(plug): ConnectInfo<Plug>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return Reply::empty(StatusCode::PAYLOAD_TOO_LARGE).into_http();
    };
    let received = Received {
        method: &parts.method,
        uri: &parts.uri,
        headers: &parts.headers,
        body: &body,
    };
    let outcome = answer(&world, received).await;
    send_late(&world);
    match outcome {
        Outcome::Answered(reply) => reply.into_http(),
        Outcome::BrokenOff(reply) => reply.into_broken_http(),
        Outcome::Disconnected | Outcome::Late(_) | Outcome::Omitted => {
            plug.pull();
            Response::new(Body::empty())
        }
        Outcome::Hanging => std::future::pending().await,
        Outcome::Reset => {
            plug.reset();
            Response::new(Body::empty())
        }
    }
}

/// Dates every answer by the clock of the server.
pub(crate) async fn date(
    State(world): State<Arc<World>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(header::DATE, world.dates.header(world.clock.now()));
    response
}

/// Sends those on their way that know when they will arrive.
fn send_late(world: &Arc<World>) {
    for (after, late) in world.late.take_timed() {
        let world = Arc::clone(world);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            late.arrive(&world);
        });
    }
}

async fn answer(world: &World, received: Received<'_>) -> Outcome {
    match received.uri.path().strip_prefix(graph::VERSION) {
        Some(path) if path.starts_with('/') => {
            let outcome = graph_request(world, received, path).await;
            let latency = world.latency();
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            outcome
        }
        _ => authority_request(world, received).await,
    }
}

async fn graph_request(world: &World, received: Received<'_>, path: &str) -> Outcome {
    let text = |name: &str| received.headers.get(name)?.to_str().ok();
    let ids = Ids::new(
        world.request_id(),
        received.headers.get("client-request-id"),
    );
    let route = Route::graph(path);
    let authorization = received.headers.get(header::AUTHORIZATION);
    let caller = world
        .callers
        .authenticate(world, authorization.and_then(|value| value.to_str().ok()));
    let exchange = Exchange {
        world,
        method: received.method,
        path: received.uri.path(),
        route: &route,
        caller: caller.as_deref().ok(),
        ids: &ids,
        in_batch: false,
        user_name: None,
    };
    let caller = match &caller {
        Ok(caller) => caller,
        Err(error) => return exchange.run(async { Err(error.clone()) }).await,
    };
    if route.endpoint == Endpoint::Batch && received.method == Method::POST {
        let items = graph::batch::answer(world, caller, &ids, received.body);
        // Twenty items are too much for one future on the stack.
        return exchange.run_batch(Box::pin(items)).await;
    }
    let call = Call {
        world,
        caller,
        directory: &caller.directory,
        method: received.method,
        route: &route,
        path,
        query: Query::parse(received.uri.query().unwrap_or_default()),
        content_type: text(header::CONTENT_TYPE.as_str()),
        eventual: text("consistencylevel")
            .is_some_and(|level| level.eq_ignore_ascii_case("eventual")),
        body: received.body,
    };
    exchange.carry_out(&call).await
}

async fn authority_request(world: &World, received: Received<'_>) -> Outcome {
    let path = received.uri.path();
    let route = Route::authority(path);
    let ids = Ids::new(world.request_id(), None);
    let form = token::TokenForm::read(received.headers, received.body);
    let exchange = Exchange {
        world,
        method: received.method,
        path,
        route: &route,
        caller: None,
        ids: &ids,
        in_batch: false,
        user_name: form.username.as_deref(),
    };
    let act = async {
        Outcome::Answered(match (route.endpoint, received.method) {
            (Endpoint::Token, &Method::POST) => {
                token::answer(world, &route.key, received.headers, &form)
            }
            (Endpoint::DeviceCode, &Method::POST) => token::device_code(world, &route.key, &form),
            (Endpoint::AdminConsent, &Method::GET) => {
                token::admin_consent(world, &route.key, received.uri.query().unwrap_or_default())
            }
            (Endpoint::Discovery, &Method::GET) => discovery(world, path),
            _ => Reply::empty(StatusCode::NOT_FOUND),
        })
    };
    exchange.through_faults(act).await
}

fn discovery(world: &World, path: &str) -> Reply {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        [tenant, "v2.0", ..] => token::openid_configuration(world, tenant),
        [_, "userrealm", user] => token::user_realm(world, &decode(user)),
        [_, "discovery", "instance"] => token::instance_discovery(world),
        _ => token::keys(),
    }
}
