//! People who sign in with a browser: the code they are shown, and what becomes of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backend_graph::{Cloud, Credential, DeviceCode, DevicePrompt, GraphBackend, GraphConfig};
use entra_sim::{App, Config, Effect, Endpoint, Fault, Role, Server, Tenant, User};
use rotation_core::{BackendError, CallerKind, RotationBackend};
use serde_json::json;
use uuid::Uuid;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

const APP: Uuid = Uuid::from_u128(0x0a11);
const DOMAIN: &str = "contoso.example";

/// What the person at the other device does with the code.
#[derive(Clone, Copy)]
enum Does {
    Approve,
    Decline,
    Sleep,
}

struct Desk {
    server: Arc<Server>,
    shown: Arc<Mutex<Vec<DevicePrompt>>>,
    sign_in: DeviceCode,
}

async fn desk(app: App, does: Does) -> Desk {
    let delegated = [
        "User-PasswordProfile.ReadWrite.All",
        "User.Read.All",
        "RoleManagement.Read.Directory",
        "GroupMember.Read.All",
        "AdministrativeUnit.Read.All",
        "Domain.Read.All",
    ];
    let app = delegated.into_iter().fold(app, App::delegated_permission);
    let ada = User::new(format!("ada@{DOMAIN}"))
        .role(Role::USER_ADMINISTRATOR)
        .role(Role::DIRECTORY_READERS);
    let tenant = Tenant::new(DOMAIN).app(app.client_id(APP)).user(ada);
    let other = Tenant::new("fabrikam.example").app(
        App::new("Rotation by people")
            .public_client()
            .client_id(APP),
    );
    let config = Config::default().tenant(tenant).tenant(other);
    let server = Arc::new(Server::start(config).await.unwrap());
    let shown: Arc<Mutex<Vec<DevicePrompt>>> = Arc::default();
    let sign_in = DeviceCode::new({
        let (server, shown) = (Arc::clone(&server), Arc::clone(&shown));
        move |prompt| {
            shown.lock().unwrap().push(prompt.clone());
            let tenant = server.tenant();
            let ada = tenant.user(&format!("ada@{DOMAIN}")).unwrap();
            match does {
                Does::Approve => assert!(tenant.approve_sign_in(&prompt.code, ada.id)),
                Does::Decline => assert!(tenant.decline_sign_in(&prompt.code)),
                Does::Sleep => server.advance(prompt.good_for),
            }
        }
    });
    Desk {
        server,
        shown,
        sign_in,
    }
}

impl Desk {
    fn backend(&self, tenant: &str) -> GraphBackend {
        let cloud = Cloud::custom(self.server.base_url(), self.server.base_url(), None).unwrap();
        let credential = Credential::DeviceCode(self.sign_in.clone());
        let config = GraphConfig::new(tenant, APP.to_string(), credential);
        GraphBackend::new(config.with_cloud(cloud).with_pim(false)).unwrap()
    }

    fn prompts(&self) -> usize {
        self.shown.lock().unwrap().len()
    }
}

fn public() -> App {
    App::new("Rotation by people").public_client()
}

fn said(error: BackendError) -> String {
    match error {
        BackendError::NotAuthorized(problem) | BackendError::Unavailable(problem) => {
            format!("{}; {}", problem.message, problem.fix.unwrap())
        }
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_person_signs_in_once_and_acts_with_delegated_permissions() {
    let desk = desk(public(), Does::Approve).await;
    let backend = desk.backend(DOMAIN);
    let caller = backend.caller().await.unwrap();
    assert_eq!(caller.kind, CallerKind::Delegated);
    assert!(caller.may_set_passwords());
    assert_eq!(caller.roles.len(), 2);
    let prompt = desk.shown.lock().unwrap()[0].clone();
    assert_eq!(prompt.tenant, DOMAIN);
    assert!(prompt.page.ends_with("/devicelogin"), "{prompt:?}");
    assert_eq!(prompt.good_for, Duration::from_secs(900));

    // another of the same person, and the same when its token is none any more
    desk.backend(DOMAIN).caller().await.unwrap();
    desk.server.advance(Duration::from_secs(7_200));
    backend.caller().await.unwrap();
    assert_eq!(desk.prompts(), 1);
}

#[tokio::test]
async fn a_person_whose_sign_in_was_revoked_is_asked_again() {
    let desk = desk(public(), Does::Approve).await;
    let backend = desk.backend(DOMAIN);
    backend.caller().await.unwrap();
    desk.server.advance(Duration::from_secs(7_200));
    let tenant = desk.server.tenant();
    let ada = tenant.user(&format!("ada@{DOMAIN}")).unwrap();
    tenant.set_password(ada.id, "Another one 1");
    backend.caller().await.unwrap();
    assert_eq!(desk.prompts(), 2);
}

#[tokio::test]
async fn whoever_does_not_sign_in_is_told_why_that_ends_it() {
    for (name, app, does, tenant, expected) in [
        (
            "declined",
            public(),
            Does::Decline,
            DOMAIN,
            "the person declined to sign in (HTTP 400, AADSTS70000); start again, and approve it",
        ),
        (
            "too late",
            public(),
            Does::Sleep,
            DOMAIN,
            "nobody signed in in time (HTTP 400, AADSTS70019); start again, and enter the code in time",
        ),
        (
            "not a public client",
            App::new("Rotation by people"),
            Does::Approve,
            DOMAIN,
            "the app is no public client, and no credential was sent (HTTP 401, AADSTS7000218); \
             allow public client flows for the app, or configure a credential",
        ),
        (
            "no app in the tenant",
            public().client_id(Uuid::from_u128(1)),
            Does::Approve,
            "nobody.example",
            "the tenant does not exist (HTTP 400, AADSTS90002); \
             check `tenant` and `cloud`: a tenant lives in one cloud only",
        ),
    ] {
        let desk = desk(app, does).await;
        let error = said(desk.backend(tenant).caller().await.unwrap_err());
        let place = format!("signing in to tenant {tenant} failed: ");
        assert_eq!(error, format!("{place}{expected}"), "{name}");
    }
}

#[tokio::test]
async fn whoever_is_not_in_another_tenant_is_told_so_and_not_asked_again() {
    let desk = desk(public(), Does::Approve).await;
    let home = desk.backend(DOMAIN);
    home.caller().await.unwrap();
    let error = said(desk.backend("fabrikam.example").caller().await.unwrap_err());
    let expected = "signing in to tenant fabrikam.example failed: the user who signed in is not in this tenant (HTTP 400, \
                    AADSTS50020); sign in as a user of this tenant, or have that user invited to it";
    assert_eq!(error, expected);
    desk.server.advance(Duration::from_secs(7_200));
    home.caller().await.unwrap();
    assert_eq!(desk.prompts(), 1);
}

#[tokio::test]
async fn a_tenant_that_demands_more_of_a_guest_is_signed_in_to_itself() {
    let desk = desk(public(), Does::Approve).await;
    desk.backend(DOMAIN).caller().await.unwrap();
    let demanding = Fault::new(Effect::aadsts(50_076)).endpoint(Endpoint::Token);
    desk.server.add_fault(demanding.tenant(DOMAIN).once());
    desk.backend(DOMAIN).caller().await.unwrap();
    assert_eq!(desk.prompts(), 2);
}

/// An authority of somebody else, or one that answers what none does.
async fn authority(asked: serde_json::Value, granted: serde_json::Value) -> MockServer {
    let server = MockServer::start().await;
    for (at, answer) in [("devicecode", asked), ("token", granted)] {
        let answer = ResponseTemplate::new(200).set_body_json(answer);
        let asked = Mock::given(path(format!("/{DOMAIN}/oauth2/v2.0/{at}")));
        asked.respond_with(answer).mount(&server).await;
    }
    server
}

fn asked(interval: u64, expires_in: u64) -> serde_json::Value {
    json!({
        "device_code": "d", "user_code": "u", "verification_uri": "https://page.example",
        "expires_in": expires_in, "interval": interval,
    })
}

fn at(authority: &MockServer, sign_in: &DeviceCode) -> GraphBackend {
    let cloud = Cloud::custom(&authority.uri(), &authority.uri(), None).unwrap();
    let credential = Credential::DeviceCode(sign_in.clone());
    GraphBackend::new(GraphConfig::new(DOMAIN, APP.to_string(), credential).with_cloud(cloud))
        .unwrap()
}

#[tokio::test]
async fn hostile_times_of_an_authority_do_no_harm() {
    let granted = json!({"access_token": "opaque", "expires_in": i64::MAX});
    let endless = authority(asked(0, 900), granted.clone()).await;
    let error = at(&endless, &DeviceCode::new(|_| {}))
        .caller()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("opaque"), "{error}");
    let never = authority(asked(u64::MAX, 1), granted).await;
    let error = said(
        at(&never, &DeviceCode::new(|_| {}))
            .caller()
            .await
            .unwrap_err(),
    );
    assert!(error.contains("nobody signed in within 1 s"), "{error}");
}

#[tokio::test]
async fn what_one_authority_gave_is_not_shown_to_another() {
    let granted =
        json!({"access_token": "opaque", "expires_in": 10, "refresh_token": "of the first"});
    let (first, second) = (
        authority(asked(0, 900), granted.clone()).await,
        authority(asked(0, 900), granted).await,
    );
    let sign_in = DeviceCode::new(|_| {});
    for server in [&first, &second] {
        at(server, &sign_in).caller().await.unwrap_err();
    }
    for request in second.received_requests().await.unwrap() {
        let body = String::from_utf8(request.body).unwrap();
        assert!(!body.contains("refresh_token"), "{body}");
    }
}
