//! What an administrator does to bring an app into a tenant: service principals, permissions, roles and groups.

use std::time::Duration;

use entra_sim::{App, Role, Server, Tenant, User};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use crate::support::{Client, PASSWORD, at, body, code, start, tenant};

const APP: Uuid = uuid!("5e7a0000-0000-4000-8000-000000000001");
const PERMISSIONS: [&str; 4] = [
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
    "Group.ReadWrite.All",
    "RoleManagement.ReadWrite.Directory",
];

fn admin() -> App {
    PERMISSIONS
        .into_iter()
        .fold(App::new("Setup"), App::permission)
}

fn app() -> App {
    App::new("Password rotation").client_id(APP).secret("s")
}

async fn send(client: &Client, method: Method, path: &str, sent: &Value) -> (u16, Value) {
    let request = client.request(method, path);
    let request = if sent.is_null() {
        request
    } else {
        request.json(sent)
    };
    body(request.send().await.unwrap()).await
}

async fn post(client: &Client, path: &str, sent: &Value) -> (u16, Value) {
    send(client, Method::POST, path, sent).await
}

async fn delete(client: &Client, path: &str) -> u16 {
    send(client, Method::DELETE, path, &Value::Null).await.0
}

/// A tenant with both apps, and its administrator.
async fn world(change: impl FnOnce(Tenant) -> Tenant) -> (Server, Client) {
    let server = start(change(tenant().app(admin()).app(app()))).await;
    let client = Client::first_app(&server).await;
    (server, client)
}

async fn principal(client: &Client) -> String {
    let (status, found) = client
        .get(&format!("/servicePrincipals(appId='{APP}')"))
        .await;
    assert_eq!(status, 200, "{found}");
    found["id"].as_str().unwrap().to_owned()
}

async fn app_role(client: &Client, name: &str) -> (Value, Value) {
    let graph = client
        .all("/servicePrincipals?$filter=appId eq '00000003-0000-0000-c000-000000000000'")
        .await;
    let roles = graph[0]["appRoles"].as_array().unwrap();
    let role = roles.iter().find(|role| role["value"] == name).unwrap();
    (graph[0]["id"].clone(), role["id"].clone())
}

#[tokio::test]
async fn an_app_of_another_tenant_comes_in_once() {
    let home = Tenant::new("home.example").app(app());
    let server = Server::start(entra_sim::Config::default().tenants([tenant().app(admin()), home]))
        .await
        .unwrap();
    let client = Client::first_app(&server).await;
    let (status, made) = post(&client, "/servicePrincipals", &json!({"appId": APP})).await;
    assert_eq!((status, &made["appId"]), (201, &json!(APP)));
    assert_eq!(
        made["appOwnerOrganizationId"],
        json!(server.tenants()[1].id())
    );
    let (status, again) = post(&client, "/servicePrincipals", &json!({"appId": APP})).await;
    assert_eq!(
        (status, code(&again)),
        (409, "Request_MultipleObjectsWithSameKeyValue")
    );
    let nobody = json!({"appId": Uuid::nil()});
    let (status, unknown) = post(&client, "/servicePrincipals", &nobody).await;
    assert_eq!((status, code(&unknown)), (400, "Request_BadRequest"));
    // it signs in with the credentials of its registration
    let here = server.tenant();
    Client::app(&server, &here, APP, "s").await;
    assert_eq!(
        delete(
            &client,
            &format!("/servicePrincipals/{}", made["id"].as_str().unwrap())
        )
        .await,
        204
    );
    assert!(here.app(APP).is_none());
    assert_eq!(
        post(&client, "/servicePrincipals", &json!({"appId": APP}))
            .await
            .0,
        201
    );
}

#[tokio::test]
async fn a_permission_is_granted_once_and_shows_in_later_tokens() {
    let (server, client) = world(|tenant| tenant).await;
    let id = principal(&client).await;
    let (graph, role) = app_role(&client, "User.Read.All").await;
    let grant = json!({"principalId": id, "resourceId": graph, "appRoleId": role});
    let path = format!("/servicePrincipals/{id}/appRoleAssignments");
    let rotation = Client::app(&server, &server.tenant(), APP, "s").await;
    let (status, made) = post(&client, &path, &grant).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        rotation.get("/users").await.0,
        403,
        "an old token stays as it is"
    );
    let rotation = Client::app(&server, &server.tenant(), APP, "s").await;
    assert_eq!(rotation.get("/users").await.0, 200);
    let (status, again) = post(&client, &path, &grant).await;
    assert_eq!(status, 400);
    assert_eq!(
        again["error"]["message"],
        "Permission being assigned already exists on the object"
    );
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(
        (delete(&client, &one).await, delete(&client, &one).await),
        (204, 404)
    );
    let rotation = Client::app(&server, &server.tenant(), APP, "s").await;
    assert_eq!(rotation.get("/users").await.0, 403);
}

#[tokio::test]
async fn a_role_is_assigned_once_and_counts_at_once() {
    let (server, client) = world(|tenant| tenant).await;
    let id = principal(&client).await;
    let assign = json!({
        "principalId": id,
        "roleDefinitionId": Role::USER_ADMINISTRATOR,
        "directoryScopeId": "/",
    });
    let path = "/roleManagement/directory/roleAssignments";
    let (status, made) = post(&client, path, &assign).await;
    assert_eq!(status, 201, "{made}");
    let roles = || server.tenant().app(APP).unwrap().roles;
    assert_eq!(roles(), [Role::USER_ADMINISTRATOR]);
    let (status, again) = post(&client, path, &assign).await;
    assert_eq!((status, code(&again)), (400, "Request_BadRequest"));
    let mut nobody = assign.clone();
    nobody["principalId"] = json!(Uuid::new_v4());
    assert_eq!(post(&client, path, &nobody).await.0, 404);
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(
        (delete(&client, &one).await, delete(&client, &one).await),
        (204, 404)
    );
    assert_eq!(roles(), []);
}

#[tokio::test]
async fn a_role_assignable_group_gives_its_role_to_an_app_that_only_the_cast_lists() {
    let (server, client) = world(|tenant| tenant).await;
    let id = principal(&client).await;
    let new = json!({
        "displayName": "rotation", "mailEnabled": false, "mailNickname": "rotation",
        "securityEnabled": true, "isAssignableToRole": true,
    });
    let (status, group) = post(&client, "/groups", &new).await;
    assert_eq!((status, &group["isAssignableToRole"]), (201, &json!(true)));
    let group = group["id"].as_str().unwrap();
    let assign = json!({
        "principalId": group,
        "roleDefinitionId": Role::USER_ADMINISTRATOR,
        "directoryScopeId": "/",
    });
    assert_eq!(
        post(
            &client,
            "/roleManagement/directory/roleAssignments",
            &assign
        )
        .await
        .0,
        201
    );
    let path = format!("/groups/{group}/members");
    let reference =
        json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{id}")});
    assert_eq!(
        post(&client, &format!("{path}/$ref"), &reference).await.0,
        204
    );
    let (status, again) = post(&client, &format!("{path}/$ref"), &reference).await;
    assert_eq!((status, code(&again)), (400, "Request_BadRequest"));
    assert_eq!(
        server.tenant().app(APP).unwrap().roles,
        [Role::USER_ADMINISTRATOR]
    );
    // https://learn.microsoft.com/graph/api/group-list-members: a known issue of v1.0
    assert!(client.all(&path).await.is_empty());
    let apps = client
        .all(&format!("{path}/microsoft.graph.servicePrincipal"))
        .await;
    assert_eq!(apps[0]["id"], json!(id));
    assert_eq!(delete(&client, &format!("{path}/{id}/$ref")).await, 204);
    assert_eq!(server.tenant().app(APP).unwrap().roles, []);
    assert_eq!(delete(&client, &format!("/groups/{group}")).await, 204);
    assert_eq!(client.get(&path).await.0, 404);
}

#[tokio::test]
async fn pim_makes_an_assignment_that_ends_and_asks_why() {
    let (server, client) = world(|tenant| {
        tenant.switches(|it| it.longest_assignment = Some(Duration::from_secs(180 * 86_400)))
    })
    .await;
    let id = principal(&client).await;
    let path = "/roleManagement/directory/roleAssignmentScheduleRequests";
    let request = |action: &str, justification: &str, expiration: Value| {
        json!({
            "action": action, "justification": justification, "principalId": id,
            "roleDefinitionId": Role::USER_ADMINISTRATOR, "directoryScopeId": "/",
            "scheduleInfo": {"startDateTime": "2026-01-01T00:00:00Z", "expiration": expiration},
        })
    };
    let half_a_year = || json!({"type": "afterDuration", "duration": "P180D"});
    for (justification, expiration, rule) in [
        ("", half_a_year(), "JustificationRule"),
        (
            "rotation",
            json!({"type": "noExpiration"}),
            "ExpirationRule",
        ),
        (
            "rotation",
            json!({"type": "afterDuration", "duration": "P181D"}),
            "ExpirationRule",
        ),
    ] {
        let (status, refused) = post(
            &client,
            path,
            &request("adminAssign", justification, expiration),
        )
        .await;
        assert_eq!(
            (status, code(&refused)),
            (400, "RoleAssignmentRequestPolicyValidationFailed")
        );
        assert!(refused["error"]["message"].as_str().unwrap().contains(rule));
    }
    let assign = request("adminAssign", "rotation", half_a_year());
    let (status, made) = post(&client, path, &assign).await;
    assert_eq!((status, &made["status"]), (201, &json!("Provisioned")));
    assert_eq!(
        code(&post(&client, path, &assign).await.1),
        "RoleAssignmentExists"
    );
    let instances = "/roleManagement/directory/roleAssignmentScheduleInstances";
    let filter = format!("{instances}?$filter=principalId eq '{id}'");
    let end = client.all(&filter).await[0]["endDateTime"].clone();
    assert!(end.is_string());
    let sooner = json!({"type": "afterDuration", "duration": "P90D"});
    let update = request("adminUpdate", "sooner", sooner);
    assert_eq!(post(&client, path, &update).await.0, 201);
    let sooner = client.all(&filter).await[0]["endDateTime"].clone();
    assert!(sooner.as_str() < end.as_str(), "{sooner} {end}");
    let remove = request("adminRemove", "no more", half_a_year());
    assert_eq!(post(&client, path, &remove).await.0, 201);
    assert_eq!(
        code(&post(&client, path, &remove).await.1),
        "RoleAssignmentDoesNotExist"
    );
    assert_eq!(
        code(&post(&client, path, &update).await.1),
        "RoleAssignmentDoesNotExist"
    );

    assert_eq!(post(&client, path, &assign).await.0, 201);
    server.advance(Duration::from_secs(180 * 86_400 + 1));
    assert_eq!(server.tenant().app(APP).unwrap().roles, [], "it has ended");
}

#[tokio::test]
async fn licences_are_asked_for() {
    let (_server, client) =
        world(|tenant| tenant.switches(|it| (it.premium_p1, it.premium_p2) = (false, false))).await;
    let group = json!({
        "displayName": "g", "mailEnabled": false, "mailNickname": "g",
        "securityEnabled": true, "isAssignableToRole": true,
    });
    assert_eq!(post(&client, "/groups", &group).await.0, 400);
    let (status, refused) = post(
        &client,
        "/roleManagement/directory/roleAssignmentScheduleRequests",
        &json!({}),
    )
    .await;
    assert_eq!((status, code(&refused)), (400, "AadPremiumLicenseRequired"));
}

#[tokio::test]
async fn each_write_needs_its_permission_and_a_person_a_role_too() {
    let id = Uuid::new_v4();
    let all = PERMISSIONS
        .into_iter()
        .fold(App::new("Setup"), App::delegated_permission);
    let person = |name: &str| User::new(at(name)).password(PASSWORD);
    let server = start(
        tenant()
            .app(all)
            .app(App::new("bare").client_id(APP).secret("s"))
            .user(person("nobody"))
            .user(person("apps").role(Role::CLOUD_APPLICATION_ADMINISTRATOR))
            .user(person("roles").role(Role::PRIVILEGED_ROLE_ADMINISTRATOR)),
    )
    .await;
    let assignable = json!({
        "displayName": "g", "mailEnabled": false, "mailNickname": "g",
        "securityEnabled": true, "isAssignableToRole": true,
    });
    let writes = [
        (
            "/servicePrincipals".to_owned(),
            json!({"appId": id}),
            "apps",
        ),
        (
            format!("/servicePrincipals/{id}/appRoleAssignments"),
            json!({"principalId": id, "resourceId": id, "appRoleId": id}),
            "roles",
        ),
        (
            "/roleManagement/directory/roleAssignments".to_owned(),
            json!({"principalId": id, "roleDefinitionId": id, "directoryScopeId": "/"}),
            "roles",
        ),
        (
            "/roleManagement/directory/roleAssignmentScheduleRequests".to_owned(),
            json!({}),
            "roles",
        ),
        ("/groups".to_owned(), assignable, "roles"),
    ];
    let bare = Client::app(&server, &server.tenant(), APP, "s").await;
    let nobody = Client::user(&server, &at("nobody"), PASSWORD).await;
    for (path, sent, who) in writes {
        assert_eq!(post(&bare, &path, &sent).await.0, 403, "{path}");
        assert_eq!(post(&nobody, &path, &sent).await.0, 403, "{path}");
        let person = Client::user(&server, &at(who), PASSWORD).await;
        assert_ne!(post(&person, &path, &sent).await.0, 403, "{path}");
    }
}

#[tokio::test]
async fn an_administrators_consent_brings_an_app_in_with_what_it_asks_for() {
    let asking = app().asks_for("User.Read.All").asks_for("Domain.Read.All");
    let home = Tenant::new("home.example").app(asking);
    let config = entra_sim::Config::default().tenants([tenant().app(admin()), home]);
    let server = Server::start(config).await.unwrap();
    let page = |app: Uuid| {
        let url = format!(
            "{}/{}/adminconsent",
            server.base_url(),
            server.tenant().id()
        );
        reqwest::get(format!("{url}?client_id={app}&state=7"))
    };
    for _ in 0..2 {
        let answer = page(APP).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(
            answer
                .text()
                .await
                .unwrap()
                .ends_with("state=7&admin_consent=True")
        );
        let here = server.tenant().app(APP).unwrap();
        assert_eq!(here.permissions, ["User.Read.All", "Domain.Read.All"]);
    }
    assert_eq!(page(Uuid::nil()).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_permission_may_take_its_time_to_show_in_tokens() {
    let lag = Duration::from_secs(300);
    let (server, client) = world(|tenant| tenant.permission_lag(lag)).await;
    let id = principal(&client).await;
    let (graph, role) = app_role(&client, "User.Read.All").await;
    let grant = json!({"principalId": id, "resourceId": graph, "appRoleId": role});
    let path = format!("/servicePrincipals/{id}/appRoleAssignments");
    assert_eq!(post(&client, &path, &grant).await.0, 201);
    assert_eq!(client.all(&path).await.len(), 1, "it is granted");
    let reads = async || {
        let rotation = Client::app(&server, &server.tenant(), APP, "s").await;
        rotation.get("/users").await.0
    };
    assert_eq!(reads().await, 403);
    server.advance(lag + Duration::from_secs(1));
    assert_eq!(reads().await, 200);
}
