//! What is read of a directory, by each dialect.

use std::collections::BTreeSet;

use backend_powershell_compat::{Dialect, Directory, Domain, PowerShellBackend};
use entra_sim::{App, Group, Role, Tenant, User};
use futures::{StreamExt, TryStreamExt};
use rotation_core::{
    Account, AccountKind, AccountQuery, BackendError, CallerKind, Capability, RoleId,
    RotationBackend, RuleSet, Scope, capability,
};
use serde_json::json;
use uuid::Uuid;

use crate::workshop::{DIALECTS, PASSWORD, SECRET, Workshop, id, request, told};

async fn all(backend: &PowerShellBackend) -> Vec<Account> {
    let listed = backend.accounts(AccountQuery::All);
    listed.try_collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_page_link_starts_again_and_gives_no_account_twice() {
    let workshop = Workshop::with_accounts(1_500).await;
    let backend = workshop.backend(Dialect::MicrosoftGraph);
    workshop.fault("next", "expires");
    let accounts = all(&backend).await;
    assert_eq!(workshop.faults_left(), 0);
    let ids: BTreeSet<_> = accounts.iter().map(|account| &account.id).collect();
    assert_eq!(ids.len(), accounts.len());
    assert_eq!(ids.len(), workshop.tenant().users().len());

    workshop.fault("next", "expires-stays");
    let listed: Vec<_> = backend.accounts(AccountQuery::All).collect().await;
    let error = listed.last().unwrap().as_ref().unwrap_err();
    assert!(
        error.to_string().contains("Directory_ExpiredPageToken"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_listed_whole_in_every_dialect() {
    for dialect in DIALECTS {
        let workshop = Workshop::with_accounts(1_500).await;
        let accounts = all(&workshop.backend(dialect)).await;
        let ids: BTreeSet<_> = accounts.iter().map(|account| account.id.clone()).collect();
        let expected: BTreeSet<_> = workshop
            .tenant()
            .iter_users()
            .map(|user| id(&user))
            .collect();
        assert_eq!(ids, expected, "{dialect}");
        assert_eq!(accounts.len(), expected.len(), "{dialect}");
        let known = accounts
            .iter()
            .filter(|account| account.holdings.is_some())
            .count();
        // The retired module cannot tell who holds what.
        let expected = if dialect == Dialect::AzureAd {
            0
        } else {
            accounts.len()
        };
        assert_eq!(known, expected, "{dialect}");
        if ![Dialect::ActiveDirectory, Dialect::AzureAd].contains(&dialect) {
            for kind in [
                AccountKind::Cloud,
                AccountKind::Federated,
                AccountKind::Guest,
                AccountKind::Synced,
            ] {
                assert!(
                    accounts.iter().any(|account| account.kind == kind),
                    "{dialect}: {kind}"
                );
            }
        }
    }
}

/// Whom the capability rules allow, the simulator, which has tables of its own, lets set, and nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_be_rotated_can_be_and_whoever_is_protected_is_denied() {
    let unit = |app: App| {
        app.without_roles()
            .unit_role(Role::USER_ADMINISTRATOR, "Lab")
    };
    let apps = [
        ("tenant-wide", App::rotation()),
        ("in a unit", unit(App::rotation())),
        ("none", App::rotation().without_roles()),
    ];
    for (name, app) in apps {
        let tenant = Tenant::demo(0).first_app(app.secret(SECRET));
        let tenant = tenant.unit(entra_sim::Unit::new("Lab").member("li@contoso.onmicrosoft.com"));
        let workshop = Workshop::serve(tenant).await;
        let backend = workshop.backend(Dialect::MicrosoftGraph);
        let caller = backend.caller().await.unwrap();
        assert_eq!(caller.kind, CallerKind::AppOnly);
        assert!(caller.may_set_passwords());
        assert_eq!(caller.tenant.as_str(), workshop.tenant().id().to_string());
        let mut allowed = 0;
        for account in all(&backend).await {
            let may = capability(&caller, &account, RuleSet::Strict);
            if !matches!(may, Capability::Allowed { .. })
                || account.kind != AccountKind::Cloud
                || !account.enabled
            {
                continue;
            }
            allowed += 1;
            let is_admin = ["admin", "breakglass"]
                .iter()
                .any(|part| account.user_name.contains(part));
            assert!(!is_admin, "{name}: {}", account.user_name);
            let user = workshop.tenant().user(account.id.as_str()).unwrap();
            let outcome = backend
                .set_password(&request(&user, "Sup3r!Unrelated"))
                .await;
            assert_eq!(
                told(&outcome),
                "applied",
                "{name}: {} {outcome:?}",
                account.user_name
            );
        }
        let ordinary = workshop.ordinary().len();
        let expected = match name {
            // and holders of harmless roles
            "tenant-wide" => ordinary..=2 * ordinary,
            "in a unit" => 1..=1,
            _ => 0..=0,
        };
        assert!(
            expected.contains(&allowed),
            "{name}: {allowed}, {:?}",
            caller.roles
        );
        if name == "in a unit" {
            assert!(matches!(caller.roles[0].scope, Scope::Unit { .. }));
        }
    }
}

/// Names that would end a string, start a command or another line.
const NAMES: [&str; 7] = [
    "o'brien",
    "a\"b\"",
    "tick`n",
    "$(calc)",
    "x; Remove-Item y",
    "two\nlines",
    "żółć李",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_name_is_nothing_but_a_name_whatever_is_in_it() {
    for dialect in DIALECTS {
        let tenant = Tenant::new("contoso.com").app(App::rotation().secret(SECRET));
        let tenant = NAMES.iter().fold(tenant, |tenant, name| {
            tenant.user(User::new(format!("{name}@contoso.com")).display_name(*name))
        });
        let workshop = Workshop::serve(tenant).await;
        let backend = workshop.backend(dialect);
        assert_eq!(all(&backend).await.len(), NAMES.len(), "{dialect}");
        for name in NAMES {
            let name = format!("{name}@contoso.com");
            let query =
                AccountQuery::Named(vec![name.clone(), "nobody*)(x=*@contoso.com".to_owned()]);
            let found: Vec<Account> = backend.accounts(query).try_collect().await.unwrap();
            let [account] = &found[..] else {
                panic!("{dialect}: {name}: {found:?}");
            };
            assert_eq!(account.user_name, name, "{dialect}");
            let user = workshop.tenant().user(account.id.as_str()).unwrap();
            let outcome = backend.set_password(&request(&user, PASSWORD)).await;
            assert_eq!(told(&outcome), "applied", "{dialect}: {name}: {outcome:?}");
            assert!(
                workshop.tenant().current_password_is(user.id, PASSWORD),
                "{dialect}: {name}"
            );
        }
    }
}

#[tokio::test]
async fn a_session_in_another_tenant_than_the_one_configured_is_noticed() {
    let workshop = Workshop::new().await;
    let tenant = |id: String| {
        let tenant = backend_powershell_compat::Tenant::new(id, workshop.sign_in());
        let mut config = workshop.config(Dialect::MicrosoftGraph);
        config.directory = Directory::Tenant(tenant);
        PowerShellBackend::new(config).unwrap()
    };
    let right = tenant(workshop.tenant().id().to_string());
    assert!(right.caller().await.is_ok());
    let wrong = tenant("00000000-0000-0000-0000-00000000dead".to_owned());
    let error = wrong.caller().await.unwrap_err();
    assert!(matches!(error, BackendError::NotAuthorized(_)), "{error:?}");
    let listed: Vec<_> = wrong.accounts(AccountQuery::All).collect().await;
    assert!(matches!(&listed[..], [Err(BackendError::NotAuthorized(_))]));
}

#[tokio::test]
async fn a_listing_fails_closed_when_roles_cannot_be_read() {
    for permission in [
        "RoleManagement.Read.Directory",
        "GroupMember.Read.All",
        "Domain.Read.All",
        "User.Read.All",
    ] {
        let app = App::rotation()
            .secret(SECRET)
            .without_permission(permission);
        let workshop = Workshop::serve(Tenant::demo(0).first_app(app)).await;
        let backend = workshop.backend(Dialect::MicrosoftGraph);
        let listed: Vec<_> = backend.accounts(AccountQuery::All).collect().await;
        let [Err(BackendError::NotAuthorized(problem))] = &listed[..] else {
            panic!("{permission}: {listed:?}");
        };
        let fix = problem.fix.as_ref().unwrap();
        assert!(fix.contains("permission"), "{permission}: {fix}");
    }
}

#[tokio::test]
async fn a_listing_that_is_read_slowly_or_left_keeps_no_worker_from_setting_passwords() {
    for dialect in [
        Dialect::ActiveDirectory,
        Dialect::AzureAd,
        Dialect::MicrosoftGraph,
    ] {
        let workshop = Workshop::with_accounts(1_500).await;
        let config = workshop.config(dialect).with_workers(1);
        let backend = PowerShellBackend::new(config).unwrap();
        let names = workshop.ordinary().into_iter().take(60);
        let names = names.map(|user| user.user_principal_name).collect();
        for query in [AccountQuery::All, AccountQuery::Named(names)] {
            let mut listing = backend.accounts(query);
            for _ in 0..3 {
                assert!(listing.next().await.unwrap().is_ok(), "{dialect}");
                // It is not read on meanwhile, and would wait for ever for what the listing holds.
                let outcome = workshop.set_password(&backend).await;
                assert_eq!(told(&outcome), "applied", "{dialect}: {outcome:?}");
            }
        }
        assert_eq!(
            told(&workshop.set_password(&backend).await),
            "applied",
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn in_a_domain_the_groups_of_caller_and_account_decide() {
    let workshop = Workshop::new().await;
    let ordinary = workshop.ordinary();
    let protected = id(&ordinary[0]);
    for (groups, delegated, everybody, others) in [
        (vec!["S-1-5-21-1-2-3-512"], false, true, true),
        (vec!["S-1-5-32-548"], false, false, true),
        (vec![], true, false, true),
        (vec!["S-1-5-32-545"], false, false, false),
    ] {
        let mut config = workshop.config(Dialect::ActiveDirectory);
        workshop.set(&json!({"groups": groups, "protected": [protected]}));
        let domain = Domain::new("dc1.contoso.com").with_delegated(delegated);
        config.directory = Directory::Domain(domain);
        let backend = PowerShellBackend::new(config).unwrap();
        let caller = backend.caller().await.unwrap();
        let mut tried = 0;
        for account in all(&backend).await {
            let may = capability(&caller, &account, RuleSet::Strict);
            let is_allowed = matches!(may, Capability::Allowed { .. });
            let expected = if account.id == protected {
                everybody
            } else {
                others
            };
            assert_eq!(is_allowed, expected, "{groups:?}: {account:?}");
            tried += 1;
        }
        assert!(tried > 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_lead_in_a_circle_are_an_error() {
    for of in ["v1.0/users?", "v1.0/domains?"] {
        let workshop = Workshop::new().await;
        workshop.set(&json!({"circle": of}));
        let backend = workshop.backend(Dialect::MicrosoftGraph);
        let listed: Vec<_> = backend.accounts(AccountQuery::All).collect().await;
        let error = listed.last().unwrap().as_ref().unwrap_err();
        assert!(
            matches!(error, BackendError::Unexpected(_)),
            "{of}: {error:?}"
        );
        assert!(error.to_string().contains("in a circle"), "{of}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_has_its_role_through_a_group_is_seen_to_have_it() {
    let group = Uuid::from_u128(0x6709);
    let holders = Group::role_assignable("Rotation").id(group);
    let app = App::rotation().secret(SECRET).without_roles();
    let tenant = Tenant::demo(0)
        .first_app(app)
        .group(holders.role(Role::USER_ADMINISTRATOR));
    let workshop = Workshop::serve(tenant).await;
    let principal = workshop.tenant().service_principal_id();
    assert!(workshop.tenant().join_group(group, principal));
    let caller = workshop.backend(Dialect::MicrosoftGraph).caller().await;
    let roles: Vec<_> = caller.unwrap().roles.iter().map(|held| held.role).collect();
    assert_eq!(roles, [RoleId::USER_ADMINISTRATOR]);
}
