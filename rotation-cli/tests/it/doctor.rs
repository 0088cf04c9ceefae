//! `rotation doctor` over a fleet in which every tenant is broken in its own way: every fault is named with its fix, none is
//! invented.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use entra_sim::{App, Effect, Endpoint, Fault, Role, Tenant};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
use serde_json::Value;

use crate::world::World;

fn domain(index: usize) -> String {
    format!("tenant{index:02}.onmicrosoft.com")
}

/// What is broken, and what the one line with ✗ says and proposes.
struct Broken {
    app: App,
    fault: Option<Fault>,
    says: &'static str,
    fix: &'static str,
}

fn broken(app: App, says: &'static str, fix: &'static str) -> Broken {
    Broken {
        app,
        fault: None,
        says,
        fix,
    }
}

fn without(permission: &'static str) -> Broken {
    let app = App::rotation().without_permission(permission);
    broken(app, permission, "grant it in tenant")
}

fn faulty(effect: Effect, endpoint: Endpoint, says: &'static str, fix: &'static str) -> Broken {
    let fault = Some(Fault::new(effect).endpoint(endpoint));
    Broken {
        fault,
        ..broken(App::rotation(), says, fix)
    }
}

fn fleet() -> Vec<Broken> {
    let sign_in = |code, says, fix| faulty(Effect::aadsts(code), Endpoint::Token, says, fix);
    vec![
        without("User-PasswordProfile.ReadWrite.All"),
        without("User.Read.All"),
        without("RoleManagement.Read.Directory"),
        without("GroupMember.Read.All"),
        without("Domain.Read.All"),
        without("PrivilegedEligibilitySchedule.Read.AzureADGroup"),
        broken(
            App::rotation().without_roles(),
            "holds no role that sets passwords",
            "User Administrator",
        ),
        broken(
            App::rotation().without_roles().role(Role::GLOBAL_READER),
            "holds no role that sets passwords",
            "User Administrator",
        ),
        sign_in(
            65_001,
            "no consent in this tenant",
            "/adminconsent?client_id=",
        ),
        sign_in(
            700_016,
            "does not exist in this tenant",
            "/adminconsent?client_id=",
        ),
        sign_in(
            7_000_222,
            "client secret has expired",
            "add a new client secret",
        ),
        sign_in(7_000_215, "client secret is wrong", "not its id"),
        sign_in(53_003, "conditional access", "exclude the app"),
        sign_in(90_002, "tenant does not exist", "`cloud`"),
        faulty(Effect::status(403), Endpoint::Users, "GET", "User.Read.All"),
    ]
}

fn wrongs(list: &Value) -> Vec<&Value> {
    let checks = list["checks"].as_array().unwrap();
    let wrong = checks.iter().filter(|check| check["finding"] == "wrong");
    wrong.collect()
}

fn doctor(world: &World) -> (Option<i32>, Vec<Value>) {
    let output = world.run(&["doctor", "--format", "json"]);
    let lists = serde_json::from_str(&output.stdout);
    (
        output.code,
        lists.unwrap_or_else(|error| panic!("{error}: {output:?}")),
    )
}

#[test]
fn every_fault_of_a_fleet_is_named_with_its_fix_and_none_is_invented() {
    let broken = fleet();
    let well = broken.len();
    let tenants = broken
        .iter()
        .enumerate()
        .map(|(index, one)| Tenant::demo_at(&domain(index), 70).first_app(one.app.clone()));
    let world = World::with(tenants.chain([Tenant::demo_at(&domain(well), 70)]));
    for (index, one) in broken.iter().enumerate() {
        if let Some(fault) = &one.fault {
            world.server.add_fault(fault.clone().tenant(domain(index)));
        }
    }
    let (code, lists) = doctor(&world);
    assert_eq!(code, Some(4));
    assert_eq!(lists.len(), well + 2, "the store and each tenant");
    assert!(wrongs(&lists[0]).is_empty(), "{:#}", lists[0]);
    for (index, one) in broken.iter().enumerate() {
        let list = &lists[index + 1];
        assert_eq!(list["name"], domain(index));
        let wrongs = wrongs(list);
        assert_eq!(wrongs.len(), 1, "{}: {list:#}", one.says);
        let (says, fix) = (wrongs[0]["says"].as_str(), wrongs[0]["fix"].as_str());
        assert!(
            says.is_some_and(|says| says.contains(one.says)),
            "{}: {list:#}",
            one.says
        );
        assert!(
            fix.is_some_and(|fix| fix.contains(one.fix)),
            "{}: {list:#}",
            one.fix
        );
    }
    assert!(wrongs(&lists[well + 1]).is_empty(), "{:#}", lists[well + 1]);
    assert_eq!(world.sets(), 0);
}

#[test]
fn accounts_out_of_reach_are_counted_by_the_role_that_would_do() {
    let world = World::new(100);
    let (code, lists) = doctor(&world);
    assert_eq!(code, Some(3), "{lists:#?}");
    let says: Vec<_> = lists[1]["checks"].as_array().unwrap().iter().collect();
    let has = |finding: &str, part: &str| {
        says.iter().any(|check| {
            check["finding"] == finding && check["says"].as_str().unwrap().contains(part)
        })
    };
    assert!(has("right", "the least that does"), "{says:#?}");
    assert!(
        has("right", "holds User Administrator (active)"),
        "{says:#?}"
    );
    assert!(
        has("unreached", "need Privileged Authentication Administrator"),
        "{says:#?}"
    );
    assert!(
        has("unreached", "a role scoped to the unit: 1 in a restricted"),
        "{says:#?}"
    );
    assert!(has("note", "synced"), "{says:#?}");
    assert!(has("note", "100 accounts in all"), "{says:#?}");
    // the numbers are those of a plan
    let plan = world.json(&["plan", "--format", "json", "-q"]);
    let unreached: u64 = says
        .iter()
        .filter(|check| check["finding"] == "unreached")
        .map(|check| {
            let says = check["says"].as_str().unwrap();
            says.split(' ').next().unwrap().parse::<u64>().unwrap()
        })
        .sum();
    let young = "all that are denied are due in this world";
    assert_eq!(plan["deny"].as_u64(), Some(unreached), "{young}: {says:#?}");
}

#[test]
fn a_permission_that_nothing_needs_is_named_and_one_that_is_too_broad() {
    let app = App::rotation()
        .without_permission("User.Read.All")
        .permission("Directory.ReadWrite.All")
        .permission("Mail.Read");
    let world = World::with([Tenant::demo(100).first_app(app)]);
    let text = world.run(&["doctor"]);
    for part in [
        "· may read the accounts: Directory.ReadWrite.All, where User.Read.All would do",
        "· needs none of Mail.Read",
        "✓ signing in works",
    ] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
}

#[test]
fn a_tenant_that_is_configured_by_id_and_by_domain_is_noticed() {
    let world = World::new(60);
    let text = world.read("rotation.toml");
    let tenant = text.get(text.find("[[tenant]]").unwrap()..).unwrap();
    let twin = tenant.replace(world.tenant.domain(), &world.tenant.id().to_string());
    world.write("rotation.toml", &format!("{text}{twin}"));
    let (code, lists) = doctor(&world);
    assert_eq!(code, Some(4), "{lists:#?}");
    let wrongs = wrongs(&lists[2]);
    assert!(
        wrongs[0]["says"]
            .as_str()
            .unwrap()
            .contains("the same tenant as"),
        "{lists:#?}"
    );
}

/// What the doctor says with this mark in the only tenant, and the fix.
fn said(world: &World, args: &[&str], finding: &str) -> String {
    let output = world.run(&[&["doctor", "--format", "json"], args].concat());
    let lists: Vec<Value> = serde_json::from_str(&output.stdout).unwrap();
    let checks = lists[1]["checks"].as_array().unwrap().iter();
    let found = checks.filter(|check| check["finding"] == finding);
    let says = found.map(|check| format!("{} → {}\n", check["says"], check["fix"]));
    says.collect()
}

#[test]
fn a_clock_that_is_off_is_named_and_is_why_a_certificate_is_refused() {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    let pem = params.self_signed(&key).unwrap().pem();
    let app = App::rotation().secret("s").with_certificate(&pem);
    let world = World::with([Tenant::demo(70).first_app(app)]);
    world.write("both.pem", &format!("{pem}{}", key.serialize_pem()));
    assert!(!said(&world, &[], "note").contains("clock"));
    world.server.advance(Duration::from_secs(3_600));
    let notes = said(&world, &[], "note");
    assert!(notes.contains("this machine's clock is"), "{notes}");
    assert!(notes.contains("behind that of the directory"), "{notes}");
    let secret = world.read("rotation.toml");
    let secret = secret.lines().find(|line| line.starts_with("credential"));
    world.edit(
        secret.unwrap(),
        "credential = { kind = \"certificate\", file = \"both.pem\" }",
    );
    let wrong = said(&world, &[], "wrong");
    assert!(wrong.contains("AADSTS700024"), "{wrong}");
    assert!(wrong.contains("behind that of the directory"), "{wrong}");
}

#[test]
fn a_certificate_that_soon_expires_is_named() {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    for (days, finding, says) in [
        (10, "note", "the certificate expires on 20"),
        (400, "right", "the certificate is good until 20"),
    ] {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        #[expect(
            clippy::disallowed_methods,
            reason = "a certificate is good by this machine's clock"
        )]
        let now = std::time::SystemTime::now();
        params.not_after = (now + Duration::from_secs(days * 86_400)).into();
        let pem = params.self_signed(&key).unwrap().pem();
        let world =
            World::with([Tenant::demo(70).first_app(App::rotation().with_certificate(&pem))]);
        world.write("both.pem", &format!("{pem}{}", key.serialize_pem()));
        let text = world.read("rotation.toml");
        let secret = text.lines().find(|line| line.starts_with("credential"));
        world.edit(
            secret.unwrap(),
            "credential = { kind = \"certificate\", file = \"both.pem\" }",
        );
        let found = said(&world, &[], finding);
        assert!(found.contains(says), "{found}");
    }
}

#[test]
fn passwords_that_expire_before_they_are_rotated_are_named() {
    for (tenant, finding, says) in [
        (
            Tenant::demo(70),
            "right",
            "passwords do not expire by themselves",
        ),
        (
            Tenant::demo(70).password_validity(60),
            "note",
            "expire after 60 days, and are rotated after 90",
        ),
        (
            Tenant::demo(70).password_validity(365),
            "right",
            "expire after 365 days, and are rotated sooner",
        ),
    ] {
        let found = said(&World::with([tenant]), &[], finding);
        assert!(found.contains(says), "{found}");
    }
}

#[test]
fn the_doctor_waits_until_what_was_granted_is_known() {
    let world = World::with([Tenant::demo(70).first_app(App::rotation().without_roles())]);
    let mut command = world.command(&["doctor", "--wait", "2m"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("✗ the caller holds no role"), "{line}");
    line.clear();
    said.read_line(&mut line).unwrap();
    assert!(
        line.starts_with("1 thing to mend: see ✗; looking again until all is well, for "),
        "{line}"
    );
    let app = world.tenant.service_principal_id();
    world
        .tenant
        .grant_role(app, Role::USER_ADMINISTRATOR, None)
        .unwrap();
    let output = crate::world::wait(child);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stdout.contains("a run would work"), "{output:?}");
}

#[test]
fn a_role_that_ends_is_named_with_its_day() {
    for (lasts, finding, says) in [
        ("20d", "note", "User Administrator ends on 20"),
        ("180d", "right", "User Administrator lasts until 20"),
    ] {
        let app = App::new("Password rotation");
        let world = World::with([Tenant::demo(70).first_app(app).app(crate::setup::admin())]);
        crate::setup::name_admin(&world);
        let pim = ["--through", "pim", "--justification", "a test"];
        let setup = [&["setup", "--yes", "--for", lasts], &pim[..]].concat();
        let set_up = world.run(&setup);
        assert_eq!(set_up.code, Some(0), "{set_up:?}");
        let found = said(&world, &[], finding);
        assert!(found.contains(says), "{found}");
    }
}
