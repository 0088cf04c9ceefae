//! Groups.

use entra_sim::{App, Group, Server, User};
use serde_json::Value;

use crate::support::{Client, at, bare_app, start, tenant};

async fn server() -> Server {
    start(
        tenant()
            .app(App::rotation())
            .user(User::new(at("member")))
            .user(User::new(at("owner")))
            .user(User::new(at("joiner")))
            .group(
                Group::role_assignable("keys")
                    .member(at("member"))
                    .owner(at("owner"))
                    .eligible_member(at("joiner"))
                    .eligible_owner(at("member")),
            )
            .group(Group::new("staff").member(at("member"))),
    )
    .await
}

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["userPrincipalName"].as_str().unwrap_or_default())
        .collect()
}

#[tokio::test]
async fn role_assignable_groups_are_found_with_members_and_owners() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let groups = client
        .all("/groups?$filter=isAssignableToRole eq true&$select=id")
        .await;
    assert_eq!(groups.len(), 1);
    let id = groups[0]["id"].as_str().unwrap();
    let people = async |kind: &str| {
        client
            .all(&format!("/groups/{id}/{kind}?$select=id,userPrincipalName"))
            .await
    };
    assert_eq!(names(&people("members").await), [at("member")]);
    assert_eq!(names(&people("owners").await), [at("owner")]);
    assert_eq!(
        people("owners").await[0]["@odata.type"],
        "#microsoft.graph.user"
    );
}

#[tokio::test]
async fn those_who_could_join_are_listed_per_group() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let groups = client
        .all("/groups?$filter=isAssignableToRole eq true")
        .await;
    let id = groups[0]["id"].as_str().unwrap();
    let path = "/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances";
    let rows = client
        .all(&format!("{path}?$filter=groupId eq '{id}'"))
        .await;
    let joiner = server.tenant().user(&at("joiner")).unwrap().id.to_string();
    let access: Vec<(bool, &str)> = rows
        .iter()
        .map(|row| {
            (
                row["principalId"] == joiner,
                row["accessId"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(access, [(true, "member"), (false, "owner")]);
    assert_eq!(client.get(path).await.0, 400, "a filter is required");
}

#[tokio::test]
async fn members_are_mere_ids_to_a_caller_who_may_not_read_users() {
    let server = start(
        tenant()
            .app(
                bare_app(1)
                    .without_permission("User.Read.All")
                    .permission("GroupMember.Read.All"),
            )
            .user(User::new(at("member")))
            .group(Group::new("staff").member(at("member"))),
    )
    .await;
    let client = Client::first_app(&server).await;
    let id = client.all("/groups").await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let members = client.all(&format!("/groups/{id}/members")).await;
    assert!(members[0]["id"].is_string() && members[0]["displayName"].is_null());
}
