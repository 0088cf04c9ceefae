//! Administrative units as scopes and as shields.

use entra_sim::{Role, Unit, User};

use crate::support::{Client, at, bare_app, code, numbered_app, start, tenant};

#[tokio::test]
async fn a_restricted_unit_shields_its_members_from_every_tenant_wide_role() {
    let server = start(
        tenant()
            .user(User::new(at("executive")))
            .unit(Unit::restricted("Executives").member(at("executive")))
            .app(bare_app(1).role(Role::GLOBAL_ADMINISTRATOR))
            .app(bare_app(2).role(Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR))
            .app(bare_app(3).unit_role(Role::USER_ADMINISTRATOR, "Executives")),
    )
    .await;
    for tenant_wide in [1, 2] {
        let client = numbered_app(&server, tenant_wide).await;
        let (status, answer) = client.reset_to(&at("executive"), "Vk3!vk3zqq9").await;
        assert_eq!(
            (status, code(&answer)),
            (403, "Authorization_RequestDenied")
        );
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("restricted management"), "{message}");
    }
    let inside = numbered_app(&server, 3).await;
    assert_eq!(inside.reset(&at("executive")).await, 204);
}

#[tokio::test]
async fn a_global_administrator_in_a_restricted_unit_is_out_of_reach_for_everybody() {
    let server = start(
        tenant()
            .user(User::new(at("chief")).role(Role::GLOBAL_ADMINISTRATOR))
            .unit(Unit::restricted("Executives").member(at("chief")))
            .app(bare_app(1).role(Role::GLOBAL_ADMINISTRATOR))
            .app(
                bare_app(2).unit_role(Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR, "Executives"),
            ),
    )
    .await;
    for caller in [1, 2] {
        let client = numbered_app(&server, caller).await;
        assert_eq!(client.reset(&at("chief")).await, 403, "app {caller}");
    }
}

#[tokio::test]
async fn so_is_one_who_is_only_eligible_if_eligible_roles_count() {
    for counted in [true, false] {
        let server = start(
            tenant()
                .user(User::new(at("standby")).eligible_role(Role::GLOBAL_ADMINISTRATOR))
                .unit(Unit::restricted("Executives").member(at("standby")))
                .app(
                    bare_app(1)
                        .unit_role(Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR, "Executives"),
                )
                .switches(|switches| switches.eligible_roles_count = counted),
        )
        .await;
        let expected = if counted { 403 } else { 204 };
        let client = numbered_app(&server, 1).await;
        assert_eq!(client.reset(&at("standby")).await, expected, "{counted}");
    }
}

#[tokio::test]
async fn an_ordinary_unit_shields_nobody() {
    let server = start(
        tenant()
            .user(User::new(at("clerk")))
            .unit(Unit::new("Branch").member(at("clerk")))
            .app(bare_app(1).role(Role::HELPDESK_ADMINISTRATOR)),
    )
    .await;
    assert_eq!(
        Client::app(
            &server,
            &server.tenant(),
            uuid::Uuid::from_u128(1),
            "app secret"
        )
        .await
        .reset(&at("clerk"))
        .await,
        204
    );
}

#[tokio::test]
async fn a_unit_scoped_app_that_cannot_read_the_directory_resets_nobody() {
    let server = start(
        tenant()
            .user(User::new(at("clerk")))
            .unit(Unit::new("Branch").member(at("clerk")))
            .app(
                bare_app(1)
                    .without_permission("User.Read.All")
                    .unit_role(Role::HELPDESK_ADMINISTRATOR, "Branch"),
            )
            .app(
                bare_app(2)
                    .without_permission("User.Read.All")
                    .role(Role::DIRECTORY_READERS)
                    .unit_role(Role::HELPDESK_ADMINISTRATOR, "Branch"),
            ),
    )
    .await;
    assert_eq!(
        numbered_app(&server, 1).await.reset(&at("clerk")).await,
        403
    );
    assert_eq!(
        numbered_app(&server, 2).await.reset(&at("clerk")).await,
        204
    );
}

#[tokio::test]
async fn the_looser_readings_of_unit_scope_are_switches() {
    let build = |limited: bool, anyone: bool| {
        tenant()
            .user(User::new(at("helpdesk")).role(Role::HELPDESK_ADMINISTRATOR))
            .unit(Unit::new("Branch").member(at("helpdesk")))
            .app(bare_app(1).unit_role(Role::USER_ADMINISTRATOR, "Branch"))
            .app(bare_app(2).unit_role(Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR, "Branch"))
            .switches(|switches| {
                switches.unit_scoped_user_admin_resets_limited_admins = limited;
                switches.unit_scoped_privileged_auth_admin_resets_anyone = anyone;
            })
    };
    for loose in [false, true] {
        let server = start(build(loose, loose)).await;
        let expected = if loose { 204 } else { 403 };
        for caller in [1, 2] {
            let client = numbered_app(&server, caller).await;
            assert_eq!(
                client.reset(&at("helpdesk")).await,
                expected,
                "{loose} {caller}"
            );
        }
    }
}

#[tokio::test]
async fn units_and_their_members_can_be_listed() {
    let server = start(
        tenant()
            .user(User::new(at("executive")))
            .unit(Unit::restricted("Executives").member(at("executive")))
            .app(bare_app(1).permission("AdministrativeUnit.Read.All")),
    )
    .await;
    let client = Client::first_app(&server).await;
    let units = client
        .all("/directory/administrativeUnits?$select=id,isMemberManagementRestricted")
        .await;
    assert_eq!(units[0]["isMemberManagementRestricted"], true);
    let id = units[0]["id"].as_str().unwrap();
    let members = client
        .all(&format!(
            "/directory/administrativeUnits/{id}/members?$select=id"
        ))
        .await;
    let executive = server.tenant().user(&at("executive")).unwrap().id;
    assert_eq!(members[0]["id"], executive.to_string());
    let (_, user) = client
        .get(&format!(
            "/users/{executive}?$select=isManagementRestricted"
        ))
        .await;
    assert_eq!(user["isManagementRestricted"], true);
}
