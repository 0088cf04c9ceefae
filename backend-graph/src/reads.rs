use std::time::Duration;

use entra_directory::{Claims, GraphReader, Need, ReadError, Remedy};
use rotation_core::{BackendError, Problem, RequestKind};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::address::GraphUrl;
use crate::answer::Answer;
use crate::client::{Call, Client, SendError};
use crate::sign_in::aadsts::TokenError;

/// How long to wait before each repeat of a read, unless the server says how long. A plan reads a few things at a time, each of
/// which takes a turn from the rate controller again, so there is no herd to scatter.
pub(crate) const PAUSES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// The longest wait we accept from a server before saying that it is not available.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

impl GraphReader for Client {
    type Address = GraphUrl;

    fn at(&self, path: &str) -> GraphUrl {
        self.graph.at(path)
    }

    fn follow(&self, link: &str, _: &Need) -> Result<GraphUrl, BackendError> {
        self.graph.link(link)
    }

    async fn read<T: DeserializeOwned + Send>(
        &self,
        address: &GraphUrl,
        need: &'static Need,
    ) -> Result<T, ReadError> {
        let answer = self.get(address.clone()).await?;
        if answer.status == 400 && answer.code() == Some(ReadError::EXPIRED) {
            return Err(ReadError::Expired(answer.problem()));
        }
        let read = answer.json(need, &self.consent);
        read.map_err(|error| {
            if answer.is_missing() {
                ReadError::Missing(error)
            } else {
                ReadError::Failed(error)
            }
        })
    }

    async fn claims(&self) -> Result<Claims, BackendError> {
        let token = self.token().await?;
        let claims = Claims::of_token(token.expose()).ok_or_else(|| {
            let problem = Problem::new(
                "the access token is opaque: expected a JWT whose claims `tid` and `oid` say who we are",
            );
            let fix = "check `cloud`: its authority must be Microsoft Entra ID";
            BackendError::Unexpected(problem.with_fix(fix))
        })?;
        let configured = self.consent.tenant();
        if claims.are_of_another(configured) {
            let problem = Problem::new(format!(
                "the access token is for tenant {}, but tenant {configured} is configured",
                claims.tid
            ));
            return Err(BackendError::NotAuthorized(
                problem.with_fix("check `tenant` and `client_id`"),
            ));
        }
        Ok(claims)
    }
}

/// Reading changes nothing, so the backend repeats it; setting a password is repeated by the engine alone.
impl Client {
    /// Reads `url` until the answer is neither "later" nor lost. Every attempt takes its turn; a `Retry-After` is waited
    /// out by everybody at the same time, so that this one's wait is over when its turn comes.
    ///
    /// # Errors
    /// - [`BackendError::Unavailable`] if it stays so;
    /// - [`BackendError::NotAuthorized`] if there is no token.
    pub(crate) async fn get(&self, url: GraphUrl) -> Result<Answer, BackendError> {
        let call = Call::get(url);
        let mut pauses = PAUSES.into_iter();
        loop {
            let (problem, asked) = match self.send_in_turn(&call).await {
                Ok(answer) if is_busy(&answer) => (answer.problem(), answer.retry_after),
                Ok(answer) => return Ok(answer),
                Err(SendError::Token(error)) => return Err(error.into()),
                Err(SendError::Lost(problem) | SendError::NotSent(problem)) => (problem, None),
            };
            let pause = pauses.next().map(|pause| asked.unwrap_or(pause));
            match pause {
                Some(pause) if pause <= LONGEST_PAUSE => sleep(pause).await,
                Some(_) | None => return Err(BackendError::Unavailable(problem)),
            }
        }
    }

    async fn send_in_turn(&self, call: &Call) -> Result<Answer, SendError> {
        let _turn = self.rate.turn(RequestKind::Read).await;
        self.send(call).await
    }
}

fn is_busy(answer: &Answer) -> bool {
    answer.status == 429 || answer.status.is_server_error()
}

impl From<TokenError> for BackendError {
    fn from(error: TokenError) -> Self {
        if error.remedy == Remedy::Time {
            Self::Unavailable(error.problem)
        } else {
            Self::NotAuthorized(error.problem)
        }
    }
}

impl From<SendError> for BackendError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Lost(problem) | SendError::NotSent(problem) => Self::Unavailable(problem),
            SendError::Token(error) => error.into(),
        }
    }
}
