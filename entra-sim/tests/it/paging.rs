//! Pages and the links between them.

use std::time::Duration;

use entra_sim::{App, Config, Server, Tenant};

use crate::support::{Client, code};

async fn server(accounts: usize) -> Server {
    let config = Config::default()
        .tenant(Tenant::demo(accounts))
        .page_token_lifetime(Duration::from_secs(300));
    Server::start(config).await.unwrap()
}

#[tokio::test]
async fn pages_show_every_user_once() {
    let server = server(1_234).await;
    let client = Client::first_app(&server).await;
    let mut ids: Vec<String> = client
        .all("/users?$select=id&$top=100")
        .await
        .iter()
        .map(|user| user["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1_234);
}

#[tokio::test]
async fn a_page_has_a_hundred_users_unless_asked_otherwise() {
    let server = server(1_500).await;
    let client = Client::first_app(&server).await;
    for (query, expected) in [("", 100), ("?$top=7", 7), ("?$top=999", 999)] {
        let (_, page) = client.get(&format!("/users{query}")).await;
        assert_eq!(page["value"].as_array().unwrap().len(), expected, "{query}");
    }
}

#[tokio::test]
async fn the_last_page_has_no_next_link() {
    let server = server(100).await;
    let client = Client::first_app(&server).await;
    let (_, page) = client.get("/users").await;
    assert_eq!(page["value"].as_array().unwrap().len(), 100);
    assert!(page.get("@odata.nextLink").is_none());
}

#[tokio::test]
async fn next_links_keep_the_query_and_stay_on_the_host() {
    let server = server(200).await;
    let client = Client::first_app(&server).await;
    let (_, page) = client.get("/users?$select=id&$top=5").await;
    let link = page["@odata.nextLink"].as_str().unwrap();
    assert!(link.starts_with(server.base_url()), "{link}");
    let (_, page) = client.get(link).await;
    assert_eq!(page["value"].as_array().unwrap().len(), 5);
    assert_eq!(page["value"][0].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn next_links_expire_and_cannot_be_forged() {
    let server = server(200).await;
    let client = Client::first_app(&server).await;
    let (_, page) = client.get("/users?$select=id").await;
    let link = page["@odata.nextLink"].as_str().unwrap();
    let forged = link.replace("select=id", "select=displayName");
    assert_eq!(client.get(&forged).await.0, 400);
    assert_eq!(client.get("/users?$skiptoken=MTAw").await.0, 400);
    assert_eq!(client.get(link).await.0, 200);

    server.advance(Duration::from_secs(300));
    let (status, answer) = client.get(link).await;
    assert_eq!((status, code(&answer)), (400, "Directory_ExpiredPageToken"));
}

#[tokio::test]
async fn a_link_of_one_tenant_is_worthless_in_another() {
    let config = Config::default()
        .tenant(Tenant::demo(200))
        .tenant(Tenant::demo_at("fabrikam.example", 200).first_app(App::rotation()));
    let server = Server::start(config).await.unwrap();
    let here = Client::first_app(&server).await;
    let other = &server.tenants()[1];
    let there = Client::app(&server, other, other.client_id(), other.client_secret()).await;
    let (_, page) = here.get("/users").await;
    let link = page["@odata.nextLink"].as_str().unwrap();
    assert_eq!(there.get(link).await.0, 400);
    assert_eq!(here.get(link).await.0, 200);
}
