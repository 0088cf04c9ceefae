//! Gives an app what it needs in a tenant, and takes it away again, in the name of an administrator.

mod look;
mod present;
mod refusal;
mod request;
mod wanted;

pub use present::Present;
pub use request::{ByHand, SetupRequest};
pub use wanted::{Step, Through, Wanted};

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use rotation_core::{BackendError, Clock, Problem, RequestKind, SystemClock};
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use crate::answer::Answer;
use crate::client::{Call, Client, SendError};
use crate::config::GraphConfig;
use crate::error::ConfigError;
use present::Group;
#[cfg(test)]
pub(crate) use refusal::documented;
use refusal::{Doing, refusal};
use request::Request;

/// How long to wait before each repeat of a write that certainly did nothing, unless the server says how long: it is busy, or
/// has not yet heard everywhere of what was created a moment ago
/// (<https://learn.microsoft.com/graph/best-practices-concept>).
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// The longest wait that we accept from a server.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// An administrator's hand in one tenant. It acts as the identity of its [`GraphConfig`], which is not the app that is set up.
///
/// # Permissions
/// Delegated or application permissions, each the least that Microsoft documents: to look, `Application.Read.All`,
/// `RoleManagement.Read.Directory` and, for a group, `GroupMember.Read.All`; to do, `Application.ReadWrite.All`,
/// `AppRoleAssignment.ReadWrite.All`, `RoleManagement.ReadWrite.Directory` and, for a group, `Group.ReadWrite.All`. A person
/// also needs the role Privileged Role Administrator, and Cloud Application Administrator to create the service principal.
#[derive(Clone, Debug)]
pub struct Setup {
    client: Arc<Client>,
    wanted: Wanted,
}

impl Setup {
    /// Prepares to bring `wanted` into the tenant of `config`. Nothing is sent yet.
    ///
    /// # Errors
    /// As [`GraphBackend::new`](crate::GraphBackend::new), and for a `client_id` in `wanted` that is no GUID.
    pub fn new(config: &GraphConfig, wanted: Wanted) -> Result<Self, ConfigError> {
        wanted.check()?;
        let client = Arc::new(Client::new(config)?);
        Ok(Self { client, wanted })
    }

    /// What is wanted.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// What is there. Changes nothing.
    ///
    /// # Errors
    /// [`BackendError`] if any of it cannot be read, with the permission that it takes.
    pub async fn read(&self) -> Result<Present, BackendError> {
        Present::read(&self.client, &self.wanted).await
    }

    /// Does `step`, one of those that are [missing](Present::missing), in their order. That it is done already is success.
    /// `present` learns the ids that later steps need.
    ///
    /// # Errors
    /// - [`BackendError::NotAuthorized`] if a right is missing, with where to give it;
    /// - [`BackendError::Unavailable`] if it is not known whether it was done: looking again tells;
    /// - [`BackendError::Unexpected`] if the directory refuses it for another reason.
    pub async fn add(&self, present: &mut Present, step: &Step) -> Result<(), BackendError> {
        let doing = Doing::adding(&self.wanted, step);
        let unknown = |permission: &str| {
            let problem = Problem::new(format!(
                "{doing}: Microsoft Graph has no application permission {permission} in this tenant"
            ));
            BackendError::Unexpected(problem.with_fix("check `cloud`"))
        };
        if let Step::Permission(name) = step
            && present.app_role(name).is_none()
        {
            return Err(unknown(name));
        }
        if let Some((why, fix)) = present.forbids(step) {
            let problem = Problem::new(format!("{doing}: {why}"));
            return Err(BackendError::Unexpected(problem.with_fix(fix)));
        }
        let app_role = |name: &str| {
            let id = present.app_role(name);
            id.map(|id| id.to_string()).unwrap_or_default()
        };
        let (ids, now) = (present.ids(), SystemClock.now());
        let graph = &self.client.graph;
        let request = Request::adding(&self.wanted, step, &ids, app_role, graph, now);
        let is_done = |fresh: &Present| !fresh.missing().contains(step);
        match self.send(&request, &doing, is_done).await? {
            Done::ByUs(created) => match step {
                Step::ServicePrincipal => present.principal = Some(created.ok_or_else(lost)?),
                Step::Group => present.group = Some(Group::new(created.ok_or_else(lost)?)),
                _ => {}
            },
            Done::Before(fresh) => *present = *fresh,
        }
        Ok(())
    }

    /// Undoes `step`, one of those that are [removable](Present::removable), in their order. That it is undone already is
    /// success.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub async fn remove(&self, present: &Present, step: &Step) -> Result<(), BackendError> {
        let doing = Doing::removing(&self.wanted, step);
        let Some(request) = self.removing(present, step) else {
            return Ok(());
        };
        let is_done = |fresh: &Present| !fresh.removable().contains(step);
        self.send(&request, &doing, is_done).await?;
        Ok(())
    }

    /// `None` if there is nothing to undo.
    fn removing(&self, present: &Present, step: &Step) -> Option<Request> {
        let ids = present.ids();
        let (principal, group) = (ids.principal.as_str(), ids.group.as_str());
        Some(match step {
            Step::ServicePrincipal => Request::delete(&["servicePrincipals", principal]),
            Step::Permission(name) => {
                let assignment = present.assignment_of(name)?;
                Request::delete(&[
                    "servicePrincipals",
                    principal,
                    "appRoleAssignments",
                    assignment,
                ])
            }
            Step::Group => Request::delete(&["groups", group]),
            Step::Role | Step::Prolong => match &self.wanted.through {
                Through::Pim { justification, .. } => {
                    let why = match justification.as_str() {
                        "" => json!({}),
                        why => json!({"justification": why}),
                    };
                    Request::requesting("adminRemove", self.wanted.role, principal, &why)
                }
                Through::Direct | Through::Group => {
                    let assignment = present.role_assignment()?;
                    let path = ["roleManagement", "directory", "roleAssignments", assignment];
                    Request::delete(&path)
                }
            },
            Step::Member => Request::delete(&["groups", group, "members", principal, "$ref"]),
        })
    }

    /// Sends `request` until it is answered by more than "later". What was refused, or whose answer was lost, may be done all
    /// the same: then the tenant is looked at again.
    async fn send(
        &self,
        request: &Request,
        doing: &Doing,
        is_done: impl Fn(&Present) -> bool,
    ) -> Result<Done, BackendError> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let url = self.client.graph.url(&path, "");
        let body = request
            .body
            .as_ref()
            .map(|body| Bytes::from(body.to_string()));
        let call = Call::write(request.method.clone(), url, body);
        let mut pauses = PAUSES.into_iter();
        let error = loop {
            let answer = match self.send_in_turn(&call).await {
                Ok(answer) if answer.status.is_success() => {
                    return Ok(Done::ByUs(created(&answer)));
                }
                Ok(answer) => answer,
                Err(SendError::Lost(problem)) => break unknown(problem),
                Err(error) => return Err(error.into()),
            };
            match pauses.next().filter(|_| may_repeat(&answer, doing)) {
                Some(pause) => {
                    sleep(answer.retry_after.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                }
                None if answer.status.is_server_error() => break unknown(answer.problem()),
                None => break refusal(&answer, doing, &self.client.consent),
            }
        };
        if matches!(error, BackendError::NotAuthorized(_)) {
            return Err(error);
        }
        match self.read().await {
            Ok(fresh) if is_done(&fresh) => Ok(Done::Before(Box::new(fresh))),
            _ => Err(error),
        }
    }

    async fn send_in_turn(&self, call: &Call) -> Result<Answer, SendError> {
        let _turn = self.client.rate.turn(RequestKind::Write).await;
        self.client.send(call).await
    }
}

/// How a step came to be done.
enum Done {
    /// It was already, or by a request whose answer was lost.
    Before(Box<Present>),
    /// By a request, which may have created something of this id.
    ByUs(Option<Uuid>),
}

/// Turned away before anything was done; or something was created so lately that not every server knows it.
fn may_repeat(answer: &Answer, doing: &Doing) -> bool {
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::SERVICE_UNAVAILABLE => answer.retry_after.is_some(),
        StatusCode::NOT_FOUND => doing.adds(),
        _ => false,
    }
}

fn created(answer: &Answer) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Created {
        id: Uuid,
    }
    let created: Option<Created> = serde_json::from_slice(answer.body()).ok();
    created.map(|created| created.id)
}

fn unknown(problem: Problem) -> BackendError {
    BackendError::Unavailable(
        problem.with_fix("it may have been done: run this again, which looks first"),
    )
}

fn lost() -> BackendError {
    let problem = Problem::new("the answer names no `id` of what was created");
    BackendError::Unexpected(problem.with_fix("run this again, which looks first"))
}
