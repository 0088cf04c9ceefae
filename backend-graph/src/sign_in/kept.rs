use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use tokio::sync::Mutex;

/// So long before it expires a token is replaced, as `azure_identity` does where it keeps tokens itself.
const EARLY: Duration = Duration::from_secs(300);

/// Keeps the token of a source that keeps none, for one scope, and lets one caller at a time fetch a new one.
pub(crate) struct Kept<S> {
    source: Arc<S>,
    token: Mutex<Option<AccessToken>>,
}

impl<S> Kept<S> {
    pub(crate) fn new(source: Arc<S>) -> Self {
        Self {
            source,
            token: Mutex::new(None),
        }
    }
}

#[async_trait::async_trait]
impl<S: TokenCredential> TokenCredential for Kept<S> {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let mut token = self.token.lock().await;
        if let Some(token) = &*token
            && OffsetDateTime::now_utc() + EARLY < token.expires_on
        {
            return Ok(token.clone());
        }
        let fresh = self.source.get_token(scopes, options).await?;
        *token = Some(fresh.clone());
        Ok(fresh)
    }
}

impl<S> fmt::Debug for Kept<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
