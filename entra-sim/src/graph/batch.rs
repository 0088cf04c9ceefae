//! `POST /$batch`: up to 20 requests in one.
//!
//! <https://learn.microsoft.com/graph/json-batching>

use std::collections::{HashMap, HashSet};
use std::io::Write as _;

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use futures::future::join_all;
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Call, Caller, GraphError, Ids, Query};
use crate::endpoint::{Endpoint, Route};
use crate::exchange::Exchange;
use crate::fault::Outcome;
use crate::reply::{Content, Reply};
use crate::world::World;

const MAX_ITEMS: usize = 20;

/// One item of the envelope. Without `Debug`, as its body may hold a password.
struct Item<'a> {
    id: String,
    method: Method,
    url: String,
    content_type: Option<String>,
    /// `ConsistencyLevel: eventual`
    eventual: bool,
    body: &'a [u8],
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
            Outcome::Answered(reply) => responses.push((&item.id, reply)),
            Outcome::Late(_) | Outcome::Omitted => {}
            broken => return Ok(broken),
        }
    }
    // Any order is allowed, so the order of the requests would teach clients to rely on it.
    responses.reverse();
    let mut text = br#"{"responses":["#.to_vec();
    for (index, (id, reply)) in responses.into_iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        // Writing to memory cannot fail.
        write_response(&mut text, id, reply).ok();
    }
    text.extend_from_slice(b"]}");
    let text = String::from_utf8(text).unwrap_or_default();
    Ok(Outcome::Answered(Reply::rendered(StatusCode::OK, text)))
}

/// Carries the items out in their order, leaving out those that depend on a failed one.
async fn one_by_one(world: &World, caller: &Caller, ids: &Ids, items: &[Item<'_>]) -> Vec<Outcome> {
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

async fn run(world: &World, caller: &Caller, ids: &Ids, item: &Item<'_>) -> Outcome {
    let (path, query) = item.url.split_once('?').unwrap_or((&item.url, ""));
    let route = Route::graph(path);
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
        content_type: item.content_type.as_deref(),
        eventual: item.eventual,
        body: item.body,
    };
    if route.endpoint == Endpoint::Batch {
        let nested = GraphError::malformed("A batch cannot contain a batch.");
        return exchange.run(async { Err(nested) }).await;
    }
    exchange.carry_out(&call).await
}

fn write_response(text: &mut Vec<u8>, id: &str, reply: Reply) -> std::io::Result<()> {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let mut headers = reply.headers;
    if !matches!(reply.content, Content::Empty) {
        headers.push((header::CONTENT_TYPE, JSON));
    }
    text.extend_from_slice(br#"{"id":"#);
    serde_json::to_writer(&mut *text, id)?;
    write!(text, r#","status":{},"headers":"#, reply.status.as_u16())?;
    let named = headers
        .iter()
        .filter_map(|(name, value)| Some((in_batch(name), value.to_str().ok()?)));
    serde_json::Serializer::new(&mut *text).collect_map(named)?;
    text.extend_from_slice(br#","body":"#);
    match reply.content {
        Content::Empty => text.extend_from_slice(b"null"),
        Content::Json(value) => serde_json::to_writer(&mut *text, &value)?,
        Content::Rendered(json) => text.extend_from_slice(json.as_bytes()),
        Content::Text(_, words) => serde_json::to_writer(&mut *text, &words)?,
    }
    text.push(b'}');
    Ok(())
}

/// Headers of items come in either case; this one in the case of the documentation's examples.
fn in_batch(name: &HeaderName) -> &str {
    if name == header::CONTENT_TYPE {
        "Content-Type"
    } else {
        name.as_str()
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    requests: Vec<&'a RawValue>,
}

/// An item as it was written. What is of another type than it should be counts as missing.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Written<'a> {
    #[serde(deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    method: Option<String>,
    #[serde(deserialize_with = "lenient")]
    url: Option<String>,
    #[serde(deserialize_with = "lenient")]
    headers: Option<HashMap<String, Value>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(deserialize_with = "lenient")]
    depends_on: Option<Vec<Value>>,
}

fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    let written = <&RawValue>::deserialize(value)?;
    Ok(serde_json::from_str(written.get()).ok())
}

impl Written<'_> {
    fn header(&self, wanted: &str) -> Option<&str> {
        let mut headers = self.headers.iter().flatten();
        headers
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .and_then(|(_, value)| value.as_str())
    }
}

fn parse(body: &[u8]) -> Result<Vec<Item<'_>>, GraphError> {
    let envelope: Envelope<'_> = serde_json::from_slice(body)
        .ok()
        .filter(|envelope: &Envelope<'_>| !envelope.requests.is_empty())
        .ok_or_else(|| GraphError::malformed("Invalid batch payload format."))?;
    if envelope.requests.len() > MAX_ITEMS {
        return Err(GraphError::malformed(
            "Number of requests inside batch exceed the limit.",
        ));
    }
    let mut seen = HashSet::new();
    let mut items = Vec::with_capacity(envelope.requests.len());
    for request in envelope.requests {
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

fn parse_item(request: &RawValue) -> Result<Item<'_>, GraphError> {
    let written: Written<'_> = serde_json::from_str(request.get()).unwrap_or_default();
    let missing =
        |name: &str| GraphError::malformed(format!("Request has no valid value for '{name}'."));
    let given = |text: Option<&String>, name: &str| match text {
        Some(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(missing(name)),
    };
    let id = given(written.id.as_ref(), "id")?;
    let url = given(written.url.as_ref(), "url")?;
    if url.contains("://") {
        return Err(GraphError::malformed(format!(
            "Request '{id}' must have a URL relative to the version."
        )));
    }
    let method = given(written.method.as_ref(), "method")?;
    let method = Method::from_bytes(method.to_uppercase().as_bytes());
    let method = method.map_err(|_| missing("method"))?;
    let content_type = written.header("content-type");
    let writes = method != Method::GET && method != Method::DELETE;
    if writes && (written.body.is_none() || content_type.is_none()) {
        return Err(GraphError::malformed(format!(
            "Write request id '{id}' does not contain Content-Type header or body."
        )));
    }
    let eventual = written.header("consistencylevel");
    let depends_on = written.depends_on.iter().flatten();
    Ok(Item {
        id,
        url,
        method,
        content_type: content_type.map(str::to_owned),
        eventual: eventual.is_some_and(|level| level.eq_ignore_ascii_case("eventual")),
        body: written.body.map_or(&[], |body| body.get().as_bytes()),
        depends_on: depends_on
            .filter_map(|id| Some(id.as_str()?.to_lowercase()))
            .collect(),
    })
}
