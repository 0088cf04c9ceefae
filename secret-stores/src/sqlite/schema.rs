//! What tells our files from others, and how a file of an earlier version becomes one of today.

use rusqlite::{Connection, TransactionBehavior};

/// `PRAGMA application_id` of every store file, `RotS` in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x526f_7453;

/// What was done to a file of version N is entry N-1: never changed, only added to. A new file gets them all.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("v1.sql"), include_str!("v2.sql")];

/// The first version of the file that has leases.
pub(super) const FIRST_WITH_LEASES: i32 = 2;

/// `PRAGMA user_version` after all migrations: the version of the file.
pub(super) fn latest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// The query for the log with all that belongs to it, in a file of this version: a reader takes a file as it is.
pub(super) fn whole_log(version: i32) -> &'static str {
    match version {
        1 => {
            "SELECT *, '' AS caller, '' AS backend, '' AS reason,
                    NULL AS committed_at, NULL AS request_id, NULL AS baseline FROM log"
        }
        _ => "SELECT log.*, caller, backend FROM log LEFT JOIN origin ON origin.id = log.origin",
    }
}

/// The version of the file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Applies those of `migrations` that the file lacks, each in a transaction of its own: after a crash the file is of one
/// version or the next.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    for (target, migration) in (1..).zip(migrations) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Asked inside the transaction: another process may be migrating too.
        if version(&transaction)? < target {
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", target)?;
            transaction.commit()?;
        }
    }
    Ok(())
}

/// Whether tables, indexes and triggers are exactly those of `version`: a trigger, say, that deletes what we write has
/// no place in a store.
pub(super) fn is_genuine(connection: &Connection, version: i32) -> rusqlite::Result<bool> {
    let applied = usize::try_from(version).unwrap_or(0);
    let migrations = MIGRATIONS.get(..applied).unwrap_or(MIGRATIONS);
    let mut model = Connection::open_in_memory()?;
    migrate(&mut model, migrations)?;
    Ok(definitions(connection)? == definitions(&model)?)
}

fn definitions(connection: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    connection
        .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: &str = "ALTER TABLE log ADD COLUMN note TEXT";

    fn next() -> Vec<&'static str> {
        MIGRATIONS.iter().copied().chain([NEXT]).collect()
    }

    fn columns(connection: &Connection) -> usize {
        connection
            .prepare("SELECT * FROM log")
            .unwrap()
            .column_count()
    }

    #[test]
    fn a_new_file_gets_every_migration_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        for _ in 0..2 {
            migrate(&mut connection, MIGRATIONS).unwrap();
            assert_eq!(version(&connection).unwrap(), latest());
            assert!(is_genuine(&connection, latest()).unwrap());
        }
    }

    #[test]
    fn an_older_file_gets_only_what_it_lacks_and_keeps_its_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        connection
            .execute("INSERT INTO data_key (wrapped) VALUES (x'00')", ())
            .unwrap();
        let before = columns(&connection);
        migrate(&mut connection, &next()).unwrap();
        assert_eq!(columns(&connection), before + 1);
        assert_eq!(version(&connection).unwrap(), latest() + 1);
        let rows: i64 = connection
            .query_row("SELECT count(*) FROM data_key", (), |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_migration_that_fails_halfway_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        let before = columns(&connection);
        let broken = format!("{NEXT}; INSERT INTO nowhere VALUES (1)");
        let migrations: Vec<_> = MIGRATIONS
            .iter()
            .copied()
            .chain([broken.as_str()])
            .collect();
        assert!(migrate(&mut connection, &migrations).is_err());
        assert_eq!(version(&connection).unwrap(), latest());
        assert_eq!(columns(&connection), before);
        // The next start, with a migration that works, goes on from there.
        migrate(&mut connection, &next()).unwrap();
        assert_eq!(columns(&connection), before + 1);
    }

    #[test]
    fn a_schema_with_anything_more_or_less_is_not_genuine() {
        for change in [
            "CREATE TRIGGER forget AFTER INSERT ON log BEGIN DELETE FROM log; END",
            "CREATE VIEW everything AS SELECT * FROM log",
            "DROP INDEX log_version",
            NEXT,
        ] {
            let mut connection = Connection::open_in_memory().unwrap();
            migrate(&mut connection, MIGRATIONS).unwrap();
            connection.execute_batch(change).unwrap();
            assert!(!is_genuine(&connection, latest()).unwrap(), "{change}");
        }
    }
}
