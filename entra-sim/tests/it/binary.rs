//! The binary.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Ends with its test, whatever becomes of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start(arguments: &[&str]) -> (Running, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_entra-sim"))
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    (Running(child), serde_json::from_str(&line).unwrap())
}

#[tokio::test]
async fn one_line_of_json_is_all_that_a_client_needs() {
    let (_running, setup) = start(&["--accounts", "70", "--tenants", "2", "--seed", "7"]);
    let text = |name: &str| setup[name].as_str().unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", text("clientId")),
        ("client_secret", text("clientSecret")),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    let url = format!("{}/{}/oauth2/v2.0/token", text("baseUrl"), text("tenant"));
    let client = reqwest::Client::new();
    let response = client.post(url).form(&form).send().await.unwrap();
    assert_eq!(response.status(), 200);

    let url = format!("{}/__control/tenants", text("baseUrl"));
    let request = client.get(url).bearer_auth(text("controlToken"));
    let tenants: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(tenants[1]["domain"], "tenant1.onmicrosoft.com");
    assert_eq!(tenants[1]["clientId"], setup["tenants"][1]["clientId"]);
}

#[test]
fn an_interrupt_ends_it_well() {
    let (mut running, _) = start(&["--accounts", "60"]);
    let pid = running.0.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    assert!(running.0.wait().unwrap().success());
}

#[cfg(feature = "tls")]
#[test]
fn the_authority_is_written_where_it_is_asked_for() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("authority.pem");
    let path = file.to_str().unwrap();
    let (_running, setup) = start(&["--accounts", "60", "--tls", "--ca-file", path]);
    assert!(setup["baseUrl"].as_str().unwrap().starts_with("https://"));
    let pem = std::fs::read_to_string(&file).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
}
