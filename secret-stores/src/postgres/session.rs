//! Connections, and the one way to write over them.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Hook, HookError, Object, Pool};
use futures::future::join_all;
use rotation_core::StoreError;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::config::PostgresConfig;
use super::error::{self, Place};

/// Each sees what was committed before it began, whatever the server's default.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// How often a transaction is tried that another one was in the way of.
const ATTEMPTS: u32 = 5;

/// One statement with its parameters.
pub(super) struct Step<'a>(
    pub(super) &'static str,
    pub(super) &'a [&'a (dyn ToSql + Sync)],
);

/// Connections to one store.
pub(super) struct Sessions {
    pool: Pool,
    place: Place,
    timeout: Duration,
}

impl Sessions {
    /// Connects to nothing yet. With `writable`, to a server that takes writes.
    pub(super) fn new(config: &PostgresConfig, writable: bool) -> Result<Self, StoreError> {
        let place = config.place()?;
        let manager = config.manager(writable)?;
        let setup = writing(place.schema(), config.timeout());
        let hook = Hook::async_fn(move |client: &mut ClientWrapper, _| {
            let setup = setup.clone();
            Box::pin(async move {
                client
                    .batch_execute(&setup)
                    .await
                    .map_err(HookError::Backend)
            })
        });
        let pool = Pool::builder(manager)
            .max_size(config.connections())
            .post_create(hook)
            .build()
            .map_err(|error| StoreError::unavailable("cannot pool connections", error))?;
        Ok(Self {
            pool,
            place,
            timeout: config.timeout(),
        })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// What `work` gives, if it does so in time.
    pub(super) async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        timeout(self.timeout, work)
            .await
            .unwrap_or_else(|_| Err(self.place.late(self.timeout)))
    }

    /// A connection for writing, on loan from the pool.
    pub(super) async fn client(&self) -> Result<Object, StoreError> {
        self.pool
            .get()
            .await
            .map_err(|error| self.place.unconnected(error))
    }

    /// A connection for reading, as long as that may take. It has left the pool, and is closed when it is dropped.
    pub(super) async fn reading(&self) -> Result<ClientWrapper, StoreError> {
        self.bounded(async {
            let client = Object::take(self.client().await?);
            client
                .batch_execute(&reading(self.place.schema()))
                .await
                .map_err(|error| self.place.failed(error))?;
            Ok(client)
        })
        .await
    }

    /// Runs `steps` in one transaction, durable once this answers `Ok`; the rows of the last one.
    pub(super) async fn write(&self, steps: &[Step<'_>]) -> Result<Vec<Row>, StoreError> {
        let deadline = Instant::now() + self.timeout;
        let late = || self.place.late(self.timeout);
        for attempt in 1.. {
            let client = timeout_at(deadline, self.client())
                .await
                .map_err(|_| late())??;
            let answer = timeout_at(deadline, transaction(&client, steps)).await;
            if let Ok(Ok(rows)) = answer {
                return Ok(rows);
            }
            // What went wrong once is not handed to the next call.
            drop(Object::take(client));
            match answer {
                Ok(Err(error)) if error::is_conflict(&error) && attempt < ATTEMPTS => {}
                Ok(Err(error)) => return Err(self.place.failed(error)),
                _ => break,
            }
        }
        Err(late())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Sends everything from BEGIN to COMMIT at once: one round trip, and a transaction that ends by itself whether or not
/// anyone waits for it. Once a statement fails, the server skips the rest and rolls back.
async fn transaction(
    client: &ClientWrapper,
    steps: &[Step<'_>],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let mut statements = Vec::with_capacity(steps.len());
    for Step(sql, _) in steps {
        statements.push(client.prepare_cached(sql).await?);
    }
    // Each is sent when it is polled first, which happens in this order.
    let (begun, answers, committed) = tokio::join!(
        biased;
        client.batch_execute(BEGIN),
        join_all(
            statements
                .iter()
                .zip(steps)
                .map(|(statement, Step(_, parameters))| client.query(statement, parameters))
        ),
        client.batch_execute("COMMIT"),
    );
    begun?;
    let mut rows = Vec::new();
    for answer in answers {
        rows = answer?;
    }
    committed?;
    Ok(rows)
}

/// How a connection for writing is set up.
fn writing(schema: &str, timeout: Duration) -> String {
    let limit = timeout.as_millis();
    format!(
        "SET search_path = \"{schema}\", pg_temp;
        -- whatever the default of the server or the role
        SET synchronous_commit = on;
        -- a statement whose BEGIN failed writes nothing
        SET default_transaction_read_only = on;
        -- no statement keeps others waiting for longer than we wait; a COMMIT that waits for a standby may
        SET statement_timeout = {limit};
        SET lock_timeout = {limit};
        SET idle_in_transaction_session_timeout = {limit};
        -- plans are made while the tables are small, and used while they grow
        SET enable_seqscan = off;
        SET enable_hashjoin = off;
        SET enable_mergejoin = off"
    )
}

/// How a connection that was for writing is set up for reading.
fn reading(schema: &str) -> String {
    format!(
        "RESET ALL;
        SET search_path = \"{schema}\", pg_temp;
        SET default_transaction_read_only = on;
        -- whatever the default: a standby knows no serializable one
        SET default_transaction_isolation = 'read committed';
        -- who reads much reads long
        SET statement_timeout = 0"
    )
}
