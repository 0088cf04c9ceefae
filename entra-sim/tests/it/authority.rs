//! The judgement without HTTP against the answers over HTTP.

use entra_sim::{Authority, Group, Role, Tenant, Unit, Unserved, User};
use uuid::Uuid;

use crate::support::{PASSWORD, at, bare_app, code, numbered_app, start, tenant};

/// Every kind of account, served whatever it is, and callers of every reach.
fn crowded() -> Tenant {
    Tenant::demo(120)
        .app(bare_app(1).role(Role::GLOBAL_ADMINISTRATOR))
        .app(bare_app(2).role(Role::HELPDESK_ADMINISTRATOR))
        .app(bare_app(3).unit_role(Role::USER_ADMINISTRATOR, "Executives"))
        .app(bare_app(4).unit_role(
            Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
            "Branch office",
        ))
        .app(bare_app(5))
        .app(
            bare_app(6)
                .role(Role::GLOBAL_ADMINISTRATOR)
                .without_permission("User-PasswordProfile.ReadWrite.All"),
        )
        .switches(|switches| {
            switches.synced_target = Unserved::Accept;
            switches.federated_target = Unserved::Accept;
            switches.guest_target = Unserved::Accept;
        })
}

#[tokio::test]
async fn it_is_what_a_patch_is_answered() {
    let server = start(crowded()).await;
    let authority = Authority::new(crowded(), 1).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for app in 1..=6 {
        let client = numbered_app(&server, app).await;
        let actor = authority.app(Uuid::from_u128(app)).unwrap();
        let users = server.tenant().users();
        let names = users.iter().map(|user| user.user_principal_name.as_str());
        for upn in names.chain(["nobody@contoso.onmicrosoft.com"]) {
            let (status, answer) = client.reset_to(upn, PASSWORD).await;
            match authority.set_password(&actor, upn) {
                Ok(()) => {
                    assert_eq!(status, 204, "app {app} on {upn}");
                    accepted += 1;
                }
                Err(refusal) => {
                    assert_eq!(refusal.status, status, "app {app} on {upn}");
                    assert_eq!(refusal.code, code(&answer));
                    assert_eq!(refusal.message, answer["error"]["message"]);
                    refused += 1;
                }
            }
        }
    }
    assert!(accepted > 100 && refused > 100, "{accepted} {refused}");
}

#[test]
fn who_is_eligible_to_become_eligible_is_eligible() {
    let tenant = tenant()
        .app(bare_app(1).unit_role(Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR, "Executives"))
        .user(User::new(at("heir")))
        .unit(Unit::restricted("Executives").member(at("heir")))
        .group(
            Group::role_assignable("succession")
                .eligible_member(at("heir"))
                .eligible_role(Role::GLOBAL_ADMINISTRATOR),
        );
    let mut authority = Authority::new(tenant, 1).unwrap();
    let inside = authority.app(Uuid::from_u128(1)).unwrap();
    assert!(authority.set_password(&inside, &at("heir")).is_err());
    authority.switches(|switches| switches.eligible_roles_count = false);
    assert!(authority.set_password(&inside, &at("heir")).is_ok());
}
