use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use rotation_core::{Password, SecretReader, Select, StoreError, Version};

use super::config::OpenBaoConfig;
use super::ledger::Ledger;
use super::password::Read;
use super::{AT_ONCE, record};
use crate::Identities;

/// Reads a store in OpenBao, with a token whose policy grants `read` on its passwords; and, if they are sealed, with a
/// private key.
#[derive(Debug)]
pub struct OpenBaoReader {
    ledger: Ledger,
    identities: Identities,
}

impl OpenBaoReader {
    /// Logs in and checks the mount. Passwords that are not sealed need no identity.
    ///
    /// # Errors
    /// As those of [`OpenBaoStore::open`](super::OpenBaoStore::open).
    pub async fn open(config: OpenBaoConfig, identities: Identities) -> Result<Self, StoreError> {
        let ledger = Ledger::open(&config).await?;
        Ok(Self { ledger, identities })
    }

    /// The versions that `select` names, without their passwords.
    pub fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        self.ledger.versions(select, false)
    }

    /// The version with its password; `None` if it was dropped since it was listed.
    async fn opened(&self, version: Version) -> Result<Option<(Version, Password)>, StoreError> {
        let key = &version.key;
        let path = self.ledger.password(key);
        if let Some(read) = self.ledger.kv.read_secret::<Read>(&path).await? {
            let password = read.open(key, version.run, &self.identities)?;
            return Ok(Some((version, password)));
        }
        let mut now = self.ledger.held(&key.account).await?.record.versions();
        match now.any(|still| still.key == *key) {
            true => Err(record::missing(key)),
            false => Ok(None),
        }
    }
}

impl SecretReader for OpenBaoReader {
    fn reveal(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>> {
        self.versions(select)
            .map_ok(|version| self.opened(version))
            .try_buffered(AT_ONCE)
            .try_filter_map(async |opened| Ok(opened))
            .boxed()
    }
}
