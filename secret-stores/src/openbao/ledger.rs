use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use rotation_core::{
    AccountId, AccountKey, Lease, Problem, RunId, Select, StoreError, TenantId, Version,
    VersionKey, VersionState,
};
use serde::{Deserialize, Serialize};

use super::config::OpenBaoConfig;
use super::error::altered;
use super::kv::{Kv, Written};
use super::record::Record;
use super::{AT_ONCE, busy, text};

/// The documents of a store, each at its path below the prefix.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) kv: Kv,
    prefix: String,
}

/// A record, and the version of its document.
pub(super) struct Held {
    pub(super) record: Record,
    pub(super) cas: u64,
}

/// Which accounts some call was about to make pending: written before it does so, so that they are found without
/// reading every account of the tenant.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Intent {
    /// For each account, which version of its document was going to do that. Once that version exists and nothing is
    /// pending any more, the intent is history.
    #[serde(with = "text")]
    accounts: BTreeMap<AccountId, u64>,
}

impl Ledger {
    pub(super) async fn open(config: &OpenBaoConfig) -> Result<Self, StoreError> {
        let kv = Kv::new(config)?;
        kv.check().await?;
        Ok(Self {
            kv,
            prefix: config.prefix.clone(),
        })
    }

    /// Where the record of `account` is.
    fn account(&self, account: &AccountKey) -> String {
        self.path("accounts", &account.tenant, account.account.as_str())
    }

    /// Where the password of a version is. The version comes first, so that it is seen if its id was used for another
    /// account.
    pub(super) fn password(&self, key: &VersionKey) -> String {
        let account = quote(key.account.account.as_str());
        format!("{}/{account}", self.passwords(key))
    }

    /// Stores the password of a version, unless that was done before.
    pub(super) async fn put_password(
        &self,
        key: &VersionKey,
        document: &(impl Serialize + Sync),
    ) -> Result<(), StoreError> {
        let others = self.kv.list(&self.passwords(key)).await?;
        let account = quote(key.account.account.as_str());
        if others.iter().any(|other| *other != account) {
            return Err(StoreError::Unusable(
                Problem::new(format!(
                    "version {} was staged before, for another account than {}",
                    key.version, key.account
                ))
                .with_fix("make a fresh version for every password"),
            ));
        }
        self.kv.create(&self.password(key), document).await
    }

    fn passwords(&self, key: &VersionKey) -> String {
        self.path("passwords", &key.account.tenant, &key.version.to_string())
    }

    pub(super) fn lease(&self, lease: &Lease) -> String {
        self.path("leases", &lease.tenant, &lease.run.to_string())
    }

    fn path(&self, kind: &str, tenant: &TenantId, name: &str) -> String {
        format!(
            "{}/{kind}/{}/{}",
            self.prefix,
            quote(tenant.as_str()),
            quote(name)
        )
    }

    /// The record of `account`; an empty one if it has none yet.
    pub(super) async fn held(&self, account: &AccountKey) -> Result<Held, StoreError> {
        let path = self.account(account);
        let Some(found) = self.kv.read::<Record>(&path).await? else {
            return Ok(Held {
                record: Record::new(account.clone()),
                cas: 0,
            });
        };
        match found.content.flaw(account) {
            None => Ok(Held {
                record: found.content,
                cas: found.cas,
            }),
            Some(flaw) => Err(altered(&self.kv.full(&path), flaw)),
        }
    }

    /// Writes the record, if nobody else did since it was read.
    pub(super) async fn put(&self, held: &Held) -> Result<Written, StoreError> {
        let path = self.account(&held.record.account);
        self.kv.write(&path, &held.record, held.cas).await
    }

    /// Says beforehand which accounts are about to become pending, each by which version of its record. The server's
    /// date of it is the nearest there is to what the time is now.
    pub(super) async fn intend(
        &self,
        tenant: &TenantId,
        accounts: BTreeMap<AccountId, u64>,
    ) -> Result<Timestamp, StoreError> {
        let path = self.path("pending", tenant, &RunId::new().to_string());
        match self.kv.write(&path, &Intent { accounts }, 0).await? {
            Written::At(now) => Ok(now),
            // The name is fresh.
            Written::Conflict => Err(busy(&self.kv.full(&path))),
        }
    }

    /// The versions that `select` names, account by account. With `tidy`, intents that are history are removed on the way.
    pub(super) fn versions(
        &self,
        select: Select,
        tidy: bool,
    ) -> BoxStream<'_, Result<Version, StoreError>> {
        let pending = matches!(select, Select::Pending(_));
        self.accounts(select, tidy)
            .map_ok(move |account| async move {
                let versions = self.held(&account).await?.record.versions();
                let named = versions
                    .filter(|version| !pending || version.state == VersionState::Pending)
                    .map(Ok);
                Ok(stream::iter(named.collect::<Vec<_>>()))
            })
            .try_buffered(AT_ONCE)
            .try_flatten()
            .boxed()
    }

    /// The accounts of which `select` may name versions.
    pub(super) fn accounts(
        &self,
        select: Select,
        tidy: bool,
    ) -> BoxStream<'_, Result<AccountKey, StoreError>> {
        let accounts = async move {
            Ok::<_, StoreError>(match select {
                Select::Account(account) => stream::iter([Ok(account)]).boxed(),
                Select::Accounts(accounts) => {
                    let accounts: BTreeSet<_> = accounts.into_iter().collect();
                    stream::iter(accounts.into_iter().map(Ok)).boxed()
                }
                Select::Tenant(tenant) => self.listed(quote(tenant.as_str())).boxed(),
                Select::Pending(tenant) => {
                    let accounts = self.intended(tenant, tidy).await?;
                    stream::iter(accounts.into_iter().map(Ok)).boxed()
                }
                _ => {
                    let names = self.kv.list(&format!("{}/accounts", self.prefix)).await?;
                    let tenants = names
                        .into_iter()
                        .filter_map(|name| Some(name.strip_suffix('/')?.to_owned()));
                    stream::iter(tenants.map(Ok))
                        .and_then(async |tenant| Ok::<_, StoreError>(self.listed(tenant)))
                        .try_flatten()
                        .boxed()
                }
            })
        };
        stream::once(accounts).try_flatten().boxed()
    }

    /// The accounts of the tenant that is `quoted` in paths.
    fn listed(&self, quoted: String) -> BoxStream<'_, Result<AccountKey, StoreError>> {
        let path = format!("{}/accounts/{quoted}", self.prefix);
        let names = async move {
            let names = self.kv.list(&path).await?;
            let accounts = names.into_iter().map(move |name| {
                let place = || self.kv.full(&format!("{path}/{name}"));
                match (unquote(&quoted), unquote(&name)) {
                    (Some(tenant), Some(account)) => Ok(AccountKey {
                        tenant: TenantId::new(&tenant),
                        account: AccountId::new(&account),
                    }),
                    _ => Err(altered(&place(), "its name is none of ours")),
                }
            });
            Ok::<_, StoreError>(stream::iter(accounts))
        };
        stream::once(names).try_flatten().boxed()
    }

    /// The accounts that intents name and that may have something pending.
    async fn intended(
        &self,
        tenant: TenantId,
        tidy: bool,
    ) -> Result<BTreeSet<AccountKey>, StoreError> {
        let place = format!("{}/pending/{}", self.prefix, quote(tenant.as_str()));
        let names = self.kv.list(&place).await?;
        let paths = names.into_iter().map(|name| format!("{place}/{name}"));
        let intents: Vec<_> = stream::iter(paths)
            .map(async |path| Ok::<_, StoreError>((self.kv.read::<Intent>(&path).await?, path)))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let named: BTreeSet<_> = intents
            .iter()
            .filter_map(|(intent, _)| intent.as_ref())
            .flat_map(|intent| intent.content.accounts.keys())
            .map(|account| AccountKey {
                tenant: tenant.clone(),
                account: account.clone(),
            })
            .collect();
        // Each account's newest version without anything pending; none if something is.
        let settled: BTreeMap<AccountKey, Option<u64>> = stream::iter(named)
            .map(async |account| {
                let held = self.held(&account).await?;
                let settled = (!held.record.has_pending()).then_some(held.cas);
                Ok::<_, StoreError>((account, settled))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        if tidy {
            let is_history = |intent: &Intent| {
                intent.accounts.iter().all(|(account, by)| {
                    let account = AccountKey {
                        tenant: tenant.clone(),
                        account: account.clone(),
                    };
                    settled.get(&account).copied().flatten() >= Some(*by)
                })
            };
            stream::iter(&intents)
                .filter(|(intent, _)| {
                    let over = intent
                        .as_ref()
                        .is_some_and(|intent| is_history(&intent.content));
                    async move { over }
                })
                .for_each_concurrent(AT_ONCE, async |(_, path)| {
                    // Whatever is left, the next one removes.
                    self.kv.erase(path).await.ok();
                })
                .await;
        }
        let unsettled = settled.into_iter().filter(|(_, settled)| settled.is_none());
        Ok(unsettled.map(|(account, _)| account).collect())
    }
}

/// One name as one segment of a path: whatever is not a letter, digit, hyphen, underscore, at sign or inner dot becomes
/// `=` and its code.
fn quote(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'@' => quoted.push(char::from(byte)),
            b'.' if at > 0 => quoted.push('.'),
            // Writing to a string does not fail.
            _ => write!(quoted, "={byte:02x}").unwrap_or_default(),
        }
    }
    if quoted.is_empty() {
        quoted.push('=');
    }
    quoted
}

/// The name that [`quote`] made `quoted` of.
fn unquote(quoted: &str) -> Option<String> {
    let mut parts = quoted.split('=');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        if let Some((code, rest)) = part.split_at_checked(2) {
            bytes.push(u8::from_str_radix(code, 16).ok()?);
            bytes.extend_from_slice(rest.as_bytes());
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (quote(&name) == quoted).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_cannot_leave_their_segment() {
        for (name, quoted) in [
            ("", "="),
            (".", "=2e"),
            ("..", "=2e."),
            ("a/b", "a=2fb"),
            ("ä+*", "=c3=a4=2b=2a"),
            ("adele@contoso.com", "adele@contoso.com"),
        ] {
            assert_eq!(quote(name), quoted);
            assert_eq!(unquote(quoted).as_deref(), Some(name));
        }
        for foreign in ["", "A", "=2", "=zz", "=61", "a b", "=c3"] {
            assert_eq!(unquote(foreign), None, "{foreign:?}");
        }
    }

    proptest! {
        #[test]
        fn any_name_comes_back(name in any::<String>()) {
            let quoted = quote(&name);
            prop_assert!(quoted.bytes().all(|b| b.is_ascii_graphic() && b != b'/'));
            prop_assert_eq!(unquote(&quoted), Some(name));
        }
    }
}
