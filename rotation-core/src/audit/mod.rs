//! An append-only record of what a run decided and did, and of what became of it, in which a change shows.
//!
//! Each record is one line, `{"seq":7,"at":…,…,"prev":"…","hash":"…"}`: its number, the event's fields, the hash of the
//! record before it (zeros before the first), and its own, the SHA-256 of the line's bytes up to `,"hash":`. Checking it
//! compares bytes and never writes JSON again, so a shell can: `printf %s "${line%,\"hash\":*}" | sha256sum`.
//!
//! Beside the file, `….head` names the last record that is durable: a chain alone cannot show that its end was cut off.
//! It is written after each group of records, so it may be a group behind them after a crash, but never ahead.
//!
//! Who can write both files can write both anew. To find that too, keep the head elsewhere and
//! [verify](AuditFile::verify) against it.

mod chain;
mod error;
mod file;
mod head;
mod lock;
mod reader;
mod record;

use async_trait::async_trait;

pub use error::{AuditBreak, AuditError};
pub use file::AuditFile;
pub use reader::{AuditFilter, AuditReader, AuditSummary};
pub use record::AuditRecord;

use crate::Event;

/// Keeps what happened, in the order in which it is told.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends `events`, one record each, in this order. Once this answered `Ok` they survive a crash of this process
    /// and of the machine; after an error, none, some of the first or all of them may be there. A call that is dropped
    /// may still take effect. Answers in bounded time, with an error if need be: the engine waits for it.
    async fn append(&self, events: &[Event]) -> Result<(), AuditError>;
}
