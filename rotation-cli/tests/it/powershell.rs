//! Tenants and domains that are reached through PowerShell, played by a program that speaks as its modules do.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use entra_sim::{Tenant, User};
use serde_json::{Value, json};

use crate::leak::assert_is_silent;
use crate::world::{World, output, wait};

/// The program in the place of `pwsh`, which is built with the crate that it tests.
fn fake() -> PathBuf {
    static BUILT: Once = Once::new();
    let fake = Path::new(env!("CARGO_BIN_EXE_rotation")).with_file_name("fake-pwsh");
    BUILT.call_once(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "backend-powershell-compat"]);
        assert!(
            build
                .args(["--bin", "fake-pwsh"])
                .status()
                .unwrap()
                .success()
        );
    });
    fake
}

/// Puts a `pwsh` with all modules into the directory of `world`.
fn install(world: &World) {
    install_in(world, &world.path(""));
}

/// The same into `folder`.
fn install_in(world: &World, folder: &Path) {
    for name in ["faults", "witness"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    symlink(fake(), folder.join("pwsh")).unwrap();
    let settings = json!({
        "graph": world.server.base_url(),
        "control_token": world.server.control_token(),
        "tenant": world.tenant.id(),
        "client_id": world.tenant.client_id(),
        "client_secret": world.tenant.client_secret(),
        "powershell": "7.4.6",
        "edition": "Core",
        "logging": ["transcription"],
        "modules": {"Microsoft.Graph.Users": ["2.25.0"], "ActiveDirectory": ["1.0.1.0"]},
        "groups": ["S-1-5-21-1-2-3-512"],
        "protected": [],
        "faults": folder.join("faults"),
        "witness": folder.join("witness"),
    });
    std::fs::write(folder.join("pwsh.json"), settings.to_string()).unwrap();
}

/// Has the tenant of `world` rotated through PowerShell.
fn through_powershell(world: &World) {
    install(world);
    let text = world.read("rotation.toml");
    let cloud = text.lines().find(|line| line.starts_with("cloud")).unwrap();
    world.edit(cloud, "[tenant.powershell]\nprogram = \"./pwsh\"");
    world.edit("backend = \"graph\"", "backend = \"powershell\"");
}

#[test]
fn a_tenant_is_rotated_through_powershell_and_loses_nothing() {
    let world = World::new(70);
    through_powershell(&world);
    let applied = world.run(&["apply", "--format", "json"]);
    assert_eq!(applied.code, Some(3), "some are denied: {applied:?}");
    let summary: Value = serde_json::from_str(&applied.stdout).unwrap();
    assert!(summary["rotated"].as_u64() > Some(10), "{summary}");
    assert_eq!(summary["failed"], 0, "{summary}");
    assert_eq!(summary["rotated"], world.sets());
    world.assert_no_password_is_lost();
    // what was done is on record with its way
    let plan = world.run(&["plan", "--format", "json"]);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["rotate"], 0, "{plan}");
}

#[test]
fn the_doctor_says_what_runs_and_what_it_might_record() {
    let world = World::new(70);
    through_powershell(&world);
    let doctor = world.run(&["doctor"]);
    assert_eq!(doctor.code, Some(3), "some are out of reach: {doctor:?}");
    for words in [
        "✓ PowerShell 7.4.6 (Core) runs: ",
        "✓ signed in through microsoft.graph 2.25.0",
        "· transcription is on",
        "✓ reaches ",
    ] {
        assert!(doctor.stdout.contains(words), "{words}: {doctor:?}");
    }
}

#[test]
fn a_machine_without_powershell_or_its_module_is_told_what_to_install() {
    let world = World::new(70);
    through_powershell(&world);
    let settings = world.read("pwsh.json");
    world.write(
        "pwsh.json",
        &settings.replace("Microsoft.Graph.Users", "Other"),
    );
    let planned = world.run(&["plan"]);
    assert_eq!(planned.code, Some(4), "{planned:?}");
    assert!(
        planned.stderr.contains("Install-Module Microsoft.Graph"),
        "{planned:?}"
    );

    world.edit("./pwsh", "./nothing");
    let planned = world.run(&["plan"]);
    assert_eq!(planned.code, Some(4), "{planned:?}");
    assert!(planned.stderr.contains("nothing"), "{planned:?}");
}

/// A tenant of which some accounts are synced, and the domain that they are synced from.
fn hybrid(sync_within: &str) -> World {
    let domain = "contoso.onmicrosoft.com";
    let synced = (0..12).map(|number| {
        User::new(format!("staff{number}@{domain}"))
            .synced()
            .password_age(Duration::from_secs(200 * 86_400))
    });
    let world = World::with([synced.fold(Tenant::demo(70), Tenant::user)]);
    install(&world);
    let text =
        world.read("rotation.toml") + "[tenant.on_premises]\nserver = \"dc1.corp.example\"\n";
    let text = format!("{text}program = \"./pwsh\"\nsync_within = \"{sync_within}\"\n");
    world.write("rotation.toml", &text);
    world.edit("[policy]", "[policy]\nsynced = \"rotate\"");
    world
}

#[test]
fn synced_accounts_are_rotated_where_they_are_synced_from() {
    let world = hybrid("2m");
    let mut command = world.command(&["apply", "--format", "json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let done = AtomicBool::new(false);
    let applied = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                world.tenant.sync();
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let applied = wait(child);
        done.store(true, Ordering::Relaxed);
        applied
    });
    assert_eq!(applied.code, Some(3), "some are denied: {applied:?}");
    let summary: Value = serde_json::from_str(&applied.stdout).unwrap();
    assert_eq!(summary["failed"], 0, "{summary}");
    assert_eq!(summary["unsettled"], 0, "{summary}");
    let staff = |name: &str| name.starts_with("staff");
    let users = world.tenant.users();
    let synced: Vec<_> = users
        .iter()
        .filter(|user| staff(&user.user_principal_name))
        .collect();
    assert!(
        synced.iter().all(|user| user.password_sets == 1),
        "{synced:?}"
    );
    let cloud = |user: &&entra_sim::UserView| user.is_ordinary() && user.password_sets > 0;
    assert!(
        users.iter().filter(cloud).count() > 10,
        "the others, over Graph"
    );
    // nothing was asked of Graph that a sync would overwrite
    let patched = world
        .server
        .requests()
        .into_iter()
        .filter(|request| request.method == "PATCH");
    for request in patched {
        let is_synced = synced
            .iter()
            .any(|user| request.path.contains(&user.id.to_string()));
        assert!(!is_synced, "{request:?}");
    }
    world.assert_no_password_is_lost();
}

#[test]
fn a_sync_that_does_not_come_is_not_waited_for_for_ever() {
    let world = hybrid("2s");
    let applied = world.run(&[
        "apply",
        "--format",
        "json",
        "--account",
        "staff1@contoso.onmicrosoft.com",
    ]);
    assert_eq!(applied.code, Some(3), "{applied:?}");
    let summary: Value = serde_json::from_str(&applied.stdout).unwrap();
    assert_eq!(summary["unsettled"], 1, "{summary}");
    let problem = summary["tenants"][0]["problems"][0].to_string();
    assert!(
        problem.contains("the tenant did not know of it within 2 s of syncing"),
        "{summary}"
    );
    assert!(
        problem.contains("whether passwords are synced between the domain and the tenant"),
        "{summary}"
    );
    // what the domain has is in the store, and so is what the tenant has
    assert_eq!(world.tenant.sync(), 1);
    world.assert_no_password_is_lost();
}

#[test]
fn a_worker_inherits_no_secret_of_ours() {
    let world = World::new(70);
    through_powershell(&world);
    let mut command = world.command(&["plan"]);
    command.env("AZURE_CLIENT_SECRET", "another-tenants-own");
    assert_eq!(output(command).code, Some(0));
    for entry in std::fs::read_dir(world.path("witness")).unwrap() {
        let seen = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(
            seen.contains("NO_COLOR"),
            "its environment is there: {seen}"
        );
        for secret in [world.tenant.client_secret(), "another-tenants-own"] {
            assert!(!seen.contains(secret), "{seen}");
        }
    }
}

/// A password goes to a worker on its standard input and nowhere else; so does that of the account that asks the domain.
#[test]
fn silent_through_powershell_and_into_a_domain() {
    const LOGIN: &str = "the-worker's-own-7c41";
    let domain = "contoso.onmicrosoft.com";
    let synced = (0..4).map(|number| {
        let staff = User::new(format!("staff{number}@{domain}")).synced();
        staff.password_age(Duration::from_secs(200 * 86_400))
    });
    for in_domain in [false, true] {
        let world = World::with([synced.clone().fold(Tenant::demo(300), Tenant::user)]);
        let outside = tempfile::tempdir().unwrap();
        install_in(&world, outside.path());
        std::fs::write(outside.path().join("login"), LOGIN).unwrap();
        let at = |name: &str| outside.path().join(name).display().to_string();
        let (pwsh, login) = (at("pwsh"), at("login"));
        if in_domain {
            let own = format!(
                "[tenant.on_premises]\nserver = \"dc1.corp.example\"\nprogram = \"{pwsh}\"\nsync_within = \"1s\"\n\
                 login = {{ user = \"CORP\\\\svc\", file = \"{login}\" }}\n"
            );
            world.write("rotation.toml", &(world.read("rotation.toml") + &own));
            world.edit("[policy]", "[policy]\nsynced = \"rotate\"\ncanary = 0");
        } else {
            let text = world.read("rotation.toml");
            let cloud = text.lines().find(|line| line.starts_with("cloud")).unwrap();
            world.edit(cloud, &format!("[tenant.powershell]\nprogram = \"{pwsh}\""));
            world.edit("backend = \"graph\"", "backend = \"powershell\"");
        }
        assert_is_silent(&world, &[LOGIN], || {
            let seen = std::fs::read_dir(outside.path().join("witness")).unwrap();
            let seen = seen.map(|entry| entry.unwrap().path());
            let seen: Vec<_> = seen
                .map(|path| ("worker".to_owned(), std::fs::read(path).unwrap()))
                .collect();
            assert!(!seen.is_empty(), "no worker ran");
            seen
        });
    }
}
