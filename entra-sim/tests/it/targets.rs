//! Accounts that need more than a role to be reset, or cannot be reset at all.

use entra_sim::{App, Authentication, Group, Role, Tenant, Unserved, User};

use crate::support::{Client, at, bare_app, code, numbered_app, start, tenant};

fn with_unserved() -> Tenant {
    tenant()
        .with_domain("fed.example", Authentication::Federated)
        .app(App::rotation())
        .user(User::new(at("sync")).synced())
        .user(User::new("fred@fed.example"))
        .user(User::new(at("guest_x.example#EXT#")).guest())
}

const UNSERVED: [&str; 3] = ["sync@", "fred@", "guest"];

#[tokio::test]
async fn synced_federated_and_guest_accounts_are_refused() {
    let server = start(with_unserved()).await;
    let client = Client::first_app(&server).await;
    for user in server.tenant().users() {
        let (status, answer) = client
            .reset_to(&user.user_principal_name, "Vk3!vk3zqq9")
            .await;
        assert_eq!((status, code(&answer)), (400, "Request_BadRequest"));
        if user.synced {
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains("on-premises mastered"), "{message}");
        }
        assert!(
            UNSERVED
                .iter()
                .any(|start| user.user_principal_name.starts_with(start))
        );
    }
}

#[tokio::test]
async fn how_they_are_refused_is_a_switch() {
    for (answer, expected) in [(Unserved::Forbidden, 403), (Unserved::Accept, 204)] {
        let server = start(with_unserved().switches(|switches| {
            switches.synced_target = answer;
            switches.federated_target = answer;
            switches.guest_target = answer;
        }))
        .await;
        let client = Client::first_app(&server).await;
        for user in server.tenant().users() {
            let upn = &user.user_principal_name;
            assert_eq!(client.reset(upn).await, expected, "{upn}");
        }
    }
}

#[tokio::test]
async fn eligible_roles_protect_unless_switched_off() {
    for counted in [true, false] {
        let server = start(
            tenant()
                .app(App::rotation())
                .user(User::new(at("eligible")).eligible_role(Role::GLOBAL_ADMINISTRATOR))
                .user(User::new(at("joiner")))
                .group(Group::role_assignable("keys").eligible_member(at("joiner")))
                .switches(|switches| switches.eligible_roles_count = counted),
        )
        .await;
        let client = Client::first_app(&server).await;
        let expected = if counted { 403 } else { 204 };
        for name in ["eligible", "joiner"] {
            assert_eq!(client.reset(&at(name)).await, expected, "{name} {counted}");
        }
    }
}

#[tokio::test]
async fn a_role_through_a_group_counts_like_any_other() {
    let server = start(
        tenant()
            .app(bare_app(1).role(Role::GLOBAL_ADMINISTRATOR))
            .app(bare_app(2).role(Role::USER_ADMINISTRATOR))
            .user(User::new(at("member")))
            .group(
                Group::role_assignable("readers")
                    .member(at("member"))
                    .role(Role::DIRECTORY_READERS),
            ),
    )
    .await;
    assert_eq!(
        numbered_app(&server, 1).await.reset(&at("member")).await,
        204
    );
    assert_eq!(
        numbered_app(&server, 2).await.reset(&at("member")).await,
        403
    );
}

#[tokio::test]
async fn every_role_of_the_target_must_be_allowed_and_one_of_the_callers_suffices() {
    let server = start(
        tenant()
            .app(bare_app(1).role(Role::PASSWORD_ADMINISTRATOR))
            .app(bare_app(2).role(Role::HELPDESK_ADMINISTRATOR))
            .app(
                bare_app(3)
                    .role(Role::REPORTS_READER)
                    .role(Role::HELPDESK_ADMINISTRATOR),
            )
            .user(
                User::new(at("two"))
                    .role(Role::DIRECTORY_READERS)
                    .role(Role::REPORTS_READER),
            ),
    )
    .await;
    for (caller, expected) in [(1, 403), (2, 204), (3, 204)] {
        let client = numbered_app(&server, caller).await;
        assert_eq!(client.reset(&at("two")).await, expected, "app {caller}");
    }
}

#[tokio::test]
async fn nobody_resets_their_own_password_this_way() {
    let server = start(
        tenant()
            .app(App::new("tool").delegated_permission("User-PasswordProfile.ReadWrite.All"))
            .user(
                User::new(at("admin"))
                    .password("Admin's own 1")
                    .role(Role::GLOBAL_ADMINISTRATOR),
            )
            .user(User::new(at("other"))),
    )
    .await;
    let admin = Client::user(&server, &at("admin"), "Admin's own 1").await;
    assert_eq!(admin.reset(&at("admin")).await, 403);
    assert_eq!(admin.reset(&at("other")).await, 204);
}
