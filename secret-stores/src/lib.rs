//! Stores for the rotation engine: where every version of every password is kept, durable before the directory hears
//! of it and sealed so that the engine itself can read none of them.
//!
//! | feature | |
//! | --- | --- |
//! | `sqlite` (default) | `SqliteStore`: one local file, sealed to public keys |
//! | `postgres` | `PostgresStore`: one database for many runners, sealed likewise |
//! | `openbao` | `OpenBaoStore`: OpenBao or Vault, for applications to read |
//! | `exec` | `ExecStore`: a program of the user's own |
//! | `mirror` | `MirrorStore`: one of these, and copies that follow it |
//!
//! All of them pass the conformance suite of `rotation_core::testkit`. Writing needs no key that can read:
//!
#![cfg_attr(feature = "sqlite", doc = "```")]
#![cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use futures::TryStreamExt;
//! use rotation_core::Select;
//! use secret_stores::{Identities, Recipients, SqliteReader, SqliteStore, keygen};
//! # use secrecy::ExposeSecret;
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("rotation.db");
//!
//! // Once, on a machine you trust: only the public key goes to the machine that rotates.
//! let pair = keygen();
//!
//! // The machine that rotates.
//! let store = SqliteStore::open(&path, &Recipients::parse([&pair.public])?).await?;
//! # store.close().await;
//!
//! // Wherever the private key is.
//! let identities = Identities::parse(pair.private.expose_secret())?;
//! let reader = SqliteReader::open(&path, identities).await?;
//! let versions: Vec<_> = reader.versions(Select::All).try_collect().await?;
//! assert!(versions.is_empty());
//! # Ok(()) }
//! ```

#[cfg(feature = "exec")]
mod exec;
#[cfg(feature = "seal")]
mod keys;
#[cfg(feature = "mirror")]
mod mirror;
#[cfg(feature = "openbao")]
mod openbao;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "seal")]
mod seal;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "exec")]
pub use exec::{ExecConfig, ExecReader, ExecStore};
#[cfg(feature = "seal")]
pub use keys::{Identities, KeyError, KeyPair, Recipients, keygen};
#[cfg(feature = "mirror")]
pub use mirror::{Behind, Lag, MirrorCopy, MirrorStore, lag};
#[cfg(feature = "openbao")]
pub use openbao::{JwtSource, OpenBaoAuth, OpenBaoConfig, OpenBaoReader, OpenBaoStore};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresConfig, PostgresReader, PostgresStore, PostgresTls};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteReader, SqliteStore};
