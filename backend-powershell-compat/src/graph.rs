//! What a tenant says of itself through the session of a module for Microsoft Graph: the worker hands requests and answers on.

use std::sync::Arc;
use std::time::Duration;

use entra_directory::{Claims, GraphReader, Need, ReadError};
use rotation_core::{BackendError, Problem};
use serde::de::DeserializeOwned;

use crate::config::Tenant;
use crate::failure::{Failure, HttpAnswer};
use crate::outcome::TOKEN_FIX;
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
#[derive(Debug)]
pub(crate) struct Graph {
    pool: Arc<Pool>,
    /// As it is configured: a GUID or a domain.
    tenant: String,
}

impl GraphReader for Graph {
    /// What follows the version.
    type Address = String;

    fn at(&self, path: &str) -> String {
        path.to_owned()
    }

    fn follow(&self, link: &str, need: &Need) -> Result<String, BackendError> {
        below_version(link, need)
    }

    async fn read<T: DeserializeOwned + Send>(
        &self,
        address: &String,
        need: &'static Need,
    ) -> Result<T, ReadError> {
        parse(&self.answer(address, need).await?, need)
    }

    async fn claims(&self) -> Result<Claims, BackendError> {
        let told = match self.pool.read(Ask::Claims).await? {
            Reply::Done { ok, .. } => ok,
            Reply::Failed(record) => {
                let problem = Failure::from(record).problem("cannot see who is signed in");
                return Err(BackendError::Unavailable(problem));
            }
        };
        // the worker keeps the signature, which makes a token of them
        let claims = told.get("claims").and_then(|claims| claims.as_str());
        let claims = claims.and_then(Claims::parse).ok_or_else(|| {
            let message = "the session's access token is opaque: expected a JWT whose claims `tid` and `oid` say who we are";
            BackendError::Unexpected(Problem::new(message).with_fix("check the tenant's cloud"))
        })?;
        if claims.are_of_another(&self.tenant) {
            let message = format!(
                "the session is in tenant {}, but tenant {} is configured",
                claims.tid, self.tenant
            );
            let problem = Problem::new(message).with_fix("check the tenant and how to sign in");
            return Err(BackendError::NotAuthorized(problem));
        }
        Ok(claims)
    }
}

impl Graph {
    pub(crate) fn new(pool: &Arc<Pool>, tenant: &Tenant) -> Self {
        Self {
            pool: Arc::clone(pool),
            tenant: tenant.id.clone(),
        }
    }

    /// The answer to a read, which is repeated where Graph is busy or out of order.
    async fn answer(&self, path: &str, need: &Need) -> Result<HttpAnswer, BackendError> {
        let uri = format!("{VERSION}{path}");
        let mut pause = PAUSE;
        for attempt in 1.. {
            let failure = match self.pool.read(Ask::Get { uri: uri.clone() }).await? {
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

fn parse<T: DeserializeOwned>(answer: &HttpAnswer, need: &Need) -> Result<T, ReadError> {
    let place = format!("cannot {}", need.to);
    if answer.status == 200 {
        // What the parser says may repeat what it read.
        return serde_json::from_str(&answer.body).map_err(|_| {
            let message = format!("{place}: the answer is not of the expected shape");
            BackendError::Unexpected(Problem::new(message)).into()
        });
    }
    let failure = Failure::from(answer);
    let mut problem = failure.problem(&place);
    let grant = format!(
        "give the caller the permission {}, with admin consent, and sign in again",
        need.permission
    );
    if need.pim {
        problem = problem.with_fix(format!(
            "set `pim = false` if the tenant has no Privileged Identity Management (Entra ID P2 or Governance); else {grant}"
        ));
    }
    Err(match (answer.status, failure.code.as_deref()) {
        (401, _) => BackendError::NotAuthorized(problem.with_fix(TOKEN_FIX)).into(),
        (403, _) if need.pim => BackendError::NotAuthorized(problem).into(),
        (403, _) => BackendError::NotAuthorized(problem.with_fix(grant)).into(),
        (404, Some(_)) => ReadError::Missing(BackendError::Unexpected(problem)),
        (_, Some(ReadError::EXPIRED)) => ReadError::Expired(problem),
        _ => BackendError::Unexpected(problem).into(),
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
        pim: false,
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
            parse::<Vec<u32>>(&answer, &NEED)
        };
        assert_eq!(of(200, "[1]").unwrap(), [1]);
        assert!(matches!(
            of(200, "<html>"),
            Err(ReadError::Failed(BackendError::Unexpected(_)))
        ));
        let error = |code: &str| format!(r#"{{"error":{{"code":"{code}"}}}}"#);
        let denied = of(403, &error("Authorization_RequestDenied"));
        assert!(matches!(
            denied,
            Err(ReadError::Failed(BackendError::NotAuthorized(_)))
        ));
        let expired = of(400, &error("Directory_ExpiredPageToken"));
        assert!(matches!(expired, Err(ReadError::Expired(_))));
        let missing = of(404, &error("Request_ResourceNotFound"));
        assert!(matches!(missing, Err(ReadError::Missing(_))));
        assert!(matches!(of(404, "<html>"), Err(ReadError::Failed(_))));
    }
}
