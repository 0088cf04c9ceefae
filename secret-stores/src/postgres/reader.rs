use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use deadpool_postgres::ClientWrapper;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use rotation_core::{
    AccountId, AccountKey, Committed, Password, RunId, SecretReader, Select, StoreError, TenantId,
    Version, VersionId, VersionKey, VersionState,
};
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Row, RowStream};
use uuid::Uuid;

use super::Staged;
use super::config::PostgresConfig;
use super::error::Place;
use super::schema;
use super::session::Sessions;
use crate::Identities;
use crate::seal::{DataKey, Label, SealError};

const READ: &str = include_str!("sql/read.sql");
const REVEAL: &str = include_str!("sql/reveal.sql");

/// Reads what a [`PostgresStore`](super::PostgresStore) wrote, also while it is being written.
///
/// Without a private key it tells which versions there are; with one of those to whose public keys they were sealed, it
/// also reveals the passwords. Its role needs `SELECT` alone, and a standby will do.
pub struct PostgresReader {
    sessions: Sessions,
    identities: Arc<Identities>,
}

impl PostgresReader {
    /// Opens the store, without changing it. [`Identities::none`] suffices for [`versions`](Self::versions).
    ///
    /// # Errors
    /// - [`StoreError::Unusable`] if a person must act: the configuration, the password, missing privileges, no store
    ///   there, or one that is newer than us.
    /// - [`StoreError::Unavailable`] if the server cannot be reached or is not ready.
    pub async fn open(config: PostgresConfig, identities: Identities) -> Result<Self, StoreError> {
        let sessions = Sessions::new(&config, false)?;
        let client = sessions.reading().await?;
        sessions
            .bounded(schema::check(&client, sessions.place()))
            .await?;
        Ok(Self {
            sessions,
            identities: Arc::new(identities),
        })
    }

    /// The versions that `select` names, as [`SecretStore::versions`](rotation_core::SecretStore::versions) gives them.
    pub fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        versions(&self.sessions, select)
    }
}

impl SecretReader for PostgresReader {
    fn reveal(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>> {
        let mut opener = Opener {
            place: self.sessions.place(),
            identities: Arc::clone(&self.identities),
            data_keys: HashMap::new(),
        };
        until_error(rows(&self.sessions, REVEAL, select).map(move |row| opener.open(&row?))).boxed()
    }
}

impl fmt::Debug for PostgresReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresReader")
            .field("place", self.sessions.place())
            .finish_non_exhaustive()
    }
}

/// A [`Select`] as the parameters of a statement; what is `None` does not matter.
#[derive(Default)]
pub(super) struct Named {
    pub(super) tenants: Option<Vec<String>>,
    /// Each of the tenant at the same place.
    pub(super) object_ids: Option<Vec<String>>,
    pub(super) state: Option<&'static str>,
}

impl Named {
    pub(super) fn new(place: &Place, select: &Select) -> Result<Self, StoreError> {
        match select {
            Select::All => Ok(Self::default()),
            Select::Account(account) => Ok(Self::accounts(std::slice::from_ref(account))),
            Select::Accounts(accounts) => Ok(Self::accounts(accounts)),
            Select::Tenant(tenant) => Ok(Self::tenant(tenant)),
            Select::Pending(tenant) => Ok(Self {
                state: Some("pending"),
                ..Self::tenant(tenant)
            }),
            other => Err(place.unusable(
                &format!("this store does not know how to select {other:?}"),
                "use a newer version of it",
            )),
        }
    }

    fn tenant(tenant: &TenantId) -> Self {
        Self {
            tenants: Some(vec![tenant.as_str().to_owned()]),
            ..Self::default()
        }
    }

    fn accounts(accounts: &[AccountKey]) -> Self {
        let (tenants, object_ids) = accounts
            .iter()
            .map(|key| {
                (
                    key.tenant.as_str().to_owned(),
                    key.account.as_str().to_owned(),
                )
            })
            .unzip();
        Self {
            tenants: Some(tenants),
            object_ids: Some(object_ids),
            ..Self::default()
        }
    }
}

/// The versions that `select` names, without their passwords.
pub(super) fn versions(
    sessions: &Sessions,
    select: Select,
) -> BoxStream<'_, Result<Version, StoreError>> {
    let place = sessions.place();
    until_error(rows(sessions, READ, select).map(|row| version(place, &row?))).boxed()
}

/// The rows of `sql`, as they are asked for: neither side keeps them all.
fn rows<'a>(
    sessions: &'a Sessions,
    sql: &'static str,
    select: Select,
) -> impl Stream<Item = Result<Row, StoreError>> + Send + 'a {
    let next = async move |(client, mut rows): (ClientWrapper, Pin<Box<RowStream>>)| {
        let row = async {
            rows.try_next()
                .await
                .map_err(|error| sessions.place().failed(error))
        };
        let row = sessions.bounded(row).await?;
        // The connection goes along, and is closed when nobody reads on.
        Ok(row.map(|row| (row, (client, rows))))
    };
    stream::once(start(sessions, sql, select))
        .map_ok(move |started| stream::try_unfold(started, next))
        .try_flatten()
}

async fn start(
    sessions: &Sessions,
    sql: &str,
    select: Select,
) -> Result<(ClientWrapper, Pin<Box<RowStream>>), StoreError> {
    let named = Named::new(sessions.place(), &select)?;
    let parameters: [&(dyn ToSql + Sync); 3] = [&named.tenants, &named.object_ids, &named.state];
    let client = sessions.reading().await?;
    let rows = async {
        let rows = client.query_raw(sql, parameters).await;
        rows.map_err(|error| sessions.place().failed(error))
    };
    let rows = Box::pin(sessions.bounded(rows).await?);
    Ok((client, rows))
}

/// The same, but nothing after the first error.
fn until_error<T: Send>(
    items: impl Stream<Item = Result<T, StoreError>> + Send,
) -> impl Stream<Item = Result<T, StoreError>> + Send {
    items.scan(false, |failed, item| {
        let item = (!*failed).then_some(item);
        *failed |= matches!(item, Some(Err(_)));
        std::future::ready(item)
    })
}

fn version(place: &Place, row: &Row) -> Result<Version, StoreError> {
    let read = || {
        let (version, run): (Uuid, Uuid) = (row.try_get("id")?, row.try_get("run")?);
        let key = VersionKey {
            account: AccountKey {
                tenant: TenantId::new(row.try_get("tenant")?),
                account: AccountId::new(row.try_get("object_id")?),
            },
            version: VersionId::from_bytes(version.into_bytes()),
        };
        let state = match row.try_get("state")? {
            "pending" => VersionState::Pending,
            "current" => VersionState::Current,
            "previous" => VersionState::Previous,
            other => {
                let what = format!("version {} is {other:?}, which is no state", key.version);
                return Ok(Err(place.damaged(&what)));
            }
        };
        let Json(Staged {
            user_name,
            at,
            origin,
        }) = row.try_get("staged")?;
        let committed: Option<Json<Committed>> = row.try_get("committed")?;
        let run = RunId::from_bytes(run.into_bytes());
        Ok(Ok(Version::new(key, user_name, run, at, state)
            .with_origin(origin)
            .with_committed(
                committed.map(|Json(committed)| committed),
            )))
    };
    read().unwrap_or_else(|error| Err(place.failed(error)))
}

/// Opens sealed passwords, unwrapping each data key once.
struct Opener<'a> {
    place: &'a Place,
    identities: Arc<Identities>,
    data_keys: HashMap<i64, DataKey>,
}

impl Opener<'_> {
    fn open(&mut self, row: &Row) -> Result<(Version, Password), StoreError> {
        let place = self.place;
        let version = version(place, row)?;
        let read = || {
            Ok((
                row.try_get("data_key")?,
                row.try_get("wrapped")?,
                row.try_get("sealed")?,
            ))
        };
        let (id, wrapped, sealed): (i64, &[u8], &[u8]) =
            read().map_err(|error| place.failed(error))?;
        let data_key = match self.data_keys.entry(id) {
            Occupied(known) => known.into_mut(),
            Vacant(vacant) => vacant.insert(unwrap(place, id, wrapped, &self.identities)?),
        };
        let label = Label::new(&version.key, version.run);
        let password = data_key.open(&label, sealed).map_err(|error| {
            place.damaged(&format!(
                "version {} of account {} does not open: {error}",
                version.key.version, version.key.account
            ))
        })?;
        Ok((version, password))
    }
}

fn unwrap(
    place: &Place,
    id: i64,
    wrapped: &[u8],
    identities: &Identities,
) -> Result<DataKey, StoreError> {
    if identities.is_none() {
        return Err(place.unusable(
            "its passwords cannot be read without a private key",
            "give the identity file that `rotation keygen` wrote",
        ));
    }
    DataKey::unwrap(wrapped, identities).map_err(|error| match error {
        SealError::NoMatchingKey => place.unusable(
            &format!("none of the private keys given opens data key {id}"),
            "give the private key of one of the recipients that were configured when it was written",
        ),
        other => place.damaged(&format!("data key {id} does not open: {other}")),
    })
}
