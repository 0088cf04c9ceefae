//! The proof by signing in: whatever our own books say, which password does the directory accept?

use std::collections::HashMap;

use futures::StreamExt;
use reqwest::{Client, StatusCode};

use crate::world::World;

/// How many sign-ins are under way at once.
const AT_ONCE: usize = 16;

pub(crate) struct SignIn<'a> {
    client: Client,
    world: &'a World,
}

impl<'a> SignIn<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        Self {
            client: Client::new(),
            world,
        }
    }

    pub(crate) async fn works(&self, upn: &str, password: &str) -> bool {
        let tenant = &self.world.tenant;
        let url = format!(
            "{}/{}/oauth2/v2.0/token",
            self.world.server.base_url(),
            tenant.id()
        );
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("client_id", &tenant.client_id().to_string())
            .append_pair("client_secret", tenant.client_secret())
            .append_pair("scope", "https://graph.microsoft.com/.default")
            .append_pair("username", upn)
            .append_pair("password", password)
            .finish();
        let request = self
            .client
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body).send().await.unwrap();
        match answer.status() {
            StatusCode::OK => true,
            StatusCode::BAD_REQUEST => false,
            status => panic!("{upn}: {status}"),
        }
    }
}

#[tokio::test]
async fn every_account_signs_in_with_the_stores_current_version_and_with_no_old_one() {
    let world = World::new(1000);
    let done = world.json(&["apply", "--format", "json"]);
    let rotated = done["rotated"].as_u64().unwrap();
    assert!(rotated > 800, "{done}");

    let current: HashMap<_, _> = world
        .reveal(&[])
        .into_iter()
        .inspect(|version| assert_eq!(version.state, "current", "{}", version.upn))
        .map(|version| (version.account, version.password))
        .collect();
    assert_eq!(current.len() as u64, rotated);
    let sign_in = SignIn::new(&world);
    let checks = world.tenant.users().into_iter().map(|user| {
        let (sign_in, current) = (&sign_in, &current);
        async move {
            let upn = &user.user_principal_name;
            let old = user.initial_password.as_deref();
            match current.get(&user.id.to_string()) {
                Some(new) => {
                    assert!(
                        sign_in.works(upn, new).await,
                        "{upn}: the new password does not sign in"
                    );
                    let old = old.expect("a rotated account had a password");
                    assert!(
                        !sign_in.works(upn, old).await,
                        "{upn}: the old password signs in"
                    );
                }
                None => {
                    assert_eq!(user.password_sets, 0, "{upn}");
                    let kept = old
                        .is_none_or(|old| sign_in.world.tenant.current_password_is(user.id, old));
                    assert!(kept, "{upn}: was not rotated, and has another password");
                }
            }
        }
    });
    futures::stream::iter(checks)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}

#[test]
fn the_demo_proves_itself_and_leaves_nothing() {
    let world = World::new(0);
    let demo = world.run(&["demo", "--accounts", "200", "--format", "json"]);
    assert_eq!(demo.code, Some(0), "{demo:?}");
    let end: serde_json::Value = serde_json::from_str(&demo.stdout).unwrap();
    let signed = |key: &str| end["sign_ins"][key].as_u64().unwrap();
    assert!(end["rotated"].as_u64() > Some(100), "{end}");
    assert!(signed("new_tried") > 10, "{end}");
    assert_eq!(signed("new_worked"), signed("new_tried"), "{end}");
    assert_eq!(
        (signed("old_tried"), signed("old_worked")),
        (signed("new_tried"), 0),
        "{end}"
    );
}

#[test]
fn what_the_demo_keeps_can_be_read() {
    let world = World::new(0);
    let demo = world.run(&["demo", "--accounts", "100", "--keep", "kept"]);
    assert_eq!(demo.code, Some(0), "{demo:?}");
    for part in [
        "new passwords sign in",
        "0 of ",
        "Why accounts were left alone",
        "rotation reveal",
    ] {
        assert!(demo.stdout.contains(part), "{part}: {}", demo.stdout);
    }
    let reveal = world.run(&[
        "reveal",
        "-c",
        "kept/rotation.toml",
        "--identity",
        "kept/key.txt",
    ]);
    assert_eq!(reveal.code, Some(0), "{reveal:?}");
    assert!(reveal.stdout.contains("current"));
}
