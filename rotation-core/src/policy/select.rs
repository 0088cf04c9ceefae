//! Which accounts are in or out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use super::Policy;
use crate::{Account, AccountId, AccountKind, RoleId, SkipReason, role_named};

/// Names accounts: `svc-*@contoso.com` (user name, with `*` and `?`), `kind:guest`, `role:Global Reader` (name or
/// template id; active or eligible), `id:<object id>` or a bare object id. Case does not matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    text: String,
    matcher: Matcher,
}

#[derive(Clone, Debug, PartialEq)]
enum Matcher {
    Id(AccountId),
    Kind(AccountKind),
    Role(RoleId),
    UserName(WildMatch),
}

impl Selector {
    /// Whether it names `account`.
    #[must_use]
    pub fn matches(&self, account: &Account) -> bool {
        match &self.matcher {
            Matcher::Id(id) => account.id == *id,
            Matcher::Kind(kind) => account.kind == *kind,
            Matcher::Role(role) => account
                .holdings
                .iter()
                .flat_map(|holdings| &holdings.roles)
                .any(|held| held.role == *role),
            Matcher::UserName(pattern) => pattern.matches(&account.user_name.to_lowercase()),
        }
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let prefixed = trimmed
            .split_once(':')
            .map(|(prefix, rest)| (prefix.to_lowercase(), rest.trim()));
        let matcher = match prefixed
            .as_ref()
            .map(|(prefix, rest)| (prefix.as_str(), *rest))
        {
            Some((prefix, "")) => return Err(format!("\"{text}\": nothing follows \"{prefix}:\"")),
            Some(("id", id)) => Matcher::Id(object_id(id)),
            Some(("kind", kind)) => Matcher::Kind(parse_kind(kind.trim())?),
            Some(("role", name)) => Matcher::Role(role_named(name.trim()).ok_or_else(|| {
                format!("\"{text}\": no built-in role has this name; name a custom role by its id")
            })?),
            Some((prefix, _)) => {
                return Err(format!(
                    "\"{text}\": unknown prefix \"{prefix}:\", expected \"id:\", \"kind:\" or \"role:\""
                ));
            }
            None if trimmed.is_empty() => {
                return Err("\"\": expected a user name, such as \"svc-*@contoso.com\"".to_owned());
            }
            None if uuid::Uuid::try_parse(trimmed).is_ok() => Matcher::Id(object_id(trimmed)),
            None => Matcher::UserName(WildMatch::new(&trimmed.to_lowercase())),
        };
        Ok(Self {
            text: trimmed.to_owned(),
            matcher,
        })
    }
}

/// GUIDs are written in several ways, and an exclusion that never matches would fail open.
fn object_id(text: &str) -> AccountId {
    uuid::Uuid::try_parse(text).map_or_else(
        |_| AccountId::new(text),
        |id| AccountId::new(&id.to_string()),
    )
}

fn parse_kind(kind: &str) -> Result<AccountKind, String> {
    const KINDS: [AccountKind; 4] = [
        AccountKind::Cloud,
        AccountKind::Federated,
        AccountKind::Guest,
        AccountKind::Synced,
    ];
    KINDS
        .into_iter()
        .find(|known| known.to_string().eq_ignore_ascii_case(kind))
        .ok_or_else(|| {
            format!("\"kind:{kind}\": unknown kind, expected cloud, federated, guest or synced")
        })
}

impl TryFrom<String> for Selector {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.text
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Roles of the accounts that Entra Connect signs in with: rotating one stops the synchronisation of the tenant. The
/// second is not in the portal's list of roles.
const SYNC_SERVICE: [RoleId; 2] = [
    RoleId::literal(0xd29b_2b05_8046_44ba_8758_1e26_182f_cf32),
    RoleId::literal(0xa92a_ed5d_d78a_4d16_b381_09ad_b37e_b3b0),
];

impl Policy {
    /// Whether `account` is one that this policy rotates at all.
    pub(crate) fn selected(&self, account: &Account) -> Result<(), SkipReason> {
        if self
            .break_glass
            .iter()
            .any(|selector| selector.matches(account))
        {
            return Err(SkipReason::BreakGlass);
        }
        if let Some(by) = self
            .exclude
            .iter()
            .find(|selector| selector.matches(account))
        {
            return Err(SkipReason::Excluded { by: by.to_string() });
        }
        if !self.include.is_empty()
            && !self
                .include
                .iter()
                .any(|selector| selector.matches(account))
        {
            return Err(SkipReason::NotIncluded);
        }
        let roles = account.holdings.iter().flat_map(|holdings| &holdings.roles);
        if roles
            .into_iter()
            .any(|held| SYNC_SERVICE.contains(&held.role))
        {
            return Err(SkipReason::SyncService);
        }
        let treatment = match account.kind {
            AccountKind::Cloud => super::Treatment::Rotate,
            AccountKind::Federated => self.federated,
            AccountKind::Guest => self.guest,
            AccountKind::Synced => self.synced,
        };
        if !treatment.rotates() {
            return Err(SkipReason::Kind { kind: account.kind });
        }
        if !account.enabled && !self.disabled.rotates() {
            return Err(SkipReason::Disabled);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Holdings, RoleAssignment, Treatment};

    fn account() -> Account {
        let mut account = Account::new(AccountId::new("7"), "Svc-Backup@Contoso.com")
            .holding(Holdings::default());
        let holdings = account.holdings.as_mut().unwrap();
        holdings.roles.push(RoleAssignment::eligible(
            role_named("Global Reader").unwrap(),
        ));
        account
    }

    fn selectors(texts: &[&str]) -> Vec<Selector> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn each_form_of_selector_names_what_it_says() {
        for text in [
            "svc-*@contoso.com",
            "SVC-BACKUP@contoso.com",
            "svc-?ackup*",
            "kind:cloud",
            "role:global reader",
            "id:7",
        ] {
            assert!(selectors(&[text])[0].matches(&account()), "{text}");
        }
        for text in [
            "svc@contoso.com",
            "kind:guest",
            "role:Reports Reader",
            "id:8",
            "00000000-0000-0000-0000-000000000007",
        ] {
            assert!(!selectors(&[text])[0].matches(&account()), "{text}");
        }
    }

    #[test]
    fn a_selector_that_cannot_be_meant_is_refused_with_the_reason() {
        for (text, reason) in [
            ("kind:robot", "unknown kind"),
            ("role:Global Admin", "no built-in role"),
            ("upn:ada", "unknown prefix"),
            (" ", "expected a user name"),
            ("id: ", "nothing follows"),
        ] {
            let error = text.parse::<Selector>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_guid_names_its_account_however_it_is_written() {
        let id = "6f960c19-0000-4000-8000-00000000abcd";
        let account =
            Account::new(AccountId::new(id), "ada@contoso.com").holding(Holdings::default());
        for text in [
            id,
            "{6F960C19-0000-4000-8000-00000000ABCD}",
            "6f960c190000400080000000 0000abcd",
        ] {
            let text = text.replace(' ', "");
            assert!(selectors(&[&text])[0].matches(&account), "{text}");
            assert!(
                selectors(&[&format!("ID:{text}")])[0].matches(&account),
                "ID:{text}"
            );
        }
    }

    #[test]
    fn break_glass_comes_before_everything_and_exclude_before_include() {
        let mut policy = Policy {
            include: selectors(&["*"]),
            exclude: selectors(&["svc-*"]),
            ..Policy::default()
        };
        assert_eq!(
            policy.selected(&account()),
            Err(SkipReason::Excluded {
                by: "svc-*".to_owned()
            })
        );
        policy.break_glass = selectors(&["id:7"]);
        assert_eq!(policy.selected(&account()), Err(SkipReason::BreakGlass));
    }

    #[test]
    fn accounts_outside_a_given_include_are_out() {
        let policy = Policy {
            include: selectors(&["app-*"]),
            ..Policy::default()
        };
        assert_eq!(policy.selected(&account()), Err(SkipReason::NotIncluded));
    }

    #[test]
    fn awkward_accounts_are_skipped_unless_told_otherwise() {
        for kind in [
            AccountKind::Federated,
            AccountKind::Guest,
            AccountKind::Synced,
        ] {
            let awkward = Account { kind, ..account() };
            assert_eq!(
                Policy::default().selected(&awkward),
                Err(SkipReason::Kind { kind })
            );
            let rotate = Treatment::Rotate;
            let told = Policy {
                federated: rotate,
                guest: rotate,
                synced: rotate,
                ..Policy::default()
            };
            assert_eq!(told.selected(&awkward), Ok(()));
        }
        let disabled = Account {
            enabled: false,
            ..account()
        };
        assert_eq!(
            Policy::default().selected(&disabled),
            Err(SkipReason::Disabled)
        );
    }

    #[test]
    fn the_accounts_of_the_sync_service_are_never_rotated() {
        for role in SYNC_SERVICE {
            let mut sync = account();
            sync.holdings
                .as_mut()
                .unwrap()
                .roles
                .push(RoleAssignment::active(role));
            assert_eq!(
                Policy::default().selected(&sync),
                Err(SkipReason::SyncService)
            );
        }
    }
}
