//! Reading users.

use entra_sim::{App, Server, User};
use serde_json::json;

use crate::support::{Client, at, bare_app, code, start, tenant, user_path};

async fn server() -> Server {
    start(
        tenant()
            .app(App::rotation())
            .user(User::new(at("ada")).named("Ada", "Berg"))
            .user(User::new(at("off")).disabled())
            .user(User::new(at("guest_x.example#EXT#")).guest())
            .user(User::new(at("sync")).synced())
            .user(User::new(at("o'brien")))
            .user(User::new(at("unknown")).unknown_password_age()),
    )
    .await
}

fn names(users: &[serde_json::Value]) -> Vec<&str> {
    users
        .iter()
        .map(|user| {
            user["userPrincipalName"]
                .as_str()
                .unwrap()
                .split('@')
                .next()
                .unwrap()
        })
        .collect()
}

#[tokio::test]
async fn only_the_default_properties_come_without_select() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let (_, user) = client.get(&user_path(&at("ada"))).await;
    let members: Vec<&String> = user.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "@odata.context",
            "businessPhones",
            "displayName",
            "givenName",
            "id",
            "jobTitle",
            "mail",
            "mobilePhone",
            "officeLocation",
            "preferredLanguage",
            "surname",
            "userPrincipalName",
        ]
    );
    assert_eq!(
        (&user["displayName"], &user["surname"]),
        (&"Ada Berg".into(), &"Berg".into())
    );
}

#[tokio::test]
async fn select_is_honoured_to_the_letter() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let select = "accountEnabled,userType,onPremisesSyncEnabled,lastPasswordChangeDateTime";
    for (name, expected) in [
        (
            "off",
            json!({"accountEnabled": false, "userType": "Member", "onPremisesSyncEnabled": null}),
        ),
        (
            "guest_x.example#EXT#",
            json!({"accountEnabled": true, "userType": "Guest", "onPremisesSyncEnabled": null}),
        ),
        (
            "sync",
            json!({"accountEnabled": true, "userType": "Member", "onPremisesSyncEnabled": true}),
        ),
    ] {
        let path = format!("{}?$select={select}", user_path(&at(name)));
        let (_, mut user) = client.get(&path).await;
        let members = user.as_object_mut().unwrap();
        members.remove("@odata.context");
        assert!(
            members
                .remove("lastPasswordChangeDateTime")
                .unwrap()
                .is_string()
        );
        assert_eq!(user, expected, "{name}");
    }
    let path = format!(
        "{}?$select=lastPasswordChangeDateTime",
        user_path(&at("unknown"))
    );
    assert!(client.get(&path).await.1["lastPasswordChangeDateTime"].is_null());
}

#[tokio::test]
async fn unknown_and_single_only_properties_cannot_be_selected() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    for (path, status) in [
        ("/users?$select=id,shoeSize", 400),
        ("/users?$select=aboutMe", 501),
        ("/users?$skip=10", 400),
        ("/users?$top=1000", 400),
        ("/users?$top=0", 400),
        ("/users?$top=many", 400),
    ] {
        assert_eq!(client.get(path).await.0, status, "{path}");
    }
    let single = format!("{}?$select=aboutMe", user_path(&at("ada")));
    assert_eq!(client.get(&single).await.0, 200);
}

#[tokio::test]
async fn users_are_found_by_id_upn_and_key_in_parentheses() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let id = server.tenant().user(&at("o'brien")).unwrap().id;
    for path in [
        format!("/users/{id}"),
        user_path(&at("o'brien")),
        user_path(&at("O'BRIEN")),
        format!("/users('{}')", at("o''brien")),
        format!("/users(%27{}%27)", at("o''brien").replace('@', "%40")),
    ] {
        let (status, user) = client.get(&path).await;
        assert_eq!(
            (status, &user["id"]),
            (200, &id.to_string().into()),
            "{path}"
        );
    }
    let (status, answer) = client.get("/users/nobody@contoso.example").await;
    assert_eq!((status, code(&answer)), (404, "Request_ResourceNotFound"));
}

#[tokio::test]
async fn filters_find_what_they_name() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let ada = server.tenant().user(&at("ada")).unwrap().id;
    let off = server.tenant().user(&at("off")).unwrap().id;
    for (filter, expected) in [
        ("accountEnabled eq false", vec!["off"]),
        ("userType eq 'Guest'", vec!["guest_x.example#EXT#"]),
        ("onPremisesSyncEnabled eq true", vec!["sync"]),
        (
            "userPrincipalName eq 'o''brien@contoso.example'",
            vec!["o'brien"],
        ),
        ("startswith(displayName,'ada')", vec!["ada"]),
        (
            &format!("id eq '{ada}' and accountEnabled eq false"),
            vec![],
        ),
    ] {
        let filter = filter.replace('#', "%23");
        let path = format!("/users?$select=userPrincipalName&$filter={filter}");
        assert_eq!(names(&client.all(&path).await), expected, "{filter}");
    }
    let path = format!("/users?$select=userPrincipalName&$filter=id in ('{ada}','{off}')");
    let mut found = client.all(&path).await;
    found.sort_by_key(|user| user["userPrincipalName"].to_string());
    assert_eq!(names(&found), ["ada", "off"]);
}

#[tokio::test]
async fn advanced_queries_need_header_and_count() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let filter = "/users?$filter=accountEnabled ne false";
    let (status, answer) = client.get(filter).await;
    assert_eq!((status, code(&answer)), (400, "Request_UnsupportedQuery"));
    let eventual = |path: &str| {
        client
            .request(reqwest::Method::GET, path)
            .header("ConsistencyLevel", "eventual")
            .send()
    };
    assert_eq!(eventual(filter).await.unwrap().status(), 400);
    let counted = eventual(&format!("{filter}&$count=true")).await.unwrap();
    let answer: serde_json::Value = counted.json().await.unwrap();
    assert_eq!(answer["@odata.count"], 5);
    assert_eq!(client.get("/users/$count").await.0, 400);
    let total = eventual("/users/$count")
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(total, "6");
}

#[tokio::test]
async fn a_caller_for_passwords_only_reads_the_basic_profile_only() {
    let server = start(
        tenant()
            .app(bare_app(1).without_permission("User.Read.All"))
            .user(User::new(at("ada"))),
    )
    .await;
    let client = Client::first_app(&server).await;
    let (status, page) = client.get("/users").await;
    assert_eq!(status, 200);
    assert!(page["value"][0].get("jobTitle").is_none());
    assert_eq!(client.get("/users?$select=id,displayName").await.0, 200);
    let (status, answer) = client.get("/users?$select=id,accountEnabled").await;
    assert_eq!(
        (status, code(&answer)),
        (403, "Authorization_RequestDenied")
    );
}

#[tokio::test]
async fn a_deleted_user_is_gone_everywhere() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let id = server.tenant().user(&at("ada")).unwrap().id;
    server.tenant().delete_user(id);
    assert_eq!(client.get(&format!("/users/{id}")).await.0, 404);
    assert_eq!(client.reset(&at("ada")).await, 404);
    assert!(!names(&client.all("/users").await).contains(&"ada"));
}
