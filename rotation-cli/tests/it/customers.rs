//! A partner's customers as tenants.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use entra_sim::{
    App, Config, Effect, Endpoint, Fault, Group, Relationship, Role, Server, Tenant, TenantHandle,
    User,
};
use serde_json::Value;
use uuid::Uuid;

use crate::world::{Output, World, wait};

const APP: Uuid = Uuid::from_u128(0x9a97);
const PARTNER: &str = "partner.example";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn domain(index: usize) -> String {
    format!("customer{index}.example")
}

fn tenant(world: &World, domain: &str) -> TenantHandle {
    let mut tenants = world.server.tenants().into_iter();
    tenants.find(|tenant| tenant.domain() == domain).unwrap()
}

fn sets(world: &World, domain: &str) -> u64 {
    let users = tenant(world, domain).users();
    users.iter().map(|user| user.password_sets).sum()
}

/// The one without consent.
const UNCONSENTED: usize = 5;

/// A partner with six customers by contract.
fn contracts() -> World {
    let app = || App::rotation().client_id(APP).secret("one-for-all");
    let partner = (1..=6).fold(Tenant::demo_at(PARTNER, 70), |partner, index| {
        partner.customer(domain(index))
    });
    let partner = partner.first_app(app().permission("Directory.Read.All"));
    let customers = (1..=6).map(|index| {
        let customer =
            Tenant::demo_at(&domain(index), 70).display_name(format!("Customer {index}"));
        customer.first_app(match index {
            UNCONSENTED => App::rotation(),
            _ => app(),
        })
    });
    let config = Config::default().tenant(partner).tenants(customers);
    let world = World::of(Server::start_blocking(config).unwrap());
    let url = world.server.base_url();
    let text = world.read("rotation.toml")
        + "[tenant.customers]\nfrom = \"contracts\"\nexclude = [\"customer 6*\"]\nonly = false\n"
        + &format!(
            "[[tenant]]\nid = \"{}\"\nclient_id = \"{APP}\"\n\
             credential = {{ kind = \"client-secret\", file = \"client-secret.txt\" }}\n\
             cloud = {{ authority = \"{url}\", graph = \"{url}\" }}\n\
             [tenant.policy]\nlength = 40\n",
            domain(3)
        );
    world.write("rotation.toml", &text);
    world
}

fn by_name(summary: &Value) -> BTreeMap<String, &Value> {
    let tenants = summary["tenants"].as_array().unwrap().iter();
    tenants
        .map(|tenant| (tenant["name"].as_str().unwrap().to_owned(), tenant))
        .collect()
}

#[test]
fn one_run_rotates_all_customers_and_leaves_alone_what_is_configured_otherwise() {
    let world = contracts();
    let reviewed = world.run(&["plan", "--out", "plan.json"]);
    assert_eq!(reviewed.code, Some(3), "one gave no consent: {reviewed:?}");
    assert_eq!(world.sets(), 0);
    let applied = world.run(&["apply", "plan.json", "--format", "json"]);
    assert_eq!(applied.code, Some(3), "{applied:?}");
    let summary: Value = serde_json::from_str(&applied.stdout).unwrap();
    let tenants = by_name(&summary);
    let names: Vec<_> = tenants.keys().map(String::as_str).collect();
    let expected = [1, 2, 3, 4, 5].map(domain);
    let expected: Vec<_> = expected
        .iter()
        .map(String::as_str)
        .chain([PARTNER])
        .collect();
    assert_eq!(names, expected);
    for (name, tenant) in &tenants {
        let rotated = tenant["rotated"].as_u64().unwrap();
        assert_eq!(rotated > 20, *name != domain(UNCONSENTED), "{tenant}");
        assert_eq!(rotated, sets(&world, name), "{tenant}");
    }
    assert_eq!(sets(&world, &domain(6)), 0);
    // it is told where its administrator consents
    let obstacle = &tenants[&domain(UNCONSENTED)]["obstacles"][0];
    let link = format!(
        "/{}/adminconsent?client_id={APP}",
        tenant_id(&world, &domain(UNCONSENTED))
    );
    assert!(
        obstacle["fix"].as_str().unwrap().contains(&link),
        "{obstacle}"
    );

    // the one that is configured itself, by a domain, by its own policy
    let mut lengths = BTreeSet::new();
    for revealed in world.reveal(&[]) {
        let domain = revealed.upn.split('@').nth(1).unwrap().to_owned();
        lengths.insert((domain == self::domain(3), revealed.password.len()));
    }
    assert_eq!(lengths, BTreeSet::from([(false, 24), (true, 40)]));
    world.assert_no_password_is_lost();

    // the store knows GUIDs, and so does whoever lists customers
    // and the third and the last are configured by their domains
    for (index, code) in [(1, 0), (3, 2), (5, 0), (6, 2)] {
        let status = world.run(&["status", "--shard", &format!("{index}/6")]);
        assert_eq!(status.code, Some(code), "{index}: {status:?}");
    }
}

fn tenant_id(world: &World, domain: &str) -> String {
    tenant(world, domain).id().to_string()
}

/// The tenants that a plan looks at.
fn planned(world: &World, args: &[&str]) -> BTreeSet<String> {
    let plan = world.json(&[&["plan", "--format", "json"], args].concat());
    let tenants = plan["tenants"].as_array().unwrap().iter();
    let ids: BTreeSet<_> = tenants.map(|one| one["tenant"].as_str().unwrap()).collect();
    let all = world.server.tenants();
    let of = all
        .iter()
        .filter(|one| ids.contains(one.id().to_string().as_str()));
    of.map(|one| one.domain().to_owned()).collect()
}

fn lists_read(world: &World) -> usize {
    let requests = world.server.requests();
    let of_lists = |endpoint| endpoint == Endpoint::Contracts;
    requests.iter().filter(|one| of_lists(one.endpoint)).count()
}

#[test]
fn customers_are_named_included_and_sharded_like_tenants() {
    let world = contracts();
    let all = [1, 2, 3, 4]
        .map(domain)
        .into_iter()
        .chain([PARTNER.to_owned()]);
    let all: BTreeSet<_> = all.collect();
    assert_eq!(planned(&world, &[]), all);
    let mut sharded = Vec::new();
    for index in 1..=3 {
        sharded.extend(planned(&world, &["--shard", &format!("{index}/3")]));
    }
    assert_eq!(sharded.len(), all.len(), "each once: {sharded:?}");
    assert_eq!(sharded.into_iter().collect::<BTreeSet<_>>(), all);

    let one = BTreeSet::from([domain(1)]);
    assert_eq!(planned(&world, &["--tenant", &domain(1)]), one);
    let id = tenant_id(&world, &domain(1)).to_uppercase();
    assert_eq!(planned(&world, &["--tenant", &id]), one);
    let before = lists_read(&world);
    assert!(before > 0);
    assert_eq!(planned(&world, &["--tenant", PARTNER]).len(), 1);
    assert_eq!(lists_read(&world), before, "no list was needed");
    let excluded = world.run(&["plan", "--tenant", &domain(6)]);
    assert_eq!(excluded.code, Some(2), "{excluded:?}");
    assert!(
        excluded.stderr.contains("no tenant `customer6.example`"),
        "{excluded:?}"
    );

    world.edit(
        "exclude = [\"customer 6*\"]\nonly = false",
        "include = [\"CUSTOMER?.example\", \"*2.example\"]\nonly = true",
    );
    let some = [domain(2), domain(3)];
    assert_eq!(planned(&world, &[]), BTreeSet::from(some));
    // named by its GUID it is the one that is configured, too
    let id = tenant_id(&world, &domain(3));
    world.edit(
        "include = [\"CUSTOMER?.example\", \"*2.example\"]\nonly = true",
        "include = [\"*3*\"]",
    );
    let planned = world.json(&["plan", "--format", "json"]);
    let tenants = planned["tenants"].as_array().unwrap();
    let third = tenants.iter().filter(|one| one["tenant"] == id.as_str());
    assert_eq!(third.count(), 1, "{planned}");
}

#[test]
fn a_list_that_cannot_be_read_ends_the_customers_alone() {
    let world = contracts();
    world
        .server
        .add_fault(Fault::new(Effect::status(403)).endpoint(Endpoint::Contracts));
    let applied = world.run(&["apply", "--format", "json"]);
    assert_eq!(applied.code, Some(3), "{applied:?}");
    let summary: Value = serde_json::from_str(&applied.stdout).unwrap();
    let tenants = by_name(&summary);
    assert_eq!(tenants.len(), 3, "{summary}");
    for name in [PARTNER, &domain(3)] {
        assert!(tenants[name]["rotated"].as_u64() > Some(20), "{summary}");
    }
    let list = &tenants[&format!("customers of {PARTNER}")]["obstacles"][0];
    let (problem, fix) = (
        list["problem"].as_str().unwrap(),
        list["fix"].as_str().unwrap(),
    );
    assert!(
        problem.contains("cannot list the partner's contracts"),
        "{list}"
    );
    assert!(fix.contains("Directory.Read.All"), "{list}");
    assert_eq!(
        world.sets(),
        sets(&world, PARTNER) + sets(&world, &domain(3))
    );

    let one = world.run(&["plan", "--tenant", &domain(1)]);
    assert_eq!(one.code, Some(4), "{one:?}");
    assert!(one.stderr.contains("Directory.Read.All"), "{one:?}");
    world.edit("only = false", "only = true");
    let partner = world.run(&["plan", "--tenant", PARTNER]);
    assert_eq!(partner.code, Some(4), "it is none to work in: {partner:?}");
    let doctor = world.run(&["doctor"]);
    assert_eq!(doctor.code, Some(4), "{doctor:?}");
    assert!(
        doctor
            .stdout
            .contains("✗ the customers of partner.example are not known"),
        "{doctor:?}"
    );
}

#[test]
fn who_has_no_customers_is_asked_for_none() {
    let world = World::with((1..=2).map(|index| Tenant::demo_at(&domain(index), 20)));
    assert_eq!(world.run(&["plan"]).code, Some(0));
    let requests = world.server.requests();
    let needless = [Endpoint::Contracts, Endpoint::Discovery];
    assert!(!requests.iter().any(|one| needless.contains(&one.endpoint)));
}

#[test]
fn the_doctor_waits_for_a_list_as_for_anything_else() {
    let world = contracts();
    world.edit(
        "exclude = [\"customer 6*\"]\nonly = false",
        "include = [\"customer 1\"]\nonly = true",
    );
    let unread = Fault::new(Effect::status(403)).endpoint(Endpoint::Contracts);
    world.server.add_fault(unread.once());
    let doctor = world.run(&["doctor", "--wait", "2m"]);
    assert_eq!(
        doctor.code,
        Some(3),
        "administrators are out of reach: {doctor:?}"
    );
    assert!(doctor.stderr.contains("1 thing to mend"), "{doctor:?}");
    assert!(!doctor.stdout.contains('✗'), "{doctor:?}");
    let heading = format!("{}\n", domain(1));
    assert!(doctor.stdout.contains(&heading), "{doctor:?}");
}

#[test]
fn a_customer_that_might_be_configured_otherwise_is_left_alone() {
    let world = contracts();
    // which tenants they are that are configured by a domain is not told
    let untold = Fault::new(Effect::status(403)).endpoint(Endpoint::Discovery);
    world.server.add_fault(untold);
    let applied = world.run(&["apply", "--format", "json"]);
    assert_eq!(applied.code, Some(3), "{applied:?}");
    let summary: Value = serde_json::from_str(&applied.stdout).unwrap();
    let names: Vec<_> = by_name(&summary).into_keys().collect();
    let list = format!("customers of {PARTNER}");
    assert_eq!(names, [domain(3), list, PARTNER.to_owned()]);
    assert_eq!(
        world.sets(),
        sets(&world, PARTNER) + sets(&world, &domain(3))
    );
}

#[test]
fn the_doctor_does_not_call_what_the_list_takes_too_much() {
    let world = contracts();
    let doctor = world.run(&["doctor", "--tenant", PARTNER]);
    assert!(!doctor.stdout.contains("remove them"), "{doctor:?}");
    world.edit(
        "[tenant.customers]\nfrom = \"contracts\"\nexclude = [\"customer 6*\"]\nonly = false\n",
        "",
    );
    let doctor = world.run(&["doctor", "--tenant", PARTNER]);
    assert!(
        doctor.stdout.contains("needs none of Directory.Read.All"),
        "{doctor:?}"
    );
}

const LASTING: usize = 1;
const ENDING: usize = 2;
const ENDED: usize = 3;
const OF_OTHERS: usize = 4;

/// A partner that has relationships with its customers, and tess, who signs in.
fn gdap() -> World {
    let app = || {
        [
            "User-PasswordProfile.ReadWrite.All",
            "User.Read.All",
            "RoleManagement.Read.Directory",
            "GroupMember.Read.All",
            "AdministrativeUnit.Read.All",
            "Domain.Read.All",
            "PrivilegedEligibilitySchedule.Read.AzureADGroup",
            "DelegatedAdminRelationship.Read.All",
        ]
        .into_iter()
        .fold(App::new("By people"), App::delegated_permission)
        .public_client()
        .client_id(APP)
    };
    let tess = format!("tess@{PARTNER}");
    let relationship = |index: usize| {
        let group = if index == OF_OTHERS {
            "Others"
        } else {
            "Technicians"
        };
        let given = Relationship::new(domain(index), group)
            .role(Role::USER_ADMINISTRATOR)
            .role(Role::GLOBAL_READER);
        match index {
            ENDING => given.lasting(13 * DAY - Duration::from_secs(3600)),
            ENDED => given.ended(),
            _ => given,
        }
    };
    let partner = Tenant::new(PARTNER)
        .app(app())
        .user(User::new(&tess).role(Role::DIRECTORY_READERS))
        .group(Group::new("Technicians").member(&tess))
        .group(Group::new("Others"));
    let partner = (1..=5)
        .map(relationship)
        .fold(partner, Tenant::relationship);
    let customers = (1..=5).map(|index| {
        let customer = Tenant::demo_at(&domain(index), 60);
        customer.first_app(match index {
            UNCONSENTED => App::rotation(),
            _ => app(),
        })
    });
    let config = Config::default().tenant(partner).tenants(customers);
    let world = World::of(Server::start_blocking(config).unwrap());
    let text = world.read("rotation.toml").replace(
        "credential = { kind = \"client-secret\", env = \"ROTATION_TEST_SECRET\" }",
        "credential = { kind = \"device-code\" }",
    );
    world.write(
        "rotation.toml",
        &(text + "[tenant.customers]\nfrom = \"gdap\"\nonly = true\n"),
    );
    world
}

/// What `rotation` says to tess, who approves the first code that she is shown.
fn run_as_tess(world: &World, args: &[&str]) -> Output {
    let mut command = world.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut stderr = String::new();
    let code = loop {
        let mut line = String::new();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "no code: {stderr}");
        stderr.push_str(&line);
        if line.contains("enter the code") {
            break line.trim().rsplit(' ').next().unwrap().to_owned();
        }
    };
    let tess = world.tenant.user(&format!("tess@{PARTNER}")).unwrap();
    assert!(world.tenant.approve_sign_in(&code, tess.id), "{stderr}");
    said.read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr.matches("enter the code").count(), 1, "{stderr}");
    Output {
        stderr,
        ..wait(child)
    }
}

#[test]
fn a_person_of_the_partner_signs_in_once_for_all_customers() {
    let world = gdap();
    let applied = run_as_tess(&world, &["apply", "--format", "json"]);
    let summary: Value = serde_json::from_str(&applied.stdout).unwrap();
    let tenants = by_name(&summary);
    assert_eq!(tenants.len(), 5, "{summary}");
    for (index, words) in [
        (LASTING, None),
        (ENDING, None),
        (
            ENDED,
            Some("the relationship with the customer Customer3 ended on"),
        ),
        (
            OF_OTHERS,
            Some("the user who signed in is not in this tenant"),
        ),
        (
            UNCONSENTED,
            Some("the app is not authorised in this customer's tenant"),
        ),
    ] {
        let id = tenant_id(&world, &domain(index));
        let tenant = tenants[&id];
        let obstacle = &tenant["obstacles"][0];
        match words {
            None => {
                assert!(tenant["rotated"].as_u64() > Some(10), "{tenant}");
                assert_eq!(tenant["failed"], 0, "none was refused: {tenant}");
            }
            Some(words) => {
                assert!(
                    obstacle["problem"].as_str().unwrap().contains(words),
                    "{tenant}"
                );
                assert_eq!(sets(&world, &domain(index)), 0);
            }
        }
        if index == UNCONSENTED {
            let link = format!("/{id}/adminconsent?client_id={APP}");
            assert!(
                obstacle["fix"].as_str().unwrap().contains(&link),
                "{obstacle}"
            );
        }
    }
    assert_eq!(applied.code, Some(3), "{applied:?}");
    world.assert_no_password_is_lost();
}

#[test]
fn the_doctor_says_of_each_customer_how_long_its_relationship_lasts() {
    let world = gdap();
    let doctor = run_as_tess(&world, &["doctor"]);
    assert_eq!(doctor.code, Some(4), "{doctor:?}");
    // a name, and the indented lines below it
    let of = |index: usize| -> String {
        let id = tenant_id(&world, &domain(index));
        let lines = doctor.stdout.lines().skip_while(|line| *line != id);
        let below = lines.skip(1).take_while(|line| line.starts_with(' '));
        below.collect::<Vec<_>>().join("\n")
    };
    for (index, words) in [
        (
            LASTING,
            "✓ the relationship Customer1 administered with this customer lasts until 20",
        ),
        (
            ENDING,
            "· the relationship Customer2 administered with this customer ends in 12 days",
        ),
        (ENDING, "→ let it extend itself"),
        (
            ENDED,
            "✗ the relationship with the customer Customer3 ended on 20",
        ),
        (LASTING, "✓ holds User Administrator"),
        (LASTING, "· Customer1, a customer of partner.example"),
    ] {
        assert!(of(index).contains(words), "{words}: {}", doctor.stdout);
    }
}

#[test]
fn explain_says_that_a_role_is_to_be_had_by_the_relationship() {
    let world = gdap();
    let users = tenant(&world, &domain(LASTING)).users();
    let root = users
        .iter()
        .find(|user| user.protected && !user.guest && !user.synced && !user.federated);
    let upn = &root.unwrap().user_principal_name;
    let explained = run_as_tess(&world, &["explain", upn, "--format", "json"]);
    let shown: Value = serde_json::from_str(&explained.stdout).unwrap();
    assert_eq!(shown[0]["may_be_rotated"], false, "{shown}");
    assert!(
        shown[0]["fix"]
            .as_str()
            .unwrap()
            .contains("an active relationship with this customer"),
        "{shown}"
    );
    assert_eq!(shown[0]["caller"]["kind"], "person");
}
