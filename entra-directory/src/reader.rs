use std::hash::Hash;

use rotation_core::{BackendError, Problem};
use serde::de::DeserializeOwned;

use crate::claims::Claims;
use crate::need::Need;

/// Carries reads to the Microsoft Graph of one tenant, and its answers back. Reading changes nothing, so a reader repeats
/// what was answered with "later", or not at all.
pub trait GraphReader: Send + Sync + 'static {
    /// Where something is in Graph.
    type Address: Clone + Hash + Send + Sync + 'static;

    /// The address of `path`, which is below the version, percent-encoded, and has its query.
    fn at(&self, path: &str) -> Self::Address;

    /// The address in an `@odata.nextLink`, verbatim.
    ///
    /// # Errors
    /// [`BackendError::Unexpected`] if it leads to where this reader's token must not go.
    fn follow(&self, link: &str, need: &Need) -> Result<Self::Address, BackendError>;

    /// Reads what is at `address`.
    ///
    /// # Errors
    /// [`ReadError`]; with `need` in the fix if we are not authorized.
    fn read<T: DeserializeOwned + Send>(
        &self,
        address: &Self::Address,
        need: &'static Need,
    ) -> impl Future<Output = Result<T, ReadError>> + Send;

    /// What the access token in use says of its holder, who is in the configured tenant.
    ///
    /// # Errors
    /// - [`BackendError::Unexpected`] if the token shows no tenant and holder;
    /// - [`BackendError::NotAuthorized`] if it is for another tenant than the GUID configured;
    /// - those of signing in.
    fn claims(&self) -> impl Future<Output = Result<Claims, BackendError>> + Send;
}

/// Why something cannot be read.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a reader says which it is")]
pub enum ReadError {
    /// The link was followed too late; the collection can be read again from the start.
    Expired(Problem),
    /// Anything else.
    Failed(BackendError),
    /// Graph, and not somebody in between, says that there is no such thing.
    Missing(BackendError),
}

impl ReadError {
    /// Graph's code for a `@odata.nextLink` that was followed too late.
    pub const EXPIRED: &str = "Directory_ExpiredPageToken";
}

impl From<BackendError> for ReadError {
    fn from(error: BackendError) -> Self {
        Self::Failed(error)
    }
}

impl From<ReadError> for BackendError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Expired(problem) => {
                Self::Unavailable(problem.with_fix("the listing was read too slowly: start again"))
            }
            ReadError::Failed(error) | ReadError::Missing(error) => error,
        }
    }
}
