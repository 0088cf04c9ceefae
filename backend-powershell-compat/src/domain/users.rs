use std::collections::HashSet;
use std::future::ready;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use rotation_core::{
    Account, AccountId, AccountQuery, BackendError, Holdings, Problem, RoleAssignment, RoleId,
};
use serde::Deserialize;
use uuid::Uuid;

use super::filter;
use crate::pool::Pool;
use crate::protocol::Ask;
use crate::streamed::{gathered, streamed, unread};
use crate::worker::Reply;

/// How many accounts are asked for by name at once.
const AT_ONCE: usize = 50;

/// The relative ids of Domain Admins, Domain Controllers, Schema Admins, Enterprise Admins, Group Policy Creator Owners
/// and Read-only Domain Controllers: membership in the primary group is not listed among the group's members.
const PRIMARY_GROUPS_OF_ADMINS: [u32; 6] = [512, 516, 518, 519, 520, 521];

/// The relative id of `krbtgt`, whose password is the root of all tickets of the domain
/// (<https://learn.microsoft.com/windows-server/identity/ad-ds/manage/forest-recovery-guide/ad-forest-recovery-reset-the-krbtgt-password>).
const KRBTGT: &str = "-502";

/// An account as a domain controller describes it
/// (<https://learn.microsoft.com/windows/win32/adschema/c-user>).
#[derive(Debug, Deserialize)]
struct User {
    id: Uuid,
    /// The name before Windows 2000, which every account has.
    account_name: String,
    user_principal_name: Option<String>,
    display_name: Option<String>,
    enabled: bool,
    created: Option<Timestamp>,
    /// In 100 ns since 1601; 0 if it must be changed at the next sign-in.
    password_last_set: Option<i64>,
    sid: String,
    /// 1 for members of protected groups, marked within the hour.
    admin_count: Option<i64>,
    #[serde(default)]
    is_critical: Option<bool>,
    primary_group: Option<u32>,
}

/// Who is in a protected group, asked of the groups themselves: the mark on an account comes late.
struct Protected(HashSet<Uuid>);

/// The accounts that `query` names, each once.
pub(crate) fn accounts(
    pool: &Pool,
    query: AccountQuery,
) -> BoxStream<'_, Result<Account, BackendError>> {
    let described = async move {
        let protected = Arc::new(Protected::read(pool).await?);
        let users = match query {
            AccountQuery::All => streamed::<User>(pool, vec![filter::ALL.to_owned()]),
            AccountQuery::Named(references) => named(pool, &references),
            // Newer than this crate: neither more nor fewer accounts than asked for would be right.
            other => {
                let problem = Problem::new(format!("cannot read accounts by {other:?}"));
                stream::once(ready(Err(BackendError::Unexpected(problem)))).boxed()
            }
        };
        Ok::<_, BackendError>(users.map_ok(move |user| user.account(&protected)))
    };
    stream::once(described).try_flatten().boxed()
}

fn named<'a>(pool: &'a Pool, references: &[String]) -> BoxStream<'a, Result<User, BackendError>> {
    let references = references.iter().filter(|reference| !reference.is_empty());
    let filters: Vec<String> = references
        .map(|reference| filter::named(reference))
        .collect();
    let parts: Vec<Vec<String>> = filters.chunks(AT_ONCE).map(<[_]>::to_vec).collect();
    let mut seen = HashSet::new();
    stream::iter(parts)
        .then(move |part| async move { gathered::<User>(pool, part).await })
        .map_ok(|users| stream::iter(users).map(Ok))
        .try_flatten()
        // An account may be named twice, by id and by user name.
        .try_filter(move |user| ready(seen.insert(user.id)))
        .boxed()
}

/// When the password of `account` was last changed; `None` too while its user must change it.
pub(crate) async fn password_changed(
    pool: &Pool,
    account: &AccountId,
) -> Result<Option<Timestamp>, BackendError> {
    let users: Vec<User> = gathered(pool, vec![filter::named(account.as_str())]).await?;
    Ok(users.first().and_then(User::password_changed))
}

impl Protected {
    async fn read(pool: &Pool) -> Result<Self, BackendError> {
        let ids: Result<_, serde_json::Error> = match pool.read(Ask::Protected).await? {
            Reply::Done { items, .. } => items.into_iter().map(serde_json::from_value).collect(),
            Reply::Failed(record) => return Err(unread(record)),
        };
        ids.map(Self).map_err(|_| {
            let message = "cannot read who is in the domain's protected groups: an id is none";
            BackendError::Unexpected(Problem::new(message))
        })
    }
}

impl User {
    fn account(self, protected: &Protected) -> Account {
        let id = AccountId::new(&self.id.to_string());
        let holdings = self.holdings(protected);
        let changed = self.password_changed();
        let name = self.user_principal_name.unwrap_or(self.account_name);
        let mut account = Account::new(id, name);
        account.display_name = self.display_name.unwrap_or_default();
        account.enabled = self.enabled;
        account.created = self.created;
        account.password_changed = changed;
        account.holdings = holdings;
        account
    }

    /// What it holds, in the words of the engine. `krbtgt` is never to be rotated like this: nobody may.
    fn holdings(&self, protected: &Protected) -> Option<Holdings> {
        let is_krbtgt = self.sid.ends_with(KRBTGT)
            || self.account_name.to_ascii_lowercase().starts_with("krbtgt");
        if is_krbtgt {
            return None;
        }
        let in_group = |group| PRIMARY_GROUPS_OF_ADMINS.contains(&group);
        let is_protected = self.admin_count == Some(1)
            || self.is_critical == Some(true)
            || self.primary_group.is_none_or(in_group)
            || protected.0.contains(&self.id);
        let mut holdings = Holdings::default();
        if is_protected {
            holdings.roles = vec![RoleAssignment::active(RoleId::GLOBAL_ADMINISTRATOR)];
        }
        Some(holdings)
    }

    fn password_changed(&self) -> Option<Timestamp> {
        // 1601-01-01 to 1970-01-01
        const EPOCH: i64 = 116_444_736_000_000_000;
        let ticks = self.password_last_set.filter(|ticks| *ticks > 0)?;
        let since = i128::from(ticks) - i128::from(EPOCH);
        Timestamp::from_nanosecond(since * 100).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn user(properties: Value) -> User {
        let mut user = json!({
            "id": "00000000-0000-0000-0000-000000000001", "account_name": "ada", "enabled": true,
            "user_principal_name": "ada@contoso.com", "display_name": null,
            "created": "2024-01-02T03:04:05.0000000Z", "password_last_set": 133_500_000_000_000_000_i64,
            "sid": "S-1-5-21-1-2-3-1105", "admin_count": null, "primary_group": 513,
        });
        for (name, value) in properties.as_object().unwrap() {
            user[name] = value.clone();
        }
        serde_json::from_value(user).unwrap()
    }

    #[test]
    fn whoever_is_protected_counts_as_an_administrator_and_krbtgt_is_nobodys() {
        let protected = |properties, ids: &[u128]| {
            let ids = ids.iter().map(|id| Uuid::from_u128(*id)).collect();
            let account = user(properties).account(&Protected(ids));
            account.holdings.map(|holdings| !holdings.roles.is_empty())
        };
        assert_eq!(protected(json!({}), &[]), Some(false));
        assert_eq!(protected(json!({"admin_count": 0}), &[2]), Some(false));
        assert_eq!(protected(json!({"admin_count": 1}), &[]), Some(true));
        assert_eq!(protected(json!({"is_critical": true}), &[]), Some(true));
        assert_eq!(protected(json!({"primary_group": 512}), &[]), Some(true));
        assert_eq!(protected(json!({"primary_group": null}), &[]), Some(true));
        assert_eq!(protected(json!({}), &[1]), Some(true));
        assert_eq!(protected(json!({"sid": "S-1-5-21-1-2-3-502"}), &[]), None);
        assert_eq!(protected(json!({"account_name": "krbtgt_4711"}), &[]), None);
    }

    #[test]
    fn the_worker_knows_the_same_groups() {
        let script = crate::Dialect::ActiveDirectory.script();
        let groups = PRIMARY_GROUPS_OF_ADMINS.map(|group| group.to_string());
        assert!(script.contains(&format!("@({}) -contains", groups.join(", "))));
    }

    #[test]
    fn the_change_time_is_read_from_100_ns_since_1601() {
        let changed = |ticks: Value| user(json!({"password_last_set": ticks})).password_changed();
        let expected: Timestamp = "2024-01-17T21:20:00Z".parse().unwrap();
        assert_eq!(changed(json!(133_500_000_000_000_000_i64)), Some(expected));
        assert_eq!(changed(json!(0)), None);
        assert_eq!(changed(json!(null)), None);
        assert_eq!(changed(json!(i64::MAX)), None);
    }

    #[test]
    fn an_account_without_a_user_principal_name_goes_by_its_account_name() {
        let account = |name: Value| {
            user(json!({"user_principal_name": name})).account(&Protected(HashSet::new()))
        };
        assert_eq!(account(json!(null)).user_name, "ada");
        assert_eq!(account(json!("a@b.c")).user_name, "a@b.c");
    }
}
