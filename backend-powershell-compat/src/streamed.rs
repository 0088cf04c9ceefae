use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use rotation_core::{BackendError, Problem};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::pool::Pool;
use crate::protocol::{Ask, Record};
use crate::worker::{Lost, Reply};

/// How many parts wait for their reader: whoever reads slowly slows the worker down, and nothing piles up.
const AHEAD: usize = 2;

/// The accounts of a few `queries`.
pub(crate) async fn gathered<T: DeserializeOwned>(
    pool: &Pool,
    queries: Vec<String>,
) -> Result<Vec<T>, BackendError> {
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    match pool.read(Ask::Users { queries }).await? {
        Reply::Done { items, .. } => items.into_iter().map(parse).collect(),
        Reply::Failed(record) => Err(unread(record)),
    }
}

/// The accounts of `queries`, of which there may be any number, by a worker of its own: it is busy for as long as the
/// stream is read, and meanwhile passwords are set.
pub(crate) fn streamed<T: DeserializeOwned + Send + 'static>(
    pool: &Pool,
    queries: Vec<String>,
) -> BoxStream<'_, Result<T, BackendError>> {
    let started = async move {
        let worker = pool.start_one().await?;
        let limit = pool.config().read_timeout;
        let (parts, received) = mpsc::channel(AHEAD);
        let asked = tokio::spawn(async move {
            let ask = Ask::Users { queries };
            worker.stream(&ask, limit, parts).await
        });
        Ok::<_, BackendError>(stream::try_unfold((received, Some(asked)), next))
    };
    stream::once(started)
        .try_flatten()
        .map_ok(|part| stream::iter(part).map(parse))
        .try_flatten()
        .boxed()
}

type Under = (
    mpsc::Receiver<Vec<Value>>,
    Option<JoinHandle<Result<Reply, Lost>>>,
);

/// The next part; after the last, whether it was the last.
async fn next((mut received, asked): Under) -> Result<Option<(Vec<Value>, Under)>, BackendError> {
    if let Some(part) = received.recv().await {
        return Ok(Some((part, (received, asked))));
    }
    let interrupted =
        || BackendError::Unavailable(Problem::new("reading the accounts was interrupted"));
    let asked = asked.ok_or_else(interrupted)?;
    match asked.await.map_err(|_| interrupted())? {
        Ok(Reply::Done { .. }) => Ok(None),
        Ok(Reply::Failed(record)) => Err(unread(record)),
        Err(lost) => Err(BackendError::Unavailable(lost.problem())),
    }
}

fn parse<T: DeserializeOwned>(item: Value) -> Result<T, BackendError> {
    // What the parser says may repeat what it read.
    serde_json::from_value(item).map_err(|_| {
        let message = "cannot read the accounts: one is not of the expected shape";
        BackendError::Unexpected(Problem::new(message))
    })
}

/// Why the accounts could not be read.
pub(crate) fn unread(record: Record) -> BackendError {
    let failure = Failure::from(record);
    let problem = failure.problem("cannot read the accounts");
    if failure.is_a("ADServerDownException") {
        let fix = "see whether the domain controller and its Active Directory Web Services (TCP 9389) are up";
        return BackendError::Unavailable(problem.with_fix(fix));
    }
    if failure.is_a("UnauthorizedAccessException") || failure.number == Some(5) {
        return BackendError::NotAuthorized(problem.with_fix("let the caller read the accounts"));
    }
    BackendError::Unavailable(problem)
}
