//! One request on its way through faults and records.

use axum::http::Method;

use crate::directory::{Account, Directory};
use crate::endpoint::{Endpoint, Route};
use crate::fault::{Outcome, Probe};
use crate::graph::{self, Call, Caller, GraphError, Ids};
use crate::late::LateRequest;
use crate::record::Kept;
use crate::reply::Reply;
use crate::world::World;

/// A request, or an item of a batch, and what is known about it before it is carried out.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) world: &'a World,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) route: &'a Route<'a>,
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) ids: &'a Ids,
    pub(crate) in_batch: bool,
    /// The user that signs in.
    pub(crate) user_name: Option<&'a str>,
}

impl Exchange<'_> {
    /// Lets faults strike, answers with Graph's ids, keeps a record.
    pub(crate) async fn run(
        &self,
        act: impl Future<Output = Result<Reply, GraphError>> + Send,
    ) -> Outcome {
        self.run_batch(async { act.await.map(Outcome::Answered) })
            .await
    }

    /// The same for a call, which may also take effect later.
    pub(crate) async fn carry_out(&self, call: &Call<'_>) -> Outcome {
        let outcome = self.run(async { call.answer() }).await;
        if let Outcome::Late(after) = outcome {
            self.world.late.hold(LateRequest::new(call, after));
        }
        outcome
    }

    /// The same for an act that may break the connection on its own account.
    pub(crate) async fn run_batch(
        &self,
        act: impl Future<Output = Result<Outcome, GraphError>> + Send,
    ) -> Outcome {
        self.through_faults(async {
            match act.await {
                Ok(Outcome::Answered(reply)) => Outcome::Answered(graph::with_ids(reply, self.ids)),
                Ok(broken) => broken,
                Err(error) => Outcome::Answered(self.refusal(&error)),
            }
        })
        .await
    }

    /// Lets faults strike and keeps a record; `act` renders its own answers.
    pub(crate) async fn through_faults(
        &self,
        act: impl Future<Output = Outcome> + Send,
    ) -> Outcome {
        let tenant = self.caller.map(|caller| &*caller.directory);
        let tenant = tenant.or_else(|| self.token_tenant());
        let account = self.account(tenant);
        let verdict = self.world.faults.decide(Probe {
            method: self.method.as_str(),
            endpoint: self.route.endpoint,
            tenant,
            account,
        });
        if !verdict.delay.is_zero() {
            tokio::time::sleep(verdict.delay).await;
        }
        let faulted = verdict.effect.is_some();
        let act = async {
            let outcome = act.await;
            if let (&Method::PATCH, Outcome::Answered(reply)) = (self.method, &outcome) {
                self.world.records.count_write(reply.status);
            }
            outcome
        };
        let (endpoint, now) = (self.route.endpoint, self.world.clock.now());
        let refuse = |error: &GraphError| self.refusal(error);
        let outcome = match verdict.effect {
            None => act.await,
            Some(effect) if effect.takes_effect() => match act.await {
                Outcome::Answered(reply) => {
                    effect.distort(endpoint, Some(reply.parsed()), now, refuse)
                }
                broken => broken,
            },
            Some(effect) => effect.distort(endpoint, None, now, refuse),
        };
        self.record(&outcome, account, faulted);
        outcome
    }

    fn refusal(&self, error: &GraphError) -> Reply {
        let reply = error.reply(self.ids, self.world.clock.now());
        graph::with_ids(reply, self.ids)
    }

    fn account<'d>(&self, tenant: Option<&'d Directory>) -> Option<&'d Account> {
        let key = match self.route.endpoint {
            Endpoint::Token => self.user_name?,
            Endpoint::User => &self.route.key,
            _ => return None,
        };
        tenant?.account_by_key(key)
    }

    fn token_tenant(&self) -> Option<&Directory> {
        (self.route.endpoint == Endpoint::Token)
            .then(|| self.world.tenant(&self.route.key))
            .flatten()
            .map(|tenant| &**tenant)
    }

    fn record(&self, outcome: &Outcome, account: Option<&Account>, faulted: bool) {
        let status = match outcome {
            Outcome::Answered(reply) => Some(reply.status.as_u16()),
            Outcome::BrokenOff(_)
            | Outcome::Disconnected
            | Outcome::Hanging
            | Outcome::Late(_)
            | Outcome::Omitted
            | Outcome::Reset => None,
        };
        let records = &self.world.records;
        records.push(status, self.in_batch, || Kept {
            at: self.world.clock.now(),
            method: self.method.clone(),
            path: self.path.into(),
            endpoint: self.route.endpoint,
            account: account.map(|account| account.id),
            status,
            in_batch: self.in_batch,
            faulted,
        });
    }
}
