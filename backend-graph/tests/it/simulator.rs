//! The backend and the core's capability against the simulator, which has tables of its own.

use std::sync::Arc;

use async_trait::async_trait;
use backend_graph::{Cloud, Credential, GraphBackend, GraphConfig};
use entra_sim::{App, Config, Effect, Fault, Role, Server, Tenant, UserView};
use futures::TryStreamExt;
use rotation_core::testkit::{BackendHarness, backend_suite};
use rotation_core::{
    Account, AccountId, AccountKind, AccountQuery, Capability, Forbidden, Generator, Outcome,
    Password, PasswordPolicy, RefusalReason, RotationBackend, RuleSet, SetPassword, capability,
    role_named,
};
use uuid::Uuid;

pub(crate) async fn serve(app: App) -> Server {
    let tenant = Tenant::demo(0).first_app(app);
    Server::start(Config::default().tenant(tenant))
        .await
        .unwrap()
}

fn backend(server: &Server) -> GraphBackend {
    GraphBackend::new(config(server)).unwrap()
}

/// An account that the app of a rotation may rotate.
pub(crate) fn ordinary(server: &Server) -> UserView {
    let mut users = server.tenant().users().into_iter();
    users
        .find(|user| user.is_ordinary() && user.enabled)
        .unwrap()
}

/// Two such accounts.
pub(crate) fn two_ordinary(server: &Server) -> [Uuid; 2] {
    let users = server.tenant().users().into_iter();
    let ids = users
        .filter(|user| user.is_ordinary() && user.enabled)
        .map(|user| user.id);
    ids.take(2).collect::<Vec<_>>().try_into().unwrap()
}

pub(crate) fn config(server: &Server) -> GraphConfig {
    let tenant = server.tenant();
    let secret = Credential::ClientSecret(tenant.client_secret().to_owned().into());
    let cloud = Cloud::custom(server.base_url(), server.base_url(), None).unwrap();
    GraphConfig::new(tenant.domain(), tenant.client_id().to_string(), secret).with_cloud(cloud)
}

fn app_with(role: Option<&str>, unit: Option<&str>) -> App {
    let app = App::rotation().secret("a secret").without_roles();
    let role = role.map(|name| {
        let id = serde_json::to_value(role_named(name).unwrap()).unwrap();
        Role::from_id(id.as_str().unwrap().parse().unwrap())
    });
    match (role, unit) {
        (None, _) => app,
        (Some(role), None) => app.role(role),
        (Some(role), Some(unit)) => app.unit_role(role, unit),
    }
}

fn password() -> Arc<Password> {
    let generator = Generator::new(&PasswordPolicy::default()).unwrap();
    let password = generator.generate(&mut rand::rng(), &Forbidden::default());
    Arc::new(password.unwrap())
}

/// Callers whose reach Microsoft documents, and some without any.
const CALLERS: [(Option<&str>, Option<&str>); 17] = [
    (None, None),
    (Some("Authentication Administrator"), None),
    (Some("Entra SOC Identity Responder"), None),
    (Some("Global Administrator"), None),
    (Some("Global Reader"), None),
    (Some("Groups Administrator"), None),
    (Some("Helpdesk Administrator"), None),
    (Some("Partner Tier1 Support"), None),
    (Some("Partner Tier2 Support"), None),
    (Some("Password Administrator"), None),
    (Some("Privileged Authentication Administrator"), None),
    (Some("Security Administrator"), None),
    (Some("Security Operator"), None),
    (Some("User Administrator"), None),
    (Some("Helpdesk Administrator"), Some("Branch office")),
    (Some("User Administrator"), Some("Executives")),
    (
        Some("Privileged Authentication Administrator"),
        Some("Executives"),
    ),
];

#[tokio::test]
async fn capability_says_beforehand_what_the_simulator_answers() {
    let mut compared = 0;
    for (role, unit) in CALLERS {
        let server = serve(app_with(role, unit)).await;
        let backend = backend(&server);
        let caller = backend.caller().await.unwrap();
        let accounts: Vec<Account> = backend
            .accounts(AccountQuery::All)
            .try_collect()
            .await
            .unwrap();
        for account in accounts
            .iter()
            .filter(|account| account.kind == AccountKind::Cloud)
        {
            let allowed = |rules| {
                matches!(
                    capability(&caller, account, rules),
                    Capability::Allowed { .. }
                )
            };
            let request = SetPassword::new(account.id.clone(), password());
            let outcome = backend.set_password(&request).await;
            let applied = matches!(outcome, Outcome::Applied { .. });
            let who = format!("{role:?} in {unit:?} on {}: {outcome:?}", account.user_name);
            assert_eq!(allowed(RuleSet::Documented), applied, "{who}");
            assert!(applied || !allowed(RuleSet::Strict), "{who}");
            if !applied {
                let Outcome::Refused(refusal) = outcome else {
                    panic!("{who}")
                };
                assert_eq!(refusal.reason, RefusalReason::NotAllowed, "{who}");
            }
            compared += 1;
        }
    }
    assert!(compared > 17 * 40, "only {compared} cells");
}

struct Harness {
    server: Server,
    backend: GraphBackend,
}

#[async_trait]
impl BackendHarness for Harness {
    fn backend(&self) -> &dyn RotationBackend {
        &self.backend
    }

    fn accounts(&self) -> Vec<AccountId> {
        let users = self.server.tenant().users();
        let ordinary = users.iter().filter(|user| user.is_ordinary());
        ordinary
            .map(|user| AccountId::new(&user.id.to_string()))
            .take(4)
            .collect()
    }

    async fn signs_in(&self, account: &AccountId, password: &str) -> bool {
        let id = account.as_str().parse().unwrap();
        self.server.tenant().current_password_is(id, password)
    }

    async fn lose_answer(&self, applied: bool) -> bool {
        let lost = Effect::Disconnect { applied };
        self.server.add_fault(Fault::on_patch(lost).once());
        true
    }

    async fn printed(&self) -> Vec<u8> {
        format!("{:?}", self.backend).into_bytes()
    }
}

#[tokio::test]
async fn the_backend_keeps_every_promise_of_the_suite() {
    let server = serve(App::rotation()).await;
    let backend = backend(&server);
    let violations = backend_suite(&Harness { server, backend }).await;
    assert!(violations.is_empty(), "{violations:?}");
}

#[tokio::test]
async fn a_tenant_is_listed_whole_with_every_kind_of_account() {
    let server = Server::start(Config::default().tenant(Tenant::demo(2_500)))
        .await
        .unwrap();
    let backend = backend(&server);
    let accounts: Vec<Account> = backend
        .accounts(AccountQuery::All)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(accounts.len(), server.tenant().users().len());
    for kind in [
        AccountKind::Cloud,
        AccountKind::Federated,
        AccountKind::Guest,
        AccountKind::Synced,
    ] {
        assert!(
            accounts.iter().any(|account| account.kind == kind),
            "{kind}"
        );
    }
    let unknown = accounts
        .iter()
        .filter(|account| account.holdings.is_none())
        .count();
    assert_eq!(unknown, 0);
}
