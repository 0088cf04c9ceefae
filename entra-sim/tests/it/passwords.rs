//! Setting a password: what is accepted, what changes, what is refused.

use std::time::Duration;

use entra_sim::{App, Server, User};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, at, body, code, sign_in, start, tenant, user_path};

async fn server() -> Server {
    start(
        tenant()
            .app(App::rotation())
            .user(
                User::new(at("ada"))
                    .named("Alexandra", "Berg")
                    .password("Ada's own 1"),
            )
            .user(User::new(at("weak")).password_policies("DisableStrongPassword"))
            .banned_word("trombone"),
    )
    .await
}

#[tokio::test]
async fn the_new_password_signs_in_and_the_old_one_no_longer() {
    let server = server().await;
    let tenant = server.tenant();
    let client = Client::first_app(&server).await;
    let ada = tenant.user(&at("ada")).unwrap();
    assert_eq!(ada.initial_password.as_deref(), Some("Ada's own 1"));
    assert_eq!(sign_in(&server, &at("ada"), "Ada's own 1").await, 0);

    let (status, answer) = client.reset_to(&at("ada"), PASSWORD).await;
    assert_eq!((status, answer), (204, Value::Null));
    assert_eq!(sign_in(&server, &at("ada"), "Ada's own 1").await, 50_126);
    assert_eq!(sign_in(&server, &at("ada"), PASSWORD).await, 0);
    assert!(tenant.current_password_is(ada.id, PASSWORD));
    assert!(!tenant.current_password_is(ada.id, "Ada's own 1"));
    assert_eq!(tenant.password_sets(ada.id), 1);
}

#[tokio::test]
async fn the_date_of_the_change_shows_after_the_replication_lag() {
    let server = start(
        tenant()
            .app(App::rotation())
            .user(User::new(at("ada")))
            .replication_lag(Duration::from_secs(30)),
    )
    .await;
    let client = Client::first_app(&server).await;
    let path = format!(
        "{}?$select=lastPasswordChangeDateTime",
        user_path(&at("ada"))
    );
    let shown = async || client.get(&path).await.1["lastPasswordChangeDateTime"].clone();
    let before = shown().await;
    assert_eq!(client.reset(&at("ada")).await, 204);
    assert_eq!(shown().await, before);
    server.advance(Duration::from_secs(30));
    assert_ne!(shown().await, before);
}

#[tokio::test]
async fn a_forced_change_blocks_the_sign_in_until_the_flag_is_off() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    for (profile, number) in [
        (
            json!({"password": PASSWORD, "forceChangePasswordNextSignIn": true}),
            50_055,
        ),
        (
            json!({"password": PASSWORD, "forceChangePasswordNextSignIn": false}),
            0,
        ),
        (
            json!({"password": PASSWORD, "forceChangePasswordNextSignIn": false,
                "forceChangePasswordNextSignInWithMfa": true}),
            50_055,
        ),
        (json!({"password": PASSWORD}), 50_055),
    ] {
        let change = json!({"passwordProfile": profile});
        assert_eq!(client.patch(&at("ada"), &change).await.0, 204);
        assert_eq!(
            sign_in(&server, &at("ada"), PASSWORD).await,
            number,
            "{change}"
        );
    }
}

#[tokio::test]
async fn a_bad_password_gets_the_documented_refusal_and_changes_nothing() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    for password in [
        "Sh0rt!",
        "all lower case",
        "Trombone1",
        "Alexandra1!xyz",
        "Pässword!123",
    ] {
        let (status, answer) = client.reset_to(&at("ada"), password).await;
        assert_eq!(
            (status, code(&answer)),
            (400, "Request_BadRequest"),
            "{password}"
        );
        assert_eq!(
            answer["error"]["message"],
            "The specified password does not comply with password complexity requirements. Please provide a different password."
        );
    }
    let ada = server.tenant().user(&at("ada")).unwrap();
    assert_eq!(ada.password_sets, 0);
    assert_eq!(sign_in(&server, &at("ada"), "Ada's own 1").await, 0);
    assert_eq!(client.reset_to(&at("weak"), "fkdjwqzmbv").await.0, 204);
}

#[tokio::test]
async fn a_body_that_is_not_exactly_right_is_refused() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    for change in [
        json!({}),
        json!([]),
        json!({"@odata.type": "#microsoft.graph.user"}),
        json!({"displayName": "x"}),
        json!({"passwordprofile": {"password": PASSWORD}}),
        json!({"passwordProfile": null}),
        json!({"passwordProfile": {"password": 7}}),
        json!({"passwordProfile": {"Password": PASSWORD}}),
        json!({"passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": "no"}}),
        json!({"passwordProfile": {"password": PASSWORD}, "jobTitle": "x"}),
    ] {
        assert_eq!(client.patch(&at("ada"), &change).await.0, 400, "{change}");
    }
    for (content_type, text) in [
        (None, r#"{"passwordProfile":{"password":"Vk3!vk3zqq9"}}"#),
        (
            Some("text/plain"),
            r#"{"passwordProfile":{"password":"Vk3!vk3zqq9"}}"#,
        ),
        (Some("application/json"), ""),
        (
            Some("application/json"),
            r#"{"passwordProfile":{"password":"#,
        ),
    ] {
        let mut request = client
            .request(Method::PATCH, &user_path(&at("ada")))
            .body(text);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let (status, answer) = body(request.send().await.unwrap()).await;
        assert_eq!(
            (status, code(&answer)),
            (400, "BadRequest"),
            "{content_type:?} {text}"
        );
    }
    assert_eq!(server.tenant().user(&at("ada")).unwrap().password_sets, 0);
}

#[tokio::test]
async fn annotations_of_sdks_are_accepted() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let change = json!({
        "@odata.type": "#microsoft.graph.user",
        "passwordProfile": {
            "@odata.type": "#microsoft.graph.passwordProfile",
            "password": PASSWORD,
            "forceChangePasswordNextSignIn": false,
        },
    });
    assert_eq!(client.patch(&at("ada"), &change).await.0, 204);
}

#[tokio::test]
async fn a_force_flag_without_password_is_answered_and_ignored() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let change = json!({"passwordProfile": {"forceChangePasswordNextSignIn": true}});
    assert_eq!(client.patch(&at("ada"), &change).await.0, 204);
    assert_eq!(server.tenant().user(&at("ada")).unwrap().password_sets, 0);
    assert_eq!(sign_in(&server, &at("ada"), "Ada's own 1").await, 0);
}

#[tokio::test]
async fn the_password_never_comes_back() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    client.reset(&at("ada")).await;
    let (_, user) = client
        .get(&format!(
            "{}?$select=passwordProfile",
            user_path(&at("ada"))
        ))
        .await;
    assert!(user["passwordProfile"]["password"].is_null());
    assert!(!format!("{:?}", server.requests()).contains(PASSWORD));
    assert!(!format!("{server:?}").contains(PASSWORD));
    let ada = server.tenant().user(&at("ada")).unwrap();
    assert!(!format!("{ada:?}").contains("Ada's own 1"));
}

#[tokio::test]
async fn answers_carry_request_ids_and_echo_the_clients() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let response = client
        .request(Method::GET, "/users/nobody")
        .header("client-request-id", "mine")
        .send()
        .await
        .unwrap();
    let request_id = response.headers()["request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(response.headers()["client-request-id"], "mine");
    let (_, answer) = body(response).await;
    let inner = &answer["error"]["innerError"];
    assert_eq!(inner["request-id"], request_id);
    assert_eq!(inner["client-request-id"], "mine");
}
