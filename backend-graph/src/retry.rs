use std::time::Duration;

use rotation_core::{BackendError, RequestKind};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::address::GraphUrl;
use crate::answer::{Answer, Need};
use crate::client::{Call, Client, SendError};
use crate::sign_in::aadsts::TokenError;

/// How long to wait before each repeat of a read, unless the server says how long. One listing reads one thing at a
/// time, so there is no herd to scatter.
pub(crate) const PAUSES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// The longest wait we accept from a server before saying that it is not available.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// Reading changes nothing, so the backend repeats it; setting a password is repeated by the engine alone.
impl Client {
    /// Reads the resource at `url`.
    ///
    /// # Errors
    /// Those of [`Client::read`] and [`Answer::json`].
    pub(crate) async fn read_json<T: DeserializeOwned>(
        &self,
        url: GraphUrl,
        need: &Need,
    ) -> Result<T, BackendError> {
        self.read(url).await?.json(need, &self.consent)
    }

    /// Reads `url` until the answer is neither "later" nor lost. Every attempt takes its turn; a `Retry-After` is waited
    /// out by everybody at the same time, so that this one's wait is over when its turn comes.
    ///
    /// # Errors
    /// - [`BackendError::Unavailable`] if it stays so;
    /// - [`BackendError::NotAuthorized`] if there is no token.
    pub(crate) async fn read(&self, url: GraphUrl) -> Result<Answer, BackendError> {
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
        if error.transient {
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
