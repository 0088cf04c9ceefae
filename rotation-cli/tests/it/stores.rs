//! Stores of other kinds, as the configuration names them: a program of the user's own, and copies.

use std::path::Path;

use crate::world::World;

/// Puts a copy in the file `path` below the store.
fn add_copy(world: &World, path: &str) {
    let text = world.read("rotation.toml");
    let store = text.find("kind = \"sqlite\"").unwrap()..text.find("[[tenant]]").unwrap();
    let copy = text[store].replace("rotation.db", path);
    let copy = format!("[[store.copy]]\nname = \"second\"\n{copy}[[tenant]]");
    world.edit("[[tenant]]", &copy);
}

#[test]
fn a_copy_gets_every_current_password_and_status_tells_its_lag() {
    let world = World::new(120);
    let before = world.json(&["apply", "--max", "3", "--format", "json"]);
    assert_eq!(before["rotated"], 3, "{before}");
    let alone = world.read("rotation.toml");
    add_copy(&world, "copy.db");
    let missing = world.json(&["status", "--format", "json"]);
    assert!(missing["copies"][0]["behind"].is_null(), "{missing}");
    assert!(
        missing["copies"][0]["problem"]
            .as_str()
            .unwrap()
            .contains("copy.db"),
        "{missing}"
    );

    let done = world.json(&["apply", "--format", "json"]);
    let rotated = done["rotated"].as_u64().unwrap();
    assert!(rotated > 40, "{done}");
    let status = world.json(&["status", "--format", "json"]);
    assert_eq!(status["copies"][0]["name"], "second", "{status}");
    assert_eq!(
        status["copies"][0]["behind"], 3,
        "from before there was a copy: {status}"
    );
    let page = world.run(&["status"]).stdout;
    assert!(
        page.contains("second  3 accounts, until each is rotated again"),
        "{page}"
    );

    let primary = world.reveal(&[]);
    world.write("rotation.toml", &alone.replace("rotation.db", "copy.db"));
    let copy = world.reveal(&[]);
    assert_eq!(copy.len() as u64, rotated);
    assert!(
        copy.iter().all(|version| primary.contains(version)),
        "the same passwords"
    );
    world.write("rotation.toml", &alone);
    world.assert_no_password_is_lost();
}

#[test]
fn a_program_of_the_users_own_keeps_the_passwords() {
    if std::process::Command::new("python3")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("skipped: python3 is not installed");
        return;
    }
    let world = World::new(80);
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/exec/keep.py");
    let text = world.read("rotation.toml");
    let store = text.find("kind = \"sqlite\"").unwrap()..text.find("[[tenant]]").unwrap();
    let exec = format!(
        "kind = \"exec\"\nprogram = [\"python3\", \"{}\", \"kept\"]\npath = \"rotation.db\"\n",
        program.display()
    );
    world.write("rotation.toml", &text.replace(&text[store], &exec));
    let done = world.json(&["apply", "--max", "5", "--format", "json"]);
    assert_eq!(done["rotated"], 5, "{done}");
    let status = world.json(&["status", "--format", "json"]);
    let counts = &status["tenants"][world.tenant.id().to_string()];
    assert_eq!(counts["current"], 5, "{status}");
    assert_eq!(
        status["at_work"].as_array().map(Vec::len),
        Some(0),
        "{status}"
    );
    assert_eq!(world.reveal(&[]).len(), 5);
    world.assert_no_password_is_lost();
}
