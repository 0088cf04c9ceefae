//! `POST /$batch`: up to 20 requests in one.
//!
//! <https://learn.microsoft.com/graph/json-batching>

use std::collections::{HashMap, HashSet};

use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::{Call, Caller, GraphError, Ids, Query};
use crate::endpoint::{Endpoint, Route};
use crate::exchange::Exchange;
use crate::fault::Outcome;
use crate::reply::{Content, Reply};
use crate::world::World;

const MAX_ITEMS: usize = 20;

/// One item of the envelope. Without `Debug`, as its body may hold a password.
struct Item {
    id: String,
    method: Method,
    url: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
    depends_on: Vec<String>,
}

/// The answer to an envelope, or the broken connection if a fault of an item breaks it; the
/// other items are carried out all the same.
pub(crate) async fn answer(
    world: &World,
    caller: &Caller,
    ids: &Ids,
    body: &[u8],
) -> Result<Outcome, GraphError> {
    let items = parse(body)?;
    let parallel = items.iter().all(|item| item.depends_on.is_empty());
    let outcomes = if parallel {
        join_all(items.iter().map(|item| run(world, caller, ids, item))).await
    } else {
        one_by_one(world, caller, ids, &items).await
    };
    let mut responses = Vec::with_capacity(items.len());
    for (item, outcome) in items.iter().zip(outcomes) {
        match outcome {
            Outcome::Answered(reply) => responses.push(response(&item.id, reply)),
            Outcome::Late(_) | Outcome::Omitted => {}
            broken => return Ok(broken),
        }
    }
    // Any order is allowed, so the order of the requests would teach clients to rely on it.
    responses.reverse();
    let body = json!({"responses": responses});
    Ok(Outcome::Answered(Reply::json(StatusCode::OK, body)))
}

/// Carries the items out in their order, leaving out those that depend on a failed one.
async fn one_by_one(world: &World, caller: &Caller, ids: &Ids, items: &[Item]) -> Vec<Outcome> {
    let mut succeeded = HashSet::new();
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        let outcome = if item.depends_on.iter().all(|id| succeeded.contains(id)) {
            run(world, caller, ids, item).await
        } else {
            let error = GraphError::new(
                StatusCode::FAILED_DEPENDENCY,
                "FailedDependency",
                "A request that this one depends on has failed.",
            );
            Outcome::Answered(error.reply(ids, world.clock.now()))
        };
        if matches!(&outcome, Outcome::Answered(reply) if reply.status.is_success()) {
            succeeded.insert(item.id.to_lowercase());
        }
        outcomes.push(outcome);
    }
    outcomes
}

async fn run(world: &World, caller: &Caller, ids: &Ids, item: &Item) -> Outcome {
    let (path, query) = item.url.split_once('?').unwrap_or((&item.url, ""));
    let route = Route::graph(path);
    let header = |name: &str| item.headers.get(name).map(String::as_str);
    let exchange = Exchange {
        world,
        method: &item.method,
        path,
        route: &route,
        caller: Some(caller),
        ids,
        in_batch: true,
        user_name: None,
    };
    let call = Call {
        world,
        caller,
        directory: &caller.directory,
        method: &item.method,
        route: &route,
        path,
        query: Query::parse(query),
        content_type: header("content-type"),
        eventual: header("consistencylevel").is_some_and(|l| l.eq_ignore_ascii_case("eventual")),
        body: &item.body,
    };
    if route.endpoint == Endpoint::Batch {
        let nested = GraphError::malformed("A batch cannot contain a batch.");
        return exchange.run(async { Err(nested) }).await;
    }
    exchange.carry_out(&call).await
}

fn response(id: &str, reply: Reply) -> Value {
    let mut headers: Map<String, Value> = reply
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
        .collect();
    let body = match reply.content {
        Content::Empty => Value::Null,
        Content::Json(value) => value,
        Content::Text(_, text) => Value::String(text),
    };
    if !body.is_null() {
        headers.insert("Content-Type".to_owned(), "application/json".into());
    }
    json!({"id": id, "status": reply.status.as_u16(), "headers": headers, "body": body})
}

fn parse(body: &[u8]) -> Result<Vec<Item>, GraphError> {
    let envelope: Value = serde_json::from_slice(body)
        .map_err(|_| GraphError::malformed("Invalid batch payload format."))?;
    let requests = envelope
        .get("requests")
        .and_then(Value::as_array)
        .filter(|requests| !requests.is_empty())
        .ok_or_else(|| GraphError::malformed("Invalid batch payload format."))?;
    if requests.len() > MAX_ITEMS {
        return Err(GraphError::malformed(
            "Number of requests inside batch exceed the limit.",
        ));
    }
    let mut seen = HashSet::new();
    let mut items = Vec::with_capacity(requests.len());
    for request in requests {
        let item = parse_item(request)?;
        if let Some(unknown) = item.depends_on.iter().find(|id| !seen.contains(*id)) {
            return Err(GraphError::malformed(format!(
                "Request '{}' depends on '{unknown}', which does not precede it.",
                item.id
            )));
        }
        if !seen.insert(item.id.to_lowercase()) {
            return Err(GraphError::malformed(format!(
                "Request id '{}' exists more than once in the batch.",
                item.id
            )));
        }
        items.push(item);
    }
    Ok(items)
}

fn parse_item(request: &Value) -> Result<Item, GraphError> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let missing =
        |name: &str| GraphError::malformed(format!("Request has no valid value for '{name}'."));
    let id = text("id")
        .filter(|id| !id.is_empty())
        .ok_or_else(|| missing("id"))?;
    let url = text("url")
        .filter(|url| !url.is_empty())
        .ok_or_else(|| missing("url"))?;
    if url.contains("://") {
        return Err(GraphError::malformed(format!(
            "Request '{id}' must have a URL relative to the version."
        )));
    }
    let method = text("method")
        .and_then(|method| Method::from_bytes(method.to_uppercase().as_bytes()).ok())
        .ok_or_else(|| missing("method"))?;
    let headers: HashMap<String, String> = request
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned())))
        .collect();
    let body = request.get("body").filter(|body| !body.is_null());
    let writes = method != Method::GET && method != Method::DELETE;
    if writes && (body.is_none() || !headers.contains_key("content-type")) {
        return Err(GraphError::malformed(format!(
            "Write request id '{id}' does not contain Content-Type header or body."
        )));
    }
    let depends_on = request.get("dependsOn").and_then(Value::as_array);
    Ok(Item {
        id: id.to_owned(),
        method,
        url: url.to_owned(),
        headers,
        body: body
            .map(|body| body.to_string().into_bytes())
            .unwrap_or_default(),
        depends_on: depends_on
            .into_iter()
            .flatten()
            .filter_map(|id| Some(id.as_str()?.to_lowercase()))
            .collect(),
    })
}
