//! HTTPS from the throw-away authority.

use entra_sim::{Config, Server, Tenant};
use reqwest::Certificate;

#[tokio::test]
async fn only_clients_that_trust_the_authority_connect() {
    let config = Config::default().tenant(Tenant::demo(60)).tls();
    let server = Server::start(config).await.unwrap();
    let url = format!("{}/common/discovery/instance", server.base_url());
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");

    let authority = Certificate::from_pem(server.ca_pem().unwrap().as_bytes()).unwrap();
    let trusting = reqwest::Client::builder()
        .add_root_certificate(authority)
        .build()
        .unwrap();
    assert_eq!(trusting.get(&url).send().await.unwrap().status(), 200);
    let localhost = url.replace("127.0.0.1", "localhost");
    assert_eq!(trusting.get(localhost).send().await.unwrap().status(), 200);
    assert!(reqwest::Client::new().get(&url).send().await.is_err());
}

#[tokio::test]
async fn a_client_that_never_completes_its_handshake_keeps_nobody_waiting() {
    let config = Config::default().tenant(Tenant::demo(60)).tls();
    let server = Server::start(config).await.unwrap();
    let address = server.base_url().strip_prefix("https://").unwrap();
    let _silent = std::net::TcpStream::connect(address).unwrap();
    let authority = Certificate::from_pem(server.ca_pem().unwrap().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .add_root_certificate(authority)
        .build()
        .unwrap();
    let url = format!("{}/common/discovery/instance", server.base_url());
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
}
