use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::time::Duration;

use rotation_core::{BackendError, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::config::Tenant;
use crate::failure::{Failure, HttpAnswer};
use crate::pool::Pool;
use crate::protocol::Ask;
use crate::worker::Reply;

/// How often a read is tried.
const ATTEMPTS: u32 = 4;

/// How long the first wait is, if Graph does not say; the next ones double it.
const PAUSE: Duration = Duration::from_millis(500);

/// The version of Graph that every request names.
const VERSION: &str = "v1.0/";

/// Reads from Graph through a pool of workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Graph<'a> {
    pool: &'a Pool,
    /// As it is configured: a GUID or a domain.
    pub(crate) tenant: &'a str,
    /// Whether the tenant has Privileged Identity Management.
    pub(crate) pim: bool,
}

/// What a read is for, and the permission it takes, for its error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// Completes "cannot …".
    pub(crate) to: &'static str,
    /// The least permission that Microsoft documents for it.
    pub(crate) permission: &'static str,
}

/// One page of a collection (<https://learn.microsoft.com/graph/paging>).
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) value: Vec<T>,
    #[serde(default, rename = "@odata.nextLink")]
    next_link: Option<String>,
}

/// The pages of a collection, one after the other.
pub(crate) struct Pages<'a, T> {
    graph: Graph<'a>,
    need: &'a Need,
    next: Option<String>,
    /// What the links hash to: about a thousand for a million accounts.
    followed: HashSet<u64>,
    hasher: RandomState,
    item: PhantomData<fn() -> T>,
}

impl<'a, T: DeserializeOwned> Pages<'a, T> {
    /// Those that begin at `first`, a path with its query.
    pub(crate) fn new(graph: Graph<'a>, first: String, need: &'a Need) -> Self {
        Self {
            graph,
            need,
            next: Some(first),
            followed: HashSet::new(),
            hasher: RandomState::new(),
            item: PhantomData,
        }
    }

    /// The next page, which may be empty; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<T>>, BackendError> {
        let Some(path) = self.next.take() else {
            return Ok(None);
        };
        let answer = self.graph.answer(&path, self.need).await?;
        self.followed.insert(self.hasher.hash_one(&path));
        let page: Page<T> = parse(&answer, self.need)?;
        self.next = page.next_link.map(|link| self.follow(&link)).transpose()?;
        Ok(Some(page.value))
    }

    fn follow(&self, link: &str) -> Result<String, BackendError> {
        let next = below_version(link, self.need)?;
        if self.followed.contains(&self.hasher.hash_one(&next)) {
            let message = format!("cannot {}: the pages lead in a circle", self.need.to);
            return Err(BackendError::Unexpected(Problem::new(message)));
        }
        Ok(next)
    }
}

impl<'a> Graph<'a> {
    pub(crate) fn new(pool: &'a Pool, tenant: &'a Tenant) -> Self {
        Self {
            pool,
            tenant: &tenant.id,
            pim: tenant.pim,
        }
    }

    /// Asks a worker for something else.
    pub(crate) async fn ask(self, ask: Ask) -> Result<Reply, BackendError> {
        self.pool.read(ask).await
    }

    /// Reads `path`, a resource with its query; `None` if there is no such thing.
    pub(crate) async fn find<T: DeserializeOwned>(
        self,
        path: &str,
        need: &Need,
    ) -> Result<Option<T>, BackendError> {
        let answer = self.answer(path, need).await?;
        if answer.status == 404 && Failure::from(&answer).code.is_some() {
            return Ok(None);
        }
        parse(&answer, need).map(Some)
    }

    /// All items, of a collection that is small whatever the size of the tenant.
    pub(crate) async fn all<T: DeserializeOwned>(
        self,
        path: &str,
        need: &Need,
    ) -> Result<Vec<T>, BackendError> {
        let mut pages = Pages::new(self, path.to_owned(), need);
        let mut items = Vec::new();
        while let Some(page) = pages.next().await? {
            items.extend(page);
        }
        Ok(items)
    }

    /// The answer to a read, which is repeated where Graph is busy or out of order.
    async fn answer(self, path: &str, need: &Need) -> Result<HttpAnswer, BackendError> {
        let uri = format!("{VERSION}{path}");
        let mut pause = PAUSE;
        for attempt in 1.. {
            let failure = match self.ask(Ask::Get { uri: uri.clone() }).await? {
                Reply::Done { ok, .. } => {
                    let answer: HttpAnswer = serde_json::from_value(ok).map_err(|_| {
                        let message =
                            format!("cannot {}: the worker's answer is none of Graph's", need.to);
                        BackendError::Unexpected(Problem::new(message))
                    })?;
                    if answer.status != 429 && answer.status < 500 {
                        return Ok(answer);
                    }
                    Failure::from(&answer)
                }
                Reply::Failed(record) => record.into(),
            };
            if attempt == ATTEMPTS {
                let problem = failure.problem(&format!("cannot {}", need.to));
                return Err(BackendError::Unavailable(
                    problem.with_fix("try again later"),
                ));
            }
            tokio::time::sleep(failure.retry_after.unwrap_or(pause)).await;
            pause *= 2;
        }
        Err(BackendError::Unavailable(Problem::new(
            "no attempt was made",
        )))
    }
}

fn parse<T: DeserializeOwned>(answer: &HttpAnswer, need: &Need) -> Result<T, BackendError> {
    let place = format!("cannot {}", need.to);
    if answer.status == 200 {
        // What the parser says may repeat what it read.
        return serde_json::from_str(&answer.body).map_err(|_| {
            let message = format!("{place}: the answer is not of the expected shape");
            BackendError::Unexpected(Problem::new(message))
        });
    }
    let failure = Failure::from(answer);
    let problem = failure.problem(&place);
    Err(match (answer.status, failure.code.as_deref()) {
        (401 | 403, _) => BackendError::NotAuthorized(problem.with_fix(format!(
            "give the caller the permission {}, with admin consent, and sign in again",
            need.permission
        ))),
        (_, Some("Directory_ExpiredPageToken")) => {
            let fix = "the listing was read too slowly: start again";
            BackendError::Unavailable(problem.with_fix(fix))
        }
        _ => BackendError::Unexpected(problem),
    })
}

/// What follows the version in a link. Scheme, host and port of a link are never followed: a token goes to the Graph of
/// the session alone.
fn below_version(link: &str, need: &Need) -> Result<String, BackendError> {
    match link.split_once(VERSION) {
        Some((_, path)) if !path.is_empty() => Ok(path.to_owned()),
        _ => {
            let message = format!(
                "cannot {}: the next page is outside Graph's {VERSION}",
                need.to
            );
            Err(BackendError::Unexpected(Problem::new(message)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEED: Need = Need {
        to: "read",
        permission: "P",
    };

    #[test]
    fn only_what_follows_the_version_of_a_link_is_followed() {
        let link = "https://evil.example/v1.0/users?$skiptoken=x";
        assert_eq!(below_version(link, &NEED).unwrap(), "users?$skiptoken=x");
        for link in ["", "https://graph.microsoft.com/beta/users", "/v1.0/"] {
            assert!(below_version(link, &NEED).is_err(), "{link}");
        }
    }

    #[test]
    fn an_answer_that_is_no_collection_is_an_error_of_the_right_kind() {
        let of = |status, body: &str| {
            let answer = HttpAnswer {
                status,
                body: body.to_owned(),
                ..HttpAnswer::default()
            };
            parse::<Page<u32>>(&answer, &NEED)
        };
        assert_eq!(of(200, r#"{"value":[1]}"#).unwrap().value, [1]);
        assert!(matches!(
            of(200, "<html>"),
            Err(BackendError::Unexpected(_))
        ));
        let error = |code: &str| format!(r#"{{"error":{{"code":"{code}"}}}}"#);
        let denied = of(403, &error("Authorization_RequestDenied"));
        assert!(matches!(denied, Err(BackendError::NotAuthorized(_))));
        let expired = of(400, &error("Directory_ExpiredPageToken"));
        assert!(matches!(expired, Err(BackendError::Unavailable(_))));
    }
}
