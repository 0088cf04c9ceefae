//! What tells our schema from others, and how one of an earlier version becomes one of today.

use deadpool_postgres::ClientWrapper;
use rotation_core::StoreError;
use tokio_postgres::{IsolationLevel, Row};

use super::error::Place;
use super::session::Sessions;

/// What was done to a schema of version N is entry N-1: never changed, only added to. A new schema gets them all.
const MIGRATIONS: &[&str] = &[include_str!("sql/v1.sql")];

/// What is in the schema, and since when.
const REGISTER: &str = "CREATE TABLE IF NOT EXISTS rotation_store (\
     version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())";

const SERVER: &str = include_str!("sql/server.sql");
const FAULTS: &str = include_str!("sql/faults.sql");

/// What it takes to write; a role that lacks some of it had better hear of it now.
const PRIVILEGED: &str = "SELECT bool_and(has_table_privilege(pg_class.oid, privilege)) FROM pg_class, \
     unnest('{SELECT, INSERT, UPDATE, DELETE}'::text[]) AS privilege \
     WHERE relkind = 'r' AND relname <> 'rotation_store' \
     AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)";

/// Makes the schema one that can be written to, or refuses it and changes nothing.
pub(super) async fn prepare(sessions: &Sessions) -> Result<(), StoreError> {
    let place = sessions.place();
    let mut client = sessions.client().await?;
    if version(&client, place).await? < latest() {
        migrate(&mut client, place).await?;
    }
    faults(&client, place).await?;
    let privileged: Option<bool> = first(&client, place, PRIVILEGED, &[&place.schema()])
        .await?
        .try_get(0)
        .map_err(|error| place.failed(error))?;
    match privileged {
        Some(true) => Ok(()),
        _ => Err(place.unusable(
            "this role may not read and write every table",
            &place.grants(),
        )),
    }
}

/// Refuses what is no store that this program can read.
pub(super) async fn check(client: &ClientWrapper, place: &Place) -> Result<(), StoreError> {
    match version(client, place).await? {
        0 => Err(place.unusable(
            "there is no store",
            "correct [store] url and schema, or run a rotation first",
        )),
        older if older < latest() => Err(place.unusable(
            &format!(
                "it is of version {older}, and this program reads version {}",
                latest()
            ),
            "let a run with this program upgrade it first",
        )),
        _ => faults(client, place).await,
    }
}

fn latest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// The version of the schema, 0 if there is none; an error if it is not for us.
async fn version(client: &ClientWrapper, place: &Place) -> Result<i32, StoreError> {
    let server = first(client, place, SERVER, &[&place.schema()]).await?;
    let flag = |name| {
        server
            .try_get::<_, bool>(name)
            .map_err(|error| place.failed(error))
    };
    let setting = |name| {
        server
            .try_get::<_, &str>(name)
            .map_err(|error| place.failed(error))
    };
    if setting("fsync")? != "on" {
        return Err(place.unusable(
            "the server runs with fsync = off: a crash of its machine would lose what it calls written",
            "set fsync = on in postgresql.conf",
        ));
    }
    if setting("encoding")? != "UTF8" {
        return Err(place.unusable(
            &format!(
                "the database is encoded in {}, expected UTF8",
                setting("encoding")?
            ),
            "create another database, with ENCODING 'UTF8' TEMPLATE template0",
        ));
    }
    if flag("exists")? && !flag("usable")? {
        return Err(place.unusable("this role may not use the schema", &place.grants()));
    }
    if !flag("ours")? {
        return if flag("occupied")? {
            Err(place.unusable(
                "it belongs to another program",
                "give [store] a schema of its own",
            ))
        } else {
            Ok(0)
        };
    }
    let found: Option<i32> = first(
        client,
        place,
        "SELECT max(version) FROM rotation_store",
        &[],
    )
    .await?
    .try_get(0)
    .map_err(|error| place.failed(error))?;
    match found {
        Some(newer) if newer > latest() => Err(place.unusable(
            &format!(
                "it is of version {newer}, and this program knows no later one than {}",
                latest()
            ),
            "use a newer version of this program",
        )),
        found => Ok(found.unwrap_or(0)),
    }
}

/// Applies the migrations that the schema lacks, all or none.
async fn migrate(client: &mut ClientWrapper, place: &Place) -> Result<(), StoreError> {
    let failed = |error| place.failed(error);
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .read_only(false)
        .start()
        .await
        .map_err(failed)?;
    let lock = "SELECT pg_advisory_xact_lock(hashtext('rotation_store'), hashtext($1))";
    transaction
        .execute(lock, &[&place.schema()])
        .await
        .map_err(failed)?;
    // Asked again under the lock: another runner may have been first.
    let exists: bool = transaction
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)",
            &[&place.schema()],
        )
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    if !exists {
        let create = format!("CREATE SCHEMA \"{}\"", place.schema());
        transaction.batch_execute(&create).await.map_err(failed)?;
    }
    transaction.batch_execute(REGISTER).await.map_err(failed)?;
    let applied: Option<i32> = transaction
        .query_one("SELECT max(version) FROM rotation_store", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    for (version, migration) in (1..).zip(MIGRATIONS) {
        if applied.is_none_or(|applied| applied < version) {
            transaction.batch_execute(migration).await.map_err(failed)?;
            transaction
                .execute(
                    "INSERT INTO rotation_store (version) VALUES ($1)",
                    &[&version],
                )
                .await
                .map_err(failed)?;
        }
    }
    transaction.commit().await.map_err(failed)
}

/// Refuses tables that are not as we made them.
async fn faults(client: &ClientWrapper, place: &Place) -> Result<(), StoreError> {
    let found = client
        .query_opt(&format!("{FAULTS} LIMIT 1"), &[&place.schema()])
        .await
        .map_err(|error| place.failed(error))?;
    let Some(row) = found else {
        return Ok(());
    };
    let named = |row: &Row| Ok((row.try_get("name")?, row.try_get("fault")?));
    let (name, fault): (String, String) = named(&row).map_err(|error| place.failed(error))?;
    Err(place.damaged(&format!("the table {name} {fault}")))
}

async fn first(
    client: &ClientWrapper,
    place: &Place,
    sql: &str,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Row, StoreError> {
    client
        .query_one(sql, parameters)
        .await
        .map_err(|error| place.failed(error))
}
