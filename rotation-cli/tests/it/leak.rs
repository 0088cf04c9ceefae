//! Promise 8: no password of a run, and no client secret, is to be found anywhere but in the directory and, sealed, in
//! the store.

use std::collections::HashSet;
use std::fs::{self, File};
use std::process::{Child, Stdio};

use crate::world::{SECRET_VARIABLE, World};

/// As long as a password of the default policy.
const LENGTH: usize = 24;

#[test]
fn silent_even_when_told_to_say_everything() {
    let world = World::new(300);
    assert_is_silent(&world, &[], Vec::new);
    assert!(world.path("rotation.db").exists());
}

/// Does everything as loudly as it can be done. Then no password, no client secret and none of `secrets` may be in what
/// it said and wrote, nor in what else `places` has.
pub(crate) fn assert_is_silent(
    world: &World,
    secrets: &[&str],
    places: impl FnOnce() -> Vec<(String, Vec<u8>)>,
) {
    let variable = format!("env = \"{SECRET_VARIABLE}\"");
    if world.read("rotation.toml").contains(&variable) {
        world.edit(&variable, "file = \"client-secret.txt\"");
    }
    let planned = run_loudly(world, "plan", &["-vv", "plan", "--out", "plan.json"]);
    let applied = run_loudly(
        world,
        "apply",
        &[
            "-vv",
            "apply",
            "plan.json",
            "--events",
            "events.jsonl",
            "--format",
            "json",
        ],
    );

    let looks: [(&str, &[&str]); 4] = [
        ("recover", &["-vv", "recover"]),
        ("status", &["-vv", "status", "--verify"]),
        (
            "history",
            &[
                "-vv",
                "status",
                "--account",
                "user000000@contoso.onmicrosoft.com",
            ],
        ),
        ("audit", &["-vv", "audit", "show", "--format", "json"]),
    ];
    let looked = looks.map(|(name, args)| run_loudly(world, name, args));

    let revealed = world.reveal(&["--all"]);
    assert!(revealed.len() > 150, "{}", revealed.len());
    let passwords: HashSet<&[u8]> = revealed
        .iter()
        .map(|version| version.password.as_bytes())
        .collect();
    assert!(passwords.iter().all(|password| password.len() == LENGTH));
    let secrets = [&[world.tenant.client_secret()], secrets].concat();

    let mut places = places();
    places.push((
        "processes".to_owned(),
        [planned, applied, looked.concat()].concat(),
    ));
    for entry in fs::read_dir(world.directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // what the test itself wrote there
        if !["client-secret.txt", "key.txt", "login.txt", "reader.txt"].contains(&name.as_str()) {
            places.push((name, fs::read(path).unwrap()));
        }
    }
    for name in [
        "apply.stdout",
        "audit.stdout",
        "history.stdout",
        "recover.stdout",
        "status.stdout",
        "apply.stderr",
        "events.jsonl",
        "plan.json",
        "plan.stderr",
        "processes",
        "rotation-audit.jsonl",
    ] {
        let found = places.iter().find(|(place, _)| place == name);
        assert!(
            found.is_some_and(|(_, text)| !text.is_empty()),
            "{name} is empty"
        );
    }
    let trace = fs::read_to_string(world.path("apply.stderr")).unwrap();
    assert!(trace.contains("TRACE"), "the log is not at trace level");

    for (name, text) in &places {
        assert!(!holds(text, &passwords), "{name} holds a password");
        for (index, secret) in secrets.iter().enumerate() {
            let found = text
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{name} holds secret {index}");
        }
    }
    // the search itself works
    let control = format!("…{}…", revealed[0].password);
    assert!(holds(control.as_bytes(), &passwords));
}

fn holds(text: &[u8], passwords: &HashSet<&[u8]>) -> bool {
    text.windows(LENGTH).any(|part| passwords.contains(part))
}

/// Runs `rotation` at trace level, its output in files; what others on the machine could see of the process meanwhile.
fn run_loudly(world: &World, name: &str, args: &[&str]) -> Vec<u8> {
    let mut command = world.command(args);
    command
        .env("RUST_LOG", "trace")
        .env_remove(SECRET_VARIABLE)
        .stdout(Stdio::from(
            File::create(world.path(&format!("{name}.stdout"))).unwrap(),
        ))
        .stderr(Stdio::from(
            File::create(world.path(&format!("{name}.stderr"))).unwrap(),
        ));
    let mut child = command.spawn().unwrap();
    let mut seen = HashSet::new();
    while child.try_wait().unwrap().is_none() {
        seen.extend(look(world, &child));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    seen.into_iter().flatten().collect()
}

/// The process from outside, and the store's write-ahead log, which is empty again at the end.
fn look(world: &World, child: &Child) -> Vec<Vec<u8>> {
    let process = ["cmdline", "environ"].map(|file| format!("/proc/{}/{file}", child.id()).into());
    let log = world.path("rotation.db-wal");
    let files = process.into_iter().chain([log]);
    files.filter_map(|file| fs::read(file).ok()).collect()
}
