//! The walkthroughs of `docs/onboarding.md`, run as they are written: each section in tenants of its own, its commands in
//! order, and what the page says that they print.

use std::fmt::Write;

use entra_sim::{App, Config, Role, Server, Tenant, User};
use uuid::{Uuid, uuid};

use crate::setup::{admin, name_admin};
use crate::world::{World, output};

const PAGE: &str = include_str!("../../../docs/onboarding.md");
/// The app of the page.
const APP: Uuid = uuid!("11111111-2222-3333-4444-555555555555");
const SECRET: &str = "the app's secret";
/// The sentence on which a person acts.
const OPENS: &str = "An administrator of that tenant opens the link";

/// A fenced block, or a paragraph.
#[derive(Debug)]
enum Block {
    Commands(Vec<String>),
    Configuration(String),
    Prints(Vec<String>),
    Prose(String),
}

struct Section {
    title: String,
    blocks: Vec<Block>,
}

fn sections() -> Vec<Section> {
    let mut sections = Vec::new();
    for text in PAGE.split("\n## ").skip(1) {
        let (title, text) = text.split_once('\n').unwrap();
        let blocks = text.split("```").enumerate().map(|(index, part)| {
            if index % 2 == 0 {
                return Block::Prose(part.trim().to_owned());
            }
            let (kind, body) = part.split_once('\n').unwrap();
            let lines = || body.lines().map(str::to_owned).collect();
            match kind {
                "sh" => Block::Commands(lines()),
                "text" => Block::Prints(lines()),
                "toml" => Block::Configuration(body.to_owned()),
                other => panic!("what is to become of a block of {other:?}?"),
            }
        });
        sections.push(Section {
            title: title.to_owned(),
            blocks: blocks.collect(),
        });
    }
    sections
}

/// A walkthrough: a world of its own, in which the app is registered and has nothing.
struct Walk {
    world: World,
    /// What all sections share.
    base: String,
    /// What the last commands printed.
    said: String,
    ran: usize,
}

impl Walk {
    fn begin(before: &Section) -> Self {
        let asked = before.blocks.iter().find_map(|block| match block {
            Block::Prints(lines) => Some(lines.clone()),
            _ => None,
        });
        let asked = asked.expect("the permissions");
        let app = App::new("Password rotation").client_id(APP).secret(SECRET);
        let app = asked.iter().fold(app, |app, name| app.asks_for(name));
        let people = |tenant: Tenant, domain: &str| {
            let person = |name: &str| User::new(format!("{name}@{domain}"));
            let break_glass = person("breakglass").role(Role::GLOBAL_ADMINISTRATOR);
            let people = ["ann", "bo", "chiara"].map(person);
            let tenant = people.into_iter().fold(tenant, Tenant::user);
            tenant.user(break_glass).app(admin())
        };
        let (contoso, fabrikam) = ("contoso.onmicrosoft.com", "fabrikam.onmicrosoft.com");
        let tenants = [
            people(Tenant::new(contoso).app(app), contoso),
            people(Tenant::new(fabrikam), fabrikam),
        ];
        let config = Config::default().tenants(tenants);
        let world = World::of(Server::start_blocking(config).unwrap());
        // the page makes its own
        std::fs::remove_file(world.path("key.txt")).unwrap();
        let mut walk = Self {
            world,
            base: String::new(),
            said: String::new(),
            ran: 0,
        };
        for block in &before.blocks {
            match block {
                Block::Commands(lines) => lines.iter().for_each(|line| walk.run(line)),
                Block::Configuration(text) => walk.base.clone_from(text),
                Block::Prints(_) | Block::Prose(_) => {}
            }
        }
        let mut lines = walk.said.lines();
        let key = lines
            .find(|line| line.starts_with("age1"))
            .unwrap()
            .to_owned();
        assert!(walk.base.contains("age1…"));
        walk.base = walk.base.replace("age1…", &key);
        walk
    }

    /// What the page says, at the simulator's address; and an app acts where the page lets a person sign in.
    fn configure(&self, tenants: &str) {
        let url = self.world.server.base_url();
        let cloud = format!("cloud = {{ authority = \"{url}\", graph = \"{url}\" }}\n");
        let mut text = String::new();
        for line in tenants.lines() {
            writeln!(text, "{line}").unwrap();
            if line.starts_with("id = ") {
                text.push_str(&cloud);
            }
        }
        let base = self.base.split("[setup]").next().unwrap();
        self.world.write("rotation.toml", &format!("{base}{text}"));
        name_admin(&self.world);
    }

    fn run(&mut self, line: &str) {
        let (command, code) = match line.split_once("# exits with ") {
            Some((command, code)) => (command, code.trim().parse().unwrap()),
            None => (line, 0),
        };
        let arguments = command.trim().strip_prefix("rotation ").unwrap();
        let arguments = words(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.world.command(&arguments);
        command.env("ENTRA_CLIENT_SECRET", SECRET);
        let output = output(command);
        assert_eq!(output.code, Some(code), "{line}: {output:?}");
        self.said.push_str(&output.stderr);
        self.said.push_str(&output.stdout);
        self.ran += 1;
    }

    /// Each line was printed, in this order; `…` stands for anything.
    fn said(&self, title: &str, lines: &[String]) {
        // an error is wrapped, with a bar before each line
        let mut rest = folded(&self.said);
        for line in lines {
            for part in folded(line).split('…') {
                let place = rest.find(part.trim());
                let place = place
                    .unwrap_or_else(|| panic!("{title}: {part:?} was not said in {}", self.said));
                rest.drain(..place + part.trim().len());
            }
        }
    }

    /// An administrator opens the links that were printed.
    fn open_links(&self) {
        let links = self
            .said
            .lines()
            .filter(|line| line.contains("/adminconsent?"));
        let links: Vec<&str> = links.filter(|line| line.starts_with("http")).collect();
        assert!(!links.is_empty(), "{}", self.said);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for link in links {
            let answer = runtime.block_on(reqwest::get(link)).unwrap();
            assert!(answer.status().is_success(), "{link}: {answer:?}");
        }
    }
}

/// Words as a shell splits them, as far as the page uses it.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn folded(text: &str) -> String {
    let bars = text.replace('│', " ");
    bars.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_walkthrough_of_the_page_works_as_it_is_written() {
    let sections = sections();
    let (before, walkthroughs) = sections.split_first().unwrap();
    assert_eq!(before.title, "Before you begin");
    let mut walked = 0;
    for section in walkthroughs {
        let is_walkthrough = |block: &Block| matches!(block, Block::Commands(_));
        if !section.blocks.iter().any(is_walkthrough) {
            continue;
        }
        let mut walk = Walk::begin(before);
        for block in &section.blocks {
            match block {
                Block::Commands(lines) => {
                    walk.said.clear();
                    lines.iter().for_each(|line| walk.run(line));
                }
                Block::Configuration(tenants) => walk.configure(tenants),
                Block::Prints(lines) => walk.said(&section.title, lines),
                Block::Prose(text) if text.starts_with(OPENS) => walk.open_links(),
                Block::Prose(_) => {}
            }
        }
        assert!(walk.ran > 1, "{}", section.title);
        walk.world.assert_no_password_is_lost();
        walked += 1;
    }
    assert_eq!(walked, 6, "a walkthrough is not found any more");
    assert!(PAGE.contains(OPENS));
}
