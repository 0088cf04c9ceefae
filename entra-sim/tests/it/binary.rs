//! The binary.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{PASSWORD, password_change};

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
fn equal_seeds_give_equal_credentials_whatever_the_number_of_accounts_and_tenants() {
    let (_one, one) = start(&["--accounts", "60", "--tenants", "2", "--seed", "7"]);
    let (_two, two) = start(&["--accounts", "90", "--tenants", "3", "--seed", "7"]);
    for index in 0..2 {
        assert_eq!(one["tenants"][index], two["tenants"][index]);
    }
    let (_other, other) = start(&["--accounts", "60", "--seed", "8"]);
    assert_ne!(one["tenant"], other["tenant"]);
}

#[test]
fn one_app_may_serve_all_tenants() {
    let (_running, setup) = start(&["--accounts", "60", "--tenants", "3", "--one-app"]);
    let tenants = setup["tenants"].as_array().unwrap();
    assert_eq!(tenants.len(), 3);
    for tenant in tenants {
        assert_eq!(tenant["clientId"], setup["clientId"]);
        assert_eq!(tenant["clientSecret"], setup["clientSecret"]);
    }
    assert_ne!(tenants[0]["tenant"], tenants[1]["tenant"]);
}

/// How many of so many writes each tenant lets through.
async fn passed(setup: &Value, writes: u32) -> Vec<u32> {
    let client = reqwest::Client::new();
    let base = setup["baseUrl"].as_str().unwrap();
    let mut counts = Vec::new();
    for tenant in setup["tenants"].as_array().unwrap() {
        let text = |name: &str| tenant[name].as_str().unwrap();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", text("clientId")),
            ("client_secret", text("clientSecret")),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let url = format!("{base}/{}/oauth2/v2.0/token", text("tenant"));
        let answer = client.post(url).form(&form).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let token = answer["access_token"].as_str().unwrap();
        let mut count = 0;
        for _ in 0..writes {
            let url = format!("{base}/v1.0/users/user000000@{}", text("domain"));
            let request = client.patch(url).bearer_auth(token);
            let response = request.json(&password_change(PASSWORD)).send().await;
            count += u32::from(response.unwrap().status() == 204);
        }
        counts.push(count);
    }
    counts
}

#[tokio::test]
async fn tenants_are_throttled_as_told() {
    let some = ["--accounts", "60", "--tenants", "3"];
    let told = |more: &[&'static str]| [&some, more].concat();
    let four = r#"{"appInTenant": {"count": 4, "seconds": 1000}}"#;
    let one = r#"tenant1.onmicrosoft.com={"tenant": {"count": 1, "seconds": 1000}}"#;
    for (arguments, expected) in [
        (told(&[]), [5, 5, 5]),
        (told(&["--throttle"]), [5, 5, 5]),
        (told(&["--throttle", "documented"]), [5, 5, 5]),
        (told(&["--throttle", four]), [4, 4, 4]),
        (
            told(&["--throttle", four, "--tenant-throttle", one]),
            [4, 1, 4],
        ),
        (
            told(&["--tenant-throttle", one, "--latency", "5ms"]),
            [5, 1, 5],
        ),
    ] {
        let (_running, setup) = start(&arguments);
        assert_eq!(passed(&setup, 5).await, expected, "{arguments:?}");
    }
}

#[test]
fn what_is_wrong_with_an_argument_is_said() {
    for (arguments, words) in [
        (
            ["--throttle", "heavy"],
            "expected `documented`, `none` or JSON",
        ),
        (
            ["--throttle", r#"{"app": {"count": 1}}"#],
            "missing field `seconds`",
        ),
        (["--tenant-throttle", "none"], "expected DOMAIN=THROTTLE"),
        (
            ["--tenant-throttle", "fabrikam.example=none"],
            "no tenant is named \"fabrikam.example\"",
        ),
        (["--latency", "5 parsecs"], "expected a time such as 5ms"),
        (["--latency", "-5ms"], "expected a time such as 5ms"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_entra-sim"))
            .arg("--accounts=60")
            .arg(arguments.join("="))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && error.contains(words),
            "{arguments:?}: {error}"
        );
    }
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
