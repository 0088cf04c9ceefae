//! Bad input, one row each: the exit code, what the error says, and that nothing was set and nothing lost.

use entra_sim::{Effect, Endpoint, Fault};

use crate::world::{Output, SECRET_VARIABLE, World};

struct Row {
    name: &'static str,
    /// Makes it bad.
    spoil: fn(&World),
    args: &'static [&'static str],
    code: i32,
    says: &'static [&'static str],
}

const APPLY: &[&str] = &["apply"];

fn fault(world: &World, effect: Effect, endpoint: Endpoint, skip: u64) {
    world
        .server
        .add_fault(Fault::new(effect).endpoint(endpoint).skip(skip));
}

const ROWS: &[Row] = &[
    Row {
        name: "a misspelt key",
        spoil: |world| world.edit("max_age", "max_agee"),
        args: APPLY,
        code: 2,
        says: &[
            "unknown field `max_agee`",
            "did you mean `max_age`?",
            "rotation.toml:2:1",
        ],
    },
    Row {
        name: "an impossible policy",
        spoil: |world| world.edit("max_age", "length = 8\nmin_digit = 9\nmax_age"),
        args: APPLY,
        code: 2,
        says: &["no password satisfies both", "`length`", "rotation.toml:"],
    },
    Row {
        name: "a missing secret variable",
        spoil: |world| world.edit(SECRET_VARIABLE, "NOT_SET_ANYWHERE"),
        args: APPLY,
        code: 2,
        says: &["NOT_SET_ANYWHERE", "contoso.onmicrosoft.com", "is not set"],
    },
    Row {
        name: "a missing secret file",
        spoil: |world| {
            world.edit(
                &format!("env = \"{SECRET_VARIABLE}\""),
                "file = \"missing.txt\"",
            );
        },
        args: APPLY,
        code: 2,
        says: &["missing.txt", "contoso.onmicrosoft.com"],
    },
    Row {
        name: "plain http to another machine",
        spoil: |world| {
            let graph = format!("graph = \"{}\"", world.server.base_url());
            world.edit(&graph, "graph = \"http://graph.example\"");
        },
        args: APPLY,
        code: 2,
        says: &["`http://graph.example`", "`https://`", "loopback"],
    },
    Row {
        name: "a tenant twice",
        spoil: |world| {
            let text = world.read("rotation.toml");
            let tenant = text.find("[[tenant]]").unwrap();
            world.write("rotation.toml", &format!("{text}{}", &text[tenant..]));
        },
        args: APPLY,
        code: 2,
        says: &["tenant `contoso.onmicrosoft.com` is configured twice"],
    },
    Row {
        name: "the same tenant by its other name",
        spoil: |world| {
            let text = world.read("rotation.toml");
            let tenant = text[text.find("[[tenant]]").unwrap()..].to_owned();
            let by_id = tenant.replace("contoso.onmicrosoft.com", &world.tenant.id().to_string());
            world.write("rotation.toml", &format!("{text}{by_id}"));
        },
        args: APPLY,
        code: 4,
        says: &["✗ the same tenant as contoso.onmicrosoft.com"],
    },
    Row {
        name: "no tenant",
        spoil: |world| {
            let text = world.read("rotation.toml");
            world.write("rotation.toml", &text[..text.find("[[tenant]]").unwrap()]);
        },
        args: APPLY,
        code: 2,
        says: &["no tenant: expected at least one `[[tenant]]`"],
    },
    Row {
        name: "a tenant on the command line that is not configured",
        spoil: |_| {},
        args: &["apply", "--tenant", "contosso.onmicrosoft.com"],
        code: 2,
        says: &[
            "no tenant `contosso.onmicrosoft.com`",
            "did you mean `contoso.onmicrosoft.com`?",
        ],
    },
    Row {
        name: "a tenant that does not exist",
        spoil: |world| {
            world.edit(
                "id = \"contoso.onmicrosoft.com\"",
                "id = \"fabrikam.onmicrosoft.com\"",
            );
        },
        args: APPLY,
        code: 4,
        says: &[
            "✗",
            "fabrikam.onmicrosoft.com",
            "the tenant does not exist",
            "AADSTS90002",
        ],
    },
    Row {
        name: "a wrong secret",
        spoil: |world| {
            world.write("wrong.txt", "not-the-secret");
            world.edit(
                &format!("env = \"{SECRET_VARIABLE}\""),
                "file = \"wrong.txt\"",
            );
        },
        args: APPLY,
        code: 4,
        says: &[
            "✗",
            "the client secret is wrong",
            "AADSTS7000215",
            "→ configure the secret's value",
        ],
    },
    Row {
        name: "a store that is something else",
        spoil: |world| {
            world.write("notes.db", "this is no database");
            world.edit("rotation.db", "notes.db");
        },
        args: APPLY,
        code: 4,
        says: &["✗", "notes.db"],
    },
    Row {
        name: "a plan edited by hand",
        spoil: |world| {
            assert_eq!(world.run(&["plan", "--out", "plan.json"]).code, Some(0));
            let plan = world.read("plan.json");
            world.write(
                "plan.json",
                &plan.replacen("\"decision\":\"skip\"", "\"decision\":\"rotate\"", 1),
            );
        },
        args: &["apply", "plan.json"],
        code: 4,
        says: &["plan.json: line ", "not the plan that was reviewed"],
    },
    Row {
        name: "a plan cut short",
        spoil: |world| {
            assert_eq!(world.run(&["plan", "--out", "plan.json"]).code, Some(0));
            let plan = world.read("plan.json");
            world.write("plan.json", &plan[..plan.len() / 2]);
        },
        args: &["apply", "plan.json"],
        code: 4,
        says: &["plan.json: line ", "not the plan that was reviewed"],
    },
    Row {
        name: "a plan for another policy",
        spoil: |world| {
            assert_eq!(world.run(&["plan", "--out", "plan.json"]).code, Some(0));
            world.edit("\"90d\"", "\"30d\"");
        },
        args: &["apply", "plan.json"],
        code: 4,
        says: &["the plan no longer matches", "made for the policy sha256:"],
    },
    Row {
        name: "a plan of another tenant",
        spoil: |world| {
            let other = World::new(60);
            let theirs = other.path("plan.json");
            assert_eq!(other.run(&["plan", "--out", "plan.json"]).code, Some(0));
            std::fs::copy(theirs, world.path("plan.json")).unwrap();
        },
        args: &["apply", "plan.json"],
        code: 4,
        says: &["the plan no longer matches", "made for tenant"],
    },
    Row {
        name: "no plan at all",
        spoil: |_| {},
        args: &["apply", "plan.json"],
        code: 2,
        says: &["cannot read the plan plan.json"],
    },
    Row {
        name: "an answer cut short",
        spoil: |world| fault(world, Effect::TruncatedJson, Endpoint::Users, 0),
        args: APPLY,
        code: 4,
        says: &["the accounts of contoso.onmicrosoft.com cannot be read, so nothing was sent"],
    },
    Row {
        name: "the second page cut short",
        spoil: |world| fault(world, Effect::TruncatedJson, Endpoint::Users, 1),
        args: APPLY,
        code: 4,
        says: &["the accounts of contoso.onmicrosoft.com cannot be read, so nothing was sent"],
    },
    Row {
        name: "a web page for an answer",
        spoil: |world| {
            let html = Effect::Html {
                status: 200,
                applied: false,
            };
            fault(world, html, Endpoint::Users, 0);
        },
        args: APPLY,
        code: 4,
        says: &["the accounts of contoso.onmicrosoft.com cannot be read, so nothing was sent"],
    },
    Row {
        name: "a page link to another host",
        spoil: |world| {
            let elsewhere = Effect::ForeignNextLink {
                origin: "https://attacker.example".to_owned(),
            };
            fault(world, elsewhere, Endpoint::Users, 0);
        },
        args: APPLY,
        code: 4,
        says: &["https://attacker.example", "where our token does not go"],
    },
    Row {
        name: "a lease that is too long",
        spoil: |world| world.edit("[store]", "[store]\nlease = \"1day\""),
        args: APPLY,
        code: 2,
        says: &[
            "a lease of 1day, expected 1s to 1h",
            "rotation.toml:5:",
            "60s",
        ],
    },
    Row {
        name: "a store whose token is not there",
        spoil: |world| {
            let store = "kind = \"openbao\"\naddress = \"https://127.0.0.1:1\"\nauth = { kind = \"token\", env = \"NO_TOKEN\" }";
            world.edit("kind = \"sqlite\"\npath = \"rotation.db\"", store);
        },
        args: APPLY,
        code: 2,
        says: &["NO_TOKEN", "the token of the OpenBao store", "is not set"],
    },
    Row {
        name: "a store whose secret stands in two places",
        spoil: |world| {
            let store = "kind = \"openbao\"\naddress = \"https://127.0.0.1:1\"\nauth = { kind = \"token\", env = \"A\", file = \"b\" }";
            world.edit("kind = \"sqlite\"\npath = \"rotation.db\"", store);
        },
        args: APPLY,
        code: 2,
        says: &["stands in one place", "either `env`"],
    },
    Row {
        name: "a login that lacks a key",
        spoil: |world| {
            let store = "kind = \"openbao\"\naddress = \"https://127.0.0.1:1\"\nauth = { kind = \"approle\", file = \"key.txt\" }";
            world.edit("kind = \"sqlite\"\npath = \"rotation.db\"", store);
        },
        args: APPLY,
        code: 2,
        says: &["missing field `role_id`", "rotation.toml:"],
    },
    Row {
        name: "a server that nobody runs",
        spoil: |world| {
            let store = "kind = \"openbao\"\naddress = \"http://127.0.0.1:1\"\nauth = { kind = \"token\", file = \"key.txt\" }";
            world.edit("kind = \"sqlite\"\npath = \"rotation.db\"", store);
        },
        args: APPLY,
        code: 4,
        says: &["✗", "→"],
    },
    Row {
        name: "an address of a database with its password",
        spoil: |world| {
            let store =
                "kind = \"postgres\"\nurl = \"postgres://rotation:hunter2@127.0.0.1:1/rotation\"";
            world.edit("kind = \"sqlite\"\npath = \"rotation.db\"", store);
        },
        args: APPLY,
        code: 4,
        says: &["✗", "password", "→"],
    },
    Row {
        name: "TLS off, and an authority",
        spoil: |world| {
            let store = "kind = \"postgres\"\nurl = \"postgres://rotation@127.0.0.1:1/rotation\"\ntls = false\nca_file = \"ca.pem\"";
            world.edit("kind = \"sqlite\"\npath = \"rotation.db\"", store);
        },
        args: APPLY,
        code: 2,
        says: &["`tls = false`", "`ca_file`", "remove one"],
    },
    Row {
        name: "a program that is not there",
        spoil: |world| {
            let text = world.read("rotation.toml");
            let recipients = text
                .lines()
                .find(|line| line.starts_with("recipients"))
                .unwrap();
            let store = "kind = \"exec\"\nprogram = [\"./keep.py\"]\npath = \"states.db\"";
            let text = text.replace(recipients, "");
            world.write(
                "rotation.toml",
                &text.replace("kind = \"sqlite\"\npath = \"rotation.db\"", store),
            );
        },
        args: APPLY,
        code: 4,
        says: &["✗", "keep.py", "→"],
    },
    Row {
        name: "a copy that cannot be used",
        spoil: |world| {
            world.write("notes.db", "this is no database");
            let text = world.read("rotation.toml");
            let store =
                &text[text.find("kind = \"sqlite\"").unwrap()..text.find("[[tenant]]").unwrap()];
            let copy = store.replace("rotation.db", "notes.db");
            world.edit(
                "[[tenant]]",
                &format!("[[store.copy]]\nname = \"second\"\n{copy}[[tenant]]"),
            );
        },
        args: APPLY,
        code: 4,
        says: &["✗ the copy second: ", "notes.db"],
    },
    Row {
        name: "a copy that is the store itself",
        spoil: |world| {
            let text = world.read("rotation.toml");
            let store =
                &text[text.find("kind = \"sqlite\"").unwrap()..text.find("[[tenant]]").unwrap()];
            let copy = store.replace("rotation.db", "./rotation.db");
            world.edit(
                "[[tenant]]",
                &format!("[[store.copy]]\nname = \"second\"\n{copy}[[tenant]]"),
            );
        },
        args: APPLY,
        code: 2,
        says: &[
            "the copy `second` is in the place of another store",
            "somewhere else",
        ],
    },
    Row {
        name: "a shard that cannot be",
        spoil: |_| {},
        args: &["apply", "--shard", "17/16"],
        code: 2,
        says: &["17/16", "--shard", "expected 1/16 to 16/16"],
    },
    Row {
        name: "a recovery with a misspelt tenant",
        spoil: |_| {},
        args: &["recover", "--tenant", "contosso.onmicrosoft.com"],
        code: 2,
        says: &["did you mean `contoso.onmicrosoft.com`?"],
    },
    Row {
        name: "pruning all but minus one",
        spoil: |_| {},
        args: &["prune", "--keep", "-1"],
        code: 2,
        says: &[
            "'-1' for '--keep <N>'",
            "expected a whole number, 0 or more",
        ],
    },
    Row {
        name: "at most minus one",
        spoil: |_| {},
        args: &["apply", "--max", "-1"],
        code: 2,
        says: &["'-1' for '--max <N>'", "expected a whole number, 0 or more"],
    },
    Row {
        name: "a plan for a folder that is not there",
        spoil: |_| {},
        args: &["plan", "--out", "missing/plan.json"],
        code: 2,
        says: &[
            "missing/plan.json: No such file or directory (os error 2)\n",
            "--out FILE",
        ],
    },
    Row {
        name: "sealed passwords without a private key",
        spoil: |_| {},
        args: &["reveal"],
        code: 2,
        says: &["the passwords in rotation.db are sealed", "--identity FILE"],
    },
    Row {
        name: "the record of an account that is not there",
        spoil: |_| {},
        args: &[
            "audit",
            "show",
            "--account",
            "nobody@contoso.onmicrosoft.com",
        ],
        code: 3,
        says: &["no such record is about nobody@contoso.onmicrosoft.com"],
    },
    Row {
        name: "pruning by the domain of a tenant",
        spoil: |_| {},
        args: &["prune", "--tenant", "contoso.onmicrosoft.com"],
        code: 2,
        says: &[
            "by its GUID",
            "`contoso.onmicrosoft.com`",
            "rotation status",
        ],
    },
    Row {
        name: "a run that is no id",
        spoil: |_| {},
        args: &["audit", "show", "--run", "yesterday"],
        code: 2,
        says: &["--run", "yesterday", "expected the id of a run"],
    },
    Row {
        name: "a time that is none",
        spoil: |_| {},
        args: &["audit", "show", "--since", "yesterday"],
        code: 2,
        says: &["--since", "yesterday", "expected a day such as 2026-11-21"],
    },
    Row {
        name: "a flag that does not exist",
        spoil: |_| {},
        args: &["apply", "--password", "hunter2"],
        code: 2,
        says: &["--password"],
    },
];

/// More accounts than fit on one page.
const ACCOUNTS: usize = 1100;

#[test]
fn each_ends_with_its_code_and_its_reason_and_sets_nothing() {
    let failures: Vec<_> = ROWS.iter().filter_map(|row| check(row).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn check(row: &Row) -> Result<(), String> {
    let world = World::new(ACCOUNTS);
    let settled = world.run(&["apply", "--max", "2"]);
    assert_eq!(settled.code, Some(3), "{settled:?}");
    let (good, sets, store) = (
        world.read("rotation.toml"),
        world.sets(),
        world.reveal(&["--all"]),
    );

    (row.spoil)(&world);
    let output = world.run(row.args);

    world.server.clear_faults();
    world.write("rotation.toml", &good);
    let wrong = |what: String| Err(format!("{}: {what}: {}", row.name, describe(&output)));
    if output.code != Some(row.code) {
        return wrong(format!(
            "ended with {:?}, expected {}",
            output.code, row.code
        ));
    }
    if let Some(part) = row.says.iter().find(|part| !output.stderr.contains(**part)) {
        return wrong(format!("does not say \"{part}\""));
    }
    if world.sets() != sets {
        return wrong(format!("{} passwords were set", world.sets() - sets));
    }
    if world.reveal(&["--all"]) != store {
        return wrong("the store has changed".to_owned());
    }
    Ok(())
}

fn describe(output: &Output) -> String {
    format!("{}{}", output.stdout, output.stderr)
}

#[test]
fn a_private_key_among_the_recipients_is_not_repeated() {
    let world = World::new(0);
    let private = world.read("key.txt").lines().last().unwrap().to_owned();
    let config = world.read("rotation.toml");
    let recipient = config
        .split('"')
        .find(|part| part.starts_with("age1"))
        .unwrap();
    world.edit(recipient, &private);
    let output = world.run(&["apply"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(
        output.stderr.contains("recipient 1 is a private key"),
        "{output:?}"
    );
    assert!(!describe(&output).contains(&private[20..40]), "{output:?}");
}
