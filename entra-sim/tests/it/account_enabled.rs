//! Enabling and disabling accounts.

use entra_sim::{Role, User};
use serde_json::json;

use crate::support::{Client, PASSWORD, at, bare_app, numbered_app, sign_in, start, tenant};

#[tokio::test]
async fn an_account_is_disabled_and_enabled_again() {
    let server = start(
        tenant()
            .app(bare_app(1).permission("User.EnableDisableAccount.All"))
            .user(User::new(at("ada")).password(PASSWORD)),
    )
    .await;
    let client = Client::first_app(&server).await;
    for (enabled, number) in [(false, 50_057), (true, 0)] {
        let change = json!({"accountEnabled": enabled});
        assert_eq!(client.patch(&at("ada"), &change).await.0, 204);
        assert_eq!(sign_in(&server, &at("ada"), PASSWORD).await, number);
    }
    assert_eq!(server.tenant().user(&at("ada")).unwrap().password_sets, 0);
}

#[tokio::test]
async fn it_takes_both_permissions() {
    let server = start(
        tenant()
            .app(bare_app(1))
            .app(
                bare_app(2)
                    .permission("User.EnableDisableAccount.All")
                    .without_permission("User.Read.All"),
            )
            .user(User::new(at("ada"))),
    )
    .await;
    for caller in [1, 2] {
        let client = numbered_app(&server, caller).await;
        let (status, _) = client
            .patch(&at("ada"), &json!({"accountEnabled": false}))
            .await;
        assert_eq!(status, 403, "app {caller}");
    }
}

#[tokio::test]
async fn a_change_that_is_half_allowed_fails_as_a_whole() {
    let server = start(
        tenant()
            .app(bare_app(1).role(Role::USER_ADMINISTRATOR))
            .user(User::new(at("ada"))),
    )
    .await;
    let client = Client::first_app(&server).await;
    let change = json!({
        "accountEnabled": false,
        "passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": false},
    });
    assert_eq!(client.patch(&at("ada"), &change).await.0, 403);
    let ada = server.tenant().user(&at("ada")).unwrap();
    assert!(ada.enabled && ada.password_sets == 0);
}
