//! `rotation` on real servers, each test on Postgres and on OpenBao.

use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use entra_sim::{Effect, Fault};
use rand::rngs::StdRng;
use rand::{SeedableRng, random};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::fleet::three_tenants;
use crate::kill::{assert_recovers, kills, make_hostile, wait_for_a_moment};
use crate::leak::assert_is_silent;
use crate::server::{self, Server};
use crate::world::{World, wait};

/// The password of every role: also this one must be found nowhere.
const LOGIN: &str = "l0gin-of-the-runner";

/// A place in which a run of one test keeps passwords.
enum Place {
    Postgres(&'static Cluster, String),
    OpenBao(&'static Server, String),
}

impl Place {
    /// A fresh one on each server that is installed; for those that are not, it is said.
    async fn each() -> Vec<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("rotation_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut places = Vec::new();
        if let Some(cluster) = Cluster::shared() {
            let admin = cluster.admin("postgres").await;
            // not to be logged: this is where the password of the role comes from
            for sql in [
                "SET log_statement = none".to_owned(),
                format!("CREATE ROLE {name} LOGIN PASSWORD '{LOGIN}'"),
                format!("CREATE DATABASE {name} OWNER {name}"),
            ] {
                admin.batch_execute(&sql).await.unwrap();
            }
            places.push(Self::Postgres(cluster, name.clone()));
        }
        if let Some(server) = server::shared().await {
            let body = json!({"type": "kv", "options": {"version": "2"}});
            server.put(&format!("sys/mounts/{name}"), body).await;
            // it is being upgraded for a moment after it was made
            let config = format!("{name}/config");
            while server
                .ask("GET", &config, &server.root, "", Value::Null)
                .await
                .0
                != 200
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            places.push(Self::OpenBao(server, name));
        }
        places
    }

    /// Lets `world` keep its passwords here, as whoever follows the documentation does.
    async fn take(&self, world: &World) {
        match self {
            Self::Postgres(cluster, name) => {
                world.write("login.txt", LOGIN);
                let text = world.read("rotation.toml");
                let recipients = text
                    .lines()
                    .find(|line| line.starts_with("recipients"))
                    .unwrap();
                let keys = format!(
                    "kind = \"postgres\"\n\
                     url = \"postgres://{name}@127.0.0.1:{}/{name}\"\n\
                     password = {{ file = \"login.txt\" }}\ntls = false\n{recipients}",
                    cluster.port
                );
                world.use_store(&keys, &keys);
            }
            Self::OpenBao(server, mount) => {
                world.write("login.txt", &self.token().await);
                world.write("reader.txt", &server.root);
                let keys = |login| {
                    format!(
                        "kind = \"openbao\"\n\
                         address = \"{}\"\nmount = \"{mount}\"\n\
                         auth = {{ kind = \"token\", file = \"{login}\" }}",
                        server.address
                    )
                };
                world.use_store(&keys("login.txt"), &keys("reader.txt"));
            }
        }
    }

    /// A run's token for OpenBao, with the documented policy.
    async fn token(&self) -> String {
        let Self::OpenBao(server, mount) = self else {
            unreachable!("Postgres has no tokens")
        };
        let policy = include_str!("../../../secret-stores/src/openbao/policy.hcl");
        let policy = policy.replace("\"secret/", &format!("\"{mount}/"));
        server
            .put(
                &format!("sys/policies/acl/{mount}"),
                json!({"policy": policy}),
            )
            .await;
        let body = json!({"policies": [mount], "ttl": "1h"});
        let made = server.put("auth/token/create", body).await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// What it prints and keeps, but for what it keeps for applications to read.
    fn medium(&self) -> Vec<(String, Vec<u8>)> {
        match self {
            Self::Postgres(cluster, name) => vec![
                ("the log of Postgres".to_owned(), cluster.log()),
                ("the database".to_owned(), cluster.dump(name).into_bytes()),
            ],
            Self::OpenBao(server, _) => vec![("the log of OpenBao".to_owned(), server.log())],
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Postgres(..) => "Postgres",
            Self::OpenBao(..) => "OpenBao",
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rotated_can_be_looked_at_and_read_back() {
    for place in Place::each().await {
        let (world, name) = (World::new(80), place.name());
        place.take(&world).await;
        let done = world.json(&["apply", "--max", "5", "--format", "json"]);
        assert_eq!(done["rotated"], 5, "{name}: {done}");
        let status = world.run(&["status", "--format", "json"]);
        assert_eq!(status.code, Some(0), "{name}: {status:?}");
        let status: Value = serde_json::from_str(&status.stdout).unwrap();
        let counts = &status["tenants"][world.tenant.id().to_string()];
        assert_eq!(counts["current"], 5, "{name}: {status}");
        assert_eq!(world.run(&["status", "--verify"]).code, Some(0), "{name}");
        assert_eq!(world.run(&["audit", "verify"]).code, Some(0), "{name}");
        assert_eq!(world.reveal(&[]).len(), 5, "{name}");
        world.assert_no_password_is_lost();

        let account = world.reveal(&[])[0].upn.clone();
        world.edit("max_age = \"90d\"", "max_age = \"0s\"");
        let again = world.json(&["apply", "--account", &account, "--format", "json"]);
        assert_eq!(again["rotated"], 1, "{name}: {again}");
        assert_eq!(world.reveal(&["--all"]).len(), 6, "{name}");
        assert_eq!(
            world.json(&["prune", "--keep", "0", "--format", "json"])["pruned"],
            1,
            "{name}"
        );
        world.assert_no_password_is_lost();
    }
}

/// Sealed passwords take the private key; others the right to read them, which a run does not have.
#[tokio::test(flavor = "multi_thread")]
async fn reveal_says_what_it_lacks() {
    for place in Place::each().await {
        let (world, name) = (World::new(60), place.name());
        place.take(&world).await;
        world.run(&["apply", "--max", "1"]);
        let run = world.run(&["reveal"]);
        let reader = world.run(&["-c", "reader.toml", "reveal"]);
        assert_eq!(run.code, Some(2), "{name}: {run:?}");
        let expected = match place {
            Place::Postgres(..) => {
                assert_eq!(reader.code, Some(2), "{reader:?}");
                "--identity FILE"
            }
            Place::OpenBao(..) => {
                assert_eq!(reader.code, Some(0), "{reader:?}");
                assert!(reader.stdout.contains("current "), "{reader:?}");
                "give the token's policy `read`"
            }
        };
        assert!(run.stderr.contains(expected), "{name}: {run:?}");
        assert_eq!(run.stdout, "", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_run_left_is_shown_first_and_settled() {
    for place in Place::each().await {
        let (world, name) = (World::new(80), place.name());
        place.take(&world).await;
        // so that what the dead run held is free soon
        world.edit("[store]", "[store]\nlease = \"5s\"");
        let answers_lost = Fault::on_patch(Effect::hang_after()).skip(8);
        world.server.add_fault(answers_lost);
        let mut child = world.spawn(&["apply", "--max", "20"]);
        world.wait_for_sets(20);
        child.kill().unwrap();
        wait(child);
        world.server.clear_faults();
        world.assert_no_password_is_lost();

        let status = world.run(&["status"]);
        assert_eq!(status.code, Some(3), "{name}: {status:?}");
        assert!(
            status.stdout.starts_with(" UNSETTLED"),
            "{name}: {status:?}"
        );
        let recovered = world.run(&["recover"]);
        assert_eq!(recovered.code, Some(0), "{name}: {recovered:?}");
        let status = world.run(&["status"]);
        assert_eq!(status.code, Some(0), "{name}: {status:?}");
        assert_eq!(world.reveal(&[]).len(), 20, "{name}");
        world.assert_no_password_is_lost();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lost_whenever_a_process_is_killed() {
    for place in Place::each().await {
        let seed = random();
        let mut random = StdRng::seed_from_u64(seed);
        let kills = (kills() / 10).max(1);
        let context = format!("{}: {kills} kills, seed {seed}", place.name());
        let world = World::new(60);
        place.take(&world).await;
        world.edit("[store]", "[store]\nlease = \"2s\"");
        make_hostile(&world);
        // so that there is a store to look into, however early the first process dies
        world.run(&["apply"]);
        for _ in 0..kills {
            let mut child = world.spawn(&["apply", "--format", "json"]);
            wait_for_a_moment(&world, &mut random, &mut child);
            child.kill().unwrap();
            child.wait().unwrap();
            world.assert_no_password_is_lost();
        }
        assert_recovers(&world, &context).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_shards_at_once_rotate_each_tenant_once() {
    for place in Place::each().await {
        let (world, name) = (three_tenants(), place.name());
        place.take(&world).await;
        let latency = Effect::delay_between(Duration::from_millis(1), Duration::from_millis(10));
        world.server.add_fault(Fault::on_patch(latency));
        let apply = |shard| world.spawn(&["apply", "--shard", shard, "--format", "json"]);
        let ended = ["1/2", "2/2"].map(apply).map(|child: Child| wait(child));
        let mut rotated = 0;
        for output in ended {
            // administrators are denied
            assert_eq!(output.code, Some(3), "{name}: {output:?}");
            let summary: Value = serde_json::from_str(&output.stdout).unwrap();
            assert_eq!(summary["failed"], 0, "{name}: {summary}");
            assert_eq!(summary["left_to_others"], 0, "{name}: {summary}");
            rotated += summary["rotated"].as_u64().unwrap();
        }
        let tenants = world.server.tenants();
        let users: Vec<_> = tenants.iter().flat_map(|tenant| tenant.users()).collect();
        assert!(users.iter().all(|user| user.password_sets <= 1), "{name}");
        let sets: u64 = users.iter().map(|user| user.password_sets).sum();
        assert_eq!(rotated, sets, "{name}");
        assert!(rotated > 60, "{name}: {rotated}");
        let status = world.json(&["status", "--format", "json"]);
        assert_eq!(
            status["tenants"].as_object().unwrap().len(),
            3,
            "{name}: {status}"
        );
        let verified = world.run(&["audit", "verify"]);
        assert_eq!(
            verified.code,
            Some(0),
            "{name}: both wrote one record: {verified:?}"
        );
        world.assert_no_password_is_lost();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_about_the_login_too() {
    for place in Place::each().await {
        let world = World::new(300);
        place.take(&world).await;
        let (login, reader) = (
            world.read("login.txt"),
            match place {
                Place::Postgres(..) => LOGIN.to_owned(),
                Place::OpenBao(..) => world.read("reader.txt"),
            },
        );
        // "root" is a token of four letters that stands in every other word
        let secrets = [login.as_str(), reader.as_str()];
        let secrets: Vec<_> = secrets
            .into_iter()
            .filter(|secret| *secret != "root")
            .collect();
        assert_is_silent(&world, &secrets, || place.medium());
    }
}
