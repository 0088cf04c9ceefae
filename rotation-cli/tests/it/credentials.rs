//! Every way to sign in, as configured and as the environment says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entra_sim::{App, Config, Role, Server, Tenant, User};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
use serde_json::{Value, json};

use crate::leak::assert_is_silent;
use crate::world::{Output, SECRET_VARIABLE, World, output};

const ISSUER: &str = "https://gitlab.example";
const SUBJECT: &str = "project_path:contoso/ops:ref_type:branch:ref:main";
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// All that is looked for where the configuration names no credential.
const VARIABLES: [&str; 9] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "SYSTEM_ACCESSTOKEN",
    "SYSTEM_OIDCREQUESTURI",
];

/// A service connection of Azure Pipelines.
const CONNECTION: &str = "11111111-2222-3333-4444-555555555555";

const PASSPHRASE: &str = "open sesame";
const PFX: &[u8] = include_bytes!("../../../backend-graph/tests/pfx/aes.pfx");

/// A tenant whose app has a certificate and trusts an issuer; both proofs lie in the directory.
fn world(accounts: usize) -> (World, KeyPair) {
    let (key, issuer) = (rsa(), rsa());
    let pem = certificate(&key, 2100);
    let app = App::rotation()
        .with_certificate(&pem)
        .with_federated_credential(ISSUER, SUBJECT, AUDIENCE, issuer.public_key_pem());
    let tenant = Tenant::demo(accounts).first_app(app);
    let world = World::of(Server::start_blocking(Config::default().tenant(tenant)).unwrap());
    world.write("cert.pem", &pem);
    world.write("key.pem", &key.serialize_pem());
    world.write("both.pem", &format!("{pem}{}", key.serialize_pem()));
    world.write("token", &token(&issuer));
    (world, key)
}

fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

fn certificate(key: &KeyPair, until: i32) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params.self_signed(key).unwrap().pem()
}

fn token(key: &KeyPair) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator goes by the same clock"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let claims =
        json!({"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "exp": now.as_secs() + 900});
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(json!({"alg": "RS256"})), part(claims));
    let key = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    let random = SystemRandom::new();
    key.sign(
        &RSA_PKCS1_SHA256,
        &random,
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Configures `credential`, or none.
fn configure(world: &World, credential: &str) {
    let text = world.read("rotation.toml");
    let lines = text.lines().map(|line| {
        match line.starts_with("credential") || line.starts_with("# no credential") {
            true if credential.is_empty() => "# no credential".to_owned(),
            true => format!("credential = {credential}"),
            false => line.to_owned(),
        }
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    world.write("rotation.toml", &text);
}

fn plan(world: &World, variables: &[(&str, &str)]) -> Output {
    let mut command = world.command(&["plan"]);
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
        .env_remove(SECRET_VARIABLE)
        .envs(variables.iter().copied());
    output(command)
}

#[test]
fn every_kind_of_credential_signs_in_as_configured() {
    let (world, _) = world(20);
    let (both, token) = (world.read("both.pem"), world.read("token"));
    for (credential, variables) in [
        ("{ kind = \"certificate\", file = \"both.pem\" }", vec![]),
        (
            "{ kind = \"certificate\", file = \"cert.pem\", key_file = \"key.pem\" }",
            vec![],
        ),
        (
            "{ kind = \"certificate\", env = \"PEM\" }",
            vec![("PEM", both.as_str())],
        ),
        ("{ kind = \"federated\", file = \"token\" }", vec![]),
        (
            "{ kind = \"federated\", env = \"TOKEN\" }",
            vec![("TOKEN", token.as_str())],
        ),
    ] {
        configure(&world, credential);
        let planned = plan(&world, &variables);
        assert_eq!(planned.code, Some(0), "{credential}: {planned:?}");
        assert!(!planned.stderr.contains("signing in with"), "{planned:?}");
    }
}

#[test]
fn a_credential_that_cannot_work_is_refused_before_anything_is_sent() {
    let (world, key) = world(20);
    let other = rsa();
    world.write("other.pem", &other.serialize_pem());
    world.write(
        "old.pem",
        &format!("{}{}", certificate(&key, 2021), key.serialize_pem()),
    );
    let encrypted = key.serialize_pem().replace("PRIVATE", "ENCRYPTED PRIVATE");
    world.write(
        "locked.pem",
        &format!("{}{encrypted}", world.read("cert.pem")),
    );
    std::fs::write(world.path("app.pfx"), PFX).unwrap();
    for (credential, words, fix) in [
        (
            "{ kind = \"certificate\", file = \"none.pem\" }",
            "cannot read the certificate",
            "",
        ),
        (
            "{ kind = \"certificate\", file = \"key.pem\" }",
            "found no certificate",
            "`key_file`",
        ),
        (
            "{ kind = \"certificate\", file = \"cert.pem\" }",
            "found no private key",
            "`key_file`",
        ),
        (
            "{ kind = \"certificate\", file = \"cert.pem\", key_file = \"other.pem\" }",
            "the private key does not belong to the certificate",
            "that the certificate was made with",
        ),
        (
            "{ kind = \"certificate\", file = \"locked.pem\" }",
            "the private key is encrypted",
            "openssl pkey",
        ),
        (
            "{ kind = \"certificate\", file = \"old.pem\" }",
            "the certificate expired on 2021-01-01 00:00 UTC",
            "",
        ),
        (
            "{ kind = \"certificate\", file = \"app.pfx\", passphrase_file = \"token\" }",
            "the PKCS #12 file (.pfx) cannot be opened",
            "check the passphrase",
        ),
        (
            "{ kind = \"certificate\", file = \"app.pfx\", passphrase_env = \"NOT_SET\" }",
            "the environment variable NOT_SET with the passphrase of the certificate",
            "from the secrets of your CI",
        ),
        (
            "{ kind = \"federated\", azure_pipelines = \"11111111-2222-3333-4444-555555555555\" }",
            "SYSTEM_OIDCREQUESTURI and SYSTEM_ACCESSTOKEN are not set",
            "$(System.AccessToken)",
        ),
        (
            "{ kind = \"federated\", env = \"NOT_SET\" }",
            "NOT_SET",
            "from the secrets of your CI",
        ),
        (
            "{ kind = \"federated\", github = true }",
            "ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not set",
            "`permissions: id-token: write`",
        ),
        (
            "",
            "looked for AZURE_FEDERATED_TOKEN_FILE, ACTIONS_ID_TOKEN_REQUEST_URL with \
             ACTIONS_ID_TOKEN_REQUEST_TOKEN, SYSTEM_OIDCREQUESTURI with SYSTEM_ACCESSTOKEN and \
             AZURESUBSCRIPTION_SERVICE_CONNECTION_ID, AZURE_CLIENT_CERTIFICATE_PATH and AZURE_CLIENT_SECRET",
            "add `credential`",
        ),
    ] {
        configure(&world, credential);
        let planned = plan(&world, &[]);
        assert_eq!(planned.code, Some(2), "{credential}: {planned:?}");
        let said = folded(&planned.stderr);
        for words in [words, fix, "rotation.toml:"] {
            assert!(said.contains(words), "{credential}: {words}: {said}");
        }
    }
    assert_eq!(world.server.totals().requests, 0);
}

/// Without the frame and the line ends of an error.
fn folded(text: &str) -> String {
    let words = text
        .split_whitespace()
        .filter(|word| !["│", "·"].contains(word));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn without_a_credential_the_environment_says_and_the_choice_is_shown() {
    let (world, _) = world(20);
    configure(&world, "");
    let token = world.read("token");
    let github = answering(json!({"value": token}).to_string());
    let path = |name: &str| world.path(name).display().to_string();
    let pipelines = answering(json!({"oidcToken": token}).to_string());
    let all = [
        ("AZURE_FEDERATED_TOKEN_FILE", path("token")),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{github}/?v=1")),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token".to_owned()),
        ("SYSTEM_OIDCREQUESTURI", format!("{pipelines}/")),
        ("SYSTEM_ACCESSTOKEN", "request-token".to_owned()),
        (
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
            CONNECTION.to_owned(),
        ),
        ("AZURE_CLIENT_CERTIFICATE_PATH", path("both.pem")),
        (
            "AZURE_CLIENT_SECRET",
            world.tenant.client_secret().to_owned(),
        ),
    ];
    for (first, shown) in [
        (
            0,
            "with the federated token named by AZURE_FEDERATED_TOKEN_FILE",
        ),
        (1, "with the token that GitHub Actions gives this job"),
        (2, "with the token that Azure Pipelines gives this job"),
        (3, "with the token that Azure Pipelines gives this job"),
        (
            4,
            "with the certificate named by AZURE_CLIENT_CERTIFICATE_PATH",
        ),
        (
            5,
            "with the certificate named by AZURE_CLIENT_CERTIFICATE_PATH",
        ),
        (7, "with the client secret in AZURE_CLIENT_SECRET"),
    ] {
        let variables: Vec<_> = all[first..]
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let planned = plan(&world, &variables);
        assert_eq!(planned.code, Some(0), "{shown}: {planned:?}");
        assert_eq!(planned.stderr.matches("signing in with").count(), 1);
        assert!(planned.stderr.contains(shown), "{shown}: {planned:?}");
    }
    let planned = plan(&world, &[("AZURE_CLIENT_CERTIFICATE_PATH", "no.pem")]);
    assert_eq!(planned.code, Some(2), "{planned:?}");
    let said = folded(&planned.stderr);
    assert!(said.contains("named by AZURE_CLIENT_CERTIFICATE_PATH cannot be read from no.pem"));
}

#[test]
fn a_machine_of_azure_signs_in_with_its_managed_identity() {
    let (world, _) = world(20);
    let id = world.tenant.client_id().to_string();
    configure(
        &world,
        &format!("{{ kind = \"managed-identity\", client_id = \"{id}\" }}"),
    );
    let granted = granted(&world);
    // its numbers are strings: <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
    let answer = json!({
        "access_token": granted["access_token"], "expires_on": "4102444800", "resource": "x", "token_type": "Bearer",
    });
    let endpoint = answering(answer.to_string());
    let refusing = answering_with(
        "400 Bad Request",
        json!({"error": "invalid_request", "error_description": "Identity not found"}).to_string(),
    );
    for (endpoint, code, words) in [
        (endpoint.as_str(), 0, ""),
        (
            refusing.as_str(),
            4,
            "this machine has no such managed identity (HTTP 400)",
        ),
        (
            "http://127.0.0.1:1",
            4,
            "no endpoint for managed identities answers at http://127.0.0.1:1",
        ),
    ] {
        let planned = plan(
            &world,
            &[("IDENTITY_ENDPOINT", endpoint), ("IDENTITY_HEADER", "x")],
        );
        assert_eq!(planned.code, Some(code), "{endpoint}: {planned:?}");
        let said = folded(&format!("{}{}", planned.stderr, planned.stdout));
        assert!(said.contains(words), "{said}");
    }
}

/// A tenant whose app has the certificate of the PFX.
fn world_of_pfx(accounts: usize) -> World {
    let opened = Command::new("openssl")
        .args([
            "pkcs12",
            "-nokeys",
            "-clcerts",
            "-passin",
            &format!("pass:{PASSPHRASE}"),
            "-in",
        ])
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../backend-graph/tests/pfx/aes.pfx"
        ))
        .output()
        .unwrap();
    let app = App::rotation().with_certificate(String::from_utf8(opened.stdout).unwrap());
    let tenant = Tenant::demo(accounts).first_app(app);
    World::of(Server::start_blocking(Config::default().tenant(tenant)).unwrap())
}

#[test]
fn a_pfx_signs_in_with_its_passphrase() {
    let world = world_of_pfx(20);
    std::fs::write(world.path("app.pfx"), PFX).unwrap();
    world.write("passphrase", "open sesame\n");
    for (credential, variables) in [
        (
            "{ kind = \"certificate\", file = \"app.pfx\", passphrase_file = \"passphrase\" }",
            vec![],
        ),
        (
            "{ kind = \"certificate\", file = \"app.pfx\", passphrase_env = \"P\" }",
            vec![("P", "open sesame")],
        ),
        (
            "",
            vec![
                ("AZURE_CLIENT_CERTIFICATE_PATH", "app.pfx"),
                ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "open sesame"),
            ],
        ),
    ] {
        configure(&world, credential);
        let planned = plan(&world, &variables);
        assert_eq!(planned.code, Some(0), "{credential}: {planned:?}");
        assert!(!planned.stderr.contains("sesame"), "{planned:?}");
    }
}

#[test]
fn a_job_of_azure_pipelines_signs_in_with_its_token() {
    let (world, _) = world(20);
    configure(
        &world,
        &format!("{{ kind = \"federated\", azure_pipelines = \"{CONNECTION}\" }}"),
    );
    let right = answering(json!({"oidcToken": world.read("token")}).to_string());
    let wrong = answering_with("401 Unauthorized", String::new());
    for (endpoint, code, words) in [
        (right, 0, ""),
        (
            wrong,
            4,
            "Azure Pipelines gives this job no token (HTTP 401)",
        ),
    ] {
        let planned = plan(
            &world,
            &[
                ("SYSTEM_OIDCREQUESTURI", &endpoint),
                ("SYSTEM_ACCESSTOKEN", "request-token"),
            ],
        );
        assert_eq!(planned.code, Some(code), "{planned:?}");
        let said = folded(&format!("{}{}", planned.stderr, planned.stdout));
        assert!(said.contains(words), "{said}");
    }
}

/// A program in the place of `az`: what it was asked for, and what it answers.
#[cfg(unix)]
#[test]
fn whoever_signed_in_to_the_azure_cli_is_who_acts() {
    use std::os::unix::fs::PermissionsExt as _;

    let (world, _) = world(20);
    configure(&world, "{ kind = \"azure-cli\" }");
    let id = world.tenant.client_id().to_string();
    world.edit(&format!("client_id = \"{id}\"\n"), "");
    let token = granted(&world)["access_token"].as_str().unwrap().to_owned();
    let answer =
        json!({"accessToken": token, "expires_on": 4_102_444_800_u64, "tokenType": "Bearer"});
    let asked = world.path("asked").display().to_string();
    std::fs::create_dir(world.path("bin")).unwrap();
    let program = |text: &str| {
        let path = world.path("bin/az");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let path = format!("{}:/usr/bin:/bin", world.path("bin").display());

    program(&format!("echo \"$@\" >>{asked}\necho '{answer}'"));
    let planned = plan(&world, &[("PATH", &path)]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let asked = world.read("asked");
    // once, however many requests there were
    let scope = format!("{}/.default", world.server.base_url());
    let domain = world.tenant.domain();
    assert_eq!(
        asked.trim(),
        format!("account get-access-token -o json --scope {scope} --tenant {domain}")
    );

    program("echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1");
    for (path, words) in [
        (path.as_str(), "Please run 'az login' to setup account."),
        ("/usr/bin:/bin", "through the Azure CLI failed"),
    ] {
        let planned = plan(&world, &[("PATH", path)]);
        assert_eq!(planned.code, Some(4), "{planned:?}");
        let said = folded(&format!("{}{}", planned.stderr, planned.stdout));
        assert!(
            said.contains(words) && said.contains("az login --tenant"),
            "{said}"
        );
    }
}

#[test]
fn a_person_signs_in_with_the_code_that_is_shown() {
    let domain = "contoso.onmicrosoft.com";
    let permissions = [
        "User-PasswordProfile.ReadWrite.All",
        "User.Read.All",
        "RoleManagement.Read.Directory",
        "GroupMember.Read.All",
        "AdministrativeUnit.Read.All",
        "Domain.Read.All",
        "PrivilegedEligibilitySchedule.Read.AzureADGroup",
    ];
    let app = App::new("Rotation by people").public_client();
    let app = permissions.into_iter().fold(app, App::delegated_permission);
    let grace = User::new(format!("grace@{domain}"))
        .role(Role::USER_ADMINISTRATOR)
        .role(Role::GLOBAL_READER);
    let tenant = Tenant::demo(60).first_app(app).user(grace);
    let world = World::of(Server::start_blocking(Config::default().tenant(tenant)).unwrap());
    configure(&world, "{ kind = \"device-code\" }");
    let mut command = world.command(&["apply", "--format", "json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("enter the code") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "no code was shown");
    }
    assert!(
        line.contains("to sign in to tenant contoso.onmicrosoft.com, open http://"),
        "{line}"
    );
    let code = line.trim().rsplit(' ').next().unwrap();
    let grace = world.tenant.user(&format!("grace@{domain}")).unwrap();
    assert!(world.tenant.approve_sign_in(code, grace.id), "{line}");
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let applied = crate::world::wait(child);
    let report: Value = serde_json::from_str(&applied.stdout).unwrap();
    assert!(report["rotated"].as_u64() > Some(10), "{report} {rest}");
    // Grace may rotate others, and not herself
    assert_eq!(
        world
            .tenant
            .user(&format!("grace@{domain}"))
            .unwrap()
            .password_sets,
        0
    );
    world.assert_no_password_is_lost();
}

/// What the simulator grants the app for its secret.
fn granted(world: &World) -> Value {
    let address = world.server.base_url().strip_prefix("http://").unwrap();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
        world.tenant.client_id(),
        world.tenant.client_secret()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /{}/oauth2/v2.0/token HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        world.tenant.id(),
        form.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn answering(body: String) -> String {
    answering_with("200 OK", body)
}

/// A server that gives everybody this answer.
fn answering_with(status: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // a request without a body is small and comes in one piece
            drop(stream.read(&mut [0; 16 << 10]));
            drop(write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            ));
        }
    });
    address
}

#[test]
fn silent_about_the_passphrase_of_a_pfx() {
    let world = world_of_pfx(300);
    let outside = tempfile::tempdir().unwrap();
    let at = |name: &str| outside.path().join(name);
    std::fs::write(at("app.pfx"), PFX).unwrap();
    std::fs::write(at("passphrase"), PASSPHRASE).unwrap();
    configure(
        &world,
        &format!(
            "{{ kind = \"certificate\", file = \"{}\", passphrase_file = \"{}\" }}",
            at("app.pfx").display(),
            at("passphrase").display()
        ),
    );
    assert_is_silent(&world, &[PASSPHRASE], Vec::new);
}

#[test]
fn silent_about_a_certificate_key_and_a_federated_token() {
    for credential in [
        "{ kind = \"certificate\", file = \"both.pem\" }",
        "{ kind = \"federated\", file = \"token\" }",
    ] {
        let (world, key) = world(300);
        let (line, token) = (
            key.serialize_pem().lines().nth(5).unwrap().to_owned(),
            world.read("token"),
        );
        let outside = tempfile::tempdir().unwrap();
        for name in ["both.pem", "cert.pem", "key.pem", "token"] {
            std::fs::rename(world.path(name), outside.path().join(name)).unwrap();
        }
        let away = |name: &str| Path::display(&outside.path().join(name)).to_string();
        let credential = credential
            .replace("both.pem", &away("both.pem"))
            .replace("\"token\"", &format!("\"{}\"", away("token")));
        configure(&world, &credential);
        assert_is_silent(&world, &[&line, &token], Vec::new);
    }
}
