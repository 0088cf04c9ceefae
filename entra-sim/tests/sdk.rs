//! Microsoft's own SDKs, unmodified, against the simulator over TLS.
//!
//! `tests/sdk/install.sh` installs them. Without them the tests say so and pass, unless
//! `ROTATION_REQUIRE_SDKS=1` demands them.

#![cfg(feature = "tls")]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic too; clippy spares the test functions only"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use entra_sim::{Config, Role, Server, Tenant};
use serde_json::{Value, json};

const ACCOUNTS: usize = 260;
const UPN: &str = "user000007@contoso.onmicrosoft.com";
const PASSWORD: &str = "Set-by-an-SDK.4711";

/// Where `install.sh` puts the SDKs: beside the test binaries.
fn sdk_folder() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().unwrap_or(tmp).join("sdk")
}

/// The path, or `None` with a loud note if it was not installed.
fn installed(part: &str) -> Option<PathBuf> {
    let path = sdk_folder().join(part);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("ROTATION_REQUIRE_SDKS").is_some_and(|value| value == "1");
    assert!(
        !required,
        "{} is missing: run tests/sdk/install.sh",
        path.display()
    );
    // The harness captures `eprintln!` of tests that pass; this goes past it.
    let note = format!(
        "skipped: {} is missing, run tests/sdk/install.sh\n",
        path.display()
    );
    std::io::stderr().write_all(note.as_bytes()).unwrap();
    None
}

fn start() -> (Server, PathBuf) {
    let server =
        Server::start_blocking(Config::default().tenant(Tenant::demo(ACCOUNTS)).tls()).unwrap();
    let port = server.base_url().rsplit(':').next().unwrap();
    let ca_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ca-{port}.pem"));
    std::fs::write(&ca_file, server.ca_pem().unwrap()).unwrap();
    (server, ca_file)
}

fn setup(server: &Server) -> Value {
    let tenant = server.tenant();
    json!({
        "base": server.base_url(),
        "tenant": tenant.id(),
        "client_id": tenant.client_id(),
        "client_secret": tenant.client_secret(),
    })
}

/// The setup with more members.
fn with(mut setup: Value, more: Value) -> Value {
    let members = setup.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    setup
}

/// Runs a script with the setup on its standard input and parses what it prints.
fn run(mut command: Command, script: &str, setup: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sdk")
        .join(script);
    let mut child = command
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = setup.to_string();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs `token.js` with Node.
fn node(modules: &Path, ca_file: &Path, setup: &Value) -> Value {
    let mut command = Command::new("node");
    command
        .env("NODE_EXTRA_CA_CERTS", ca_file)
        .env("NODE_PATH", modules);
    run(command, "token.js", setup)
}

#[test]
fn the_python_sdk_lists_users_and_sets_a_password_that_the_node_sdk_signs_in_with() {
    let (Some(python), Some(modules)) = (installed("venv/bin/python"), installed("node_modules"))
    else {
        return;
    };
    let (server, ca_file) = start();
    let user = server.tenant().user(UPN).unwrap();
    let mut command = Command::new(python);
    command
        .env("REQUESTS_CA_BUNDLE", &ca_file)
        .env("SSL_CERT_FILE", &ca_file);
    let change = json!({"upn": UPN, "password": PASSWORD});
    let answer = run(command, "graph.py", &with(setup(&server), change));
    assert_eq!(answer["listed"], ACCOUNTS);
    assert_eq!(server.tenant().password_sets(user.id), 1);

    let sign_in = |password: &str| {
        let user = json!({"username": UPN, "password": password});
        node(&modules, &ca_file, &with(setup(&server), user))
    };
    assert_eq!(sign_in(PASSWORD)["upn"], UPN);
    let refusal = sign_in(&user.initial_password.unwrap());
    let refusal = refusal["refused"].as_str().unwrap();
    assert!(refusal.contains("AADSTS50126"), "{refusal}");
}

#[test]
fn the_node_sdk_gets_a_token_that_shows_permissions_and_roles() {
    let Some(modules) = installed("node_modules") else {
        return;
    };
    let (server, ca_file) = start();
    let claims = node(&modules, &ca_file, &setup(&server));
    let tenant = server.tenant();
    assert_eq!(claims["appid"], tenant.client_id().to_string());
    assert_eq!(claims["tid"], tenant.id().to_string());
    let wids = claims["wids"].as_array().unwrap();
    assert!(wids.contains(&json!(Role::USER_ADMINISTRATOR)));
    let roles = claims["roles"].as_array().unwrap();
    assert!(roles.contains(&json!("User.Read.All")));
}
