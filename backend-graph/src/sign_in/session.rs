use std::sync::Arc;

use azure_core::credentials::{AccessToken, Secret};
use azure_core::time::{Duration, OffsetDateTime};
use secrecy::SecretString;
use serde::Deserialize;

/// That somebody signed in.
#[derive(Default)]
pub(crate) struct Session {
    /// The tenant that was signed in to.
    pub(crate) home: Option<String>,
    /// Buys tokens for any tenant that lets this person in.
    pub(crate) refresh: Option<Refresh>,
}

/// A refresh token. Clones share it.
#[derive(Clone)]
pub(crate) struct Refresh(pub(crate) Arc<SecretString>);

/// What the authority gives: tokens, wiped when dropped but for the one that `azure_core` keeps.
#[derive(Deserialize)]
pub(crate) struct Granted {
    access_token: String,
    expires_in: i64,
    refresh_token: Option<SecretString>,
}

impl Session {
    /// The token, having put aside what gets the next one. The one before is not revoked by that, but is older.
    pub(crate) fn keep(&mut self, granted: Granted) -> AccessToken {
        if let Some(refresh) = granted.refresh_token {
            self.refresh = Some(Refresh(Arc::new(refresh)));
        }
        // a day at most, whatever is said: adding it to a time does not overflow
        let lives = Duration::seconds(granted.expires_in.clamp(0, 86_400));
        AccessToken::new(
            Secret::new(granted.access_token),
            OffsetDateTime::now_utc() + lives,
        )
    }

    /// Lets go of `refresh`, which was no good at `tenant`, unless somebody has put a newer one in its place. If that is only
    /// because of what `tenant` demands, it is there that somebody signs in.
    pub(crate) fn forget(&mut self, refresh: &Refresh, tenant: &str, is_lapsed: bool) {
        let is_this = |known: &mut Refresh| Arc::ptr_eq(&known.0, &refresh.0);
        self.refresh.take_if(is_this);
        if !is_lapsed {
            self.refresh = None;
            self.home = Some(tenant.to_owned());
        }
    }
}
