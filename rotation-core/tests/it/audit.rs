//! The audit record: a change to it shows, a crash costs nothing that was acknowledged, and it never holds a password.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures::StreamExt;
use futures::future::{join_all, try_join_all};
use rotation_core::testkit::{MemoryAudit, MemoryBackend, MemoryStore};
use rotation_core::{
    AccountId, AccountQuery, AuditBreak, AuditError, AuditFile, AuditFilter, AuditLog, AuditRecord,
    AuditSummary, Engine, Event, Policy, SecretReader, Select, TenantId, Treatment,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Everything that a run over `accounts` tells, and the store it used.
async fn run(accounts: usize) -> (Vec<Event>, MemoryStore) {
    let (backend, store) = (MemoryBackend::with_accounts(accounts), MemoryStore::new());
    let policy = Policy {
        unknown_age: Treatment::Rotate,
        ..Policy::default()
    };
    let engine = Engine::new(Arc::new(backend), Arc::new(store.clone()), policy).unwrap();
    let plan = engine.plan(AccountQuery::All).await.unwrap();
    (engine.run(plan).collect().await, store)
}

/// A record in a directory of its own.
struct World {
    dir: TempDir,
    events: Vec<Event>,
}

impl World {
    /// With a record of one run over one account, appended in two groups.
    async fn new() -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            events: run(1).await.0,
        };
        assert!(world.events.len() >= 4);
        let audit = AuditFile::open(world.path()).unwrap();
        let (first, second) = world.events.split_at(2);
        audit.append(first).await.unwrap();
        audit.append(second).await.unwrap();
        world
    }

    /// The same, after a crash that tore a line.
    async fn torn() -> Self {
        let world = Self::new().await;
        append_raw(&world.path(), b"{\"seq\":99,\"at\":\"2026");
        let audit = AuditFile::open(world.path()).unwrap();
        audit.append(&world.events[..1]).await.unwrap();
        world
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("audit.jsonl")
    }

    fn head(&self) -> PathBuf {
        self.dir.path().join("audit.jsonl.head")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn verify(&self) -> Result<AuditSummary, AuditError> {
        AuditFile::verify(self.path(), None)
    }

    /// What is said of the record once these are its bytes: with its head beside it, and with its head in our memory.
    fn changed(&self, bytes: &[u8]) -> [Result<AuditSummary, AuditError>; 2] {
        let [beside, alone] = ["beside", "alone"].map(|name| self.dir.path().join(name));
        let head = beside.with_added_extension("head");
        if !head.exists() {
            fs::copy(self.head(), &head).unwrap();
        }
        let head: Value = serde_json::from_slice(&fs::read(head).unwrap()).unwrap();
        for path in [&beside, &alone] {
            fs::write(path, bytes).unwrap();
        }
        [
            AuditFile::verify(beside, None),
            AuditFile::verify(alone, head["hash"].as_str()),
        ]
    }

    fn assert_detected(&self, bytes: &[u8], kinds: &[AuditBreak], what: &str) {
        for answer in self.changed(bytes) {
            match answer {
                Err(AuditError::Broken { kind, .. }) if kinds.contains(&kind) => {}
                other => panic!("{what}: expected {kinds:?}, found {other:?}"),
            }
        }
    }

    /// What is added after the last durable record cannot be told from what a crash left, and was never true: it is
    /// told as torn. Everywhere else it is a break.
    fn assert_detected_or_torn(&self, bytes: &[u8], what: &str) {
        let original = self.bytes();
        for answer in self.changed(bytes) {
            match answer {
                Err(AuditError::Broken { .. }) => {}
                Ok(summary) if bytes.starts_with(&original) && summary.torn > 0 => {}
                other => panic!("{what}: found {other:?}"),
            }
        }
    }
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

fn append_raw(path: &Path, bytes: &[u8]) {
    let mut file = fs::File::options().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn records(path: &Path, filter: AuditFilter) -> Vec<AuditRecord> {
    AuditFile::read(path, filter)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// The events as they stand in a record: without the chain's own fields.
fn told(path: &Path) -> Vec<Value> {
    let strip = |record: AuditRecord| {
        let mut fields = record.fields;
        for ours in ["seq", "prev", "hash"] {
            assert!(fields.remove(ours).is_some());
        }
        Value::Object(fields)
    };
    records(path, AuditFilter::default())
        .into_iter()
        .filter(|record| record.event != "torn")
        .map(strip)
        .collect()
}

fn values(events: &[Event]) -> Vec<Value> {
    let value = |event| serde_json::to_value(event).unwrap();
    events.iter().map(value).collect()
}

fn kind<T: std::fmt::Debug>(answer: Result<T, AuditError>) -> AuditBreak {
    match answer {
        Err(AuditError::Broken { kind, .. }) => kind,
        other => panic!("expected a broken record, found {other:?}"),
    }
}

#[tokio::test]
async fn a_record_is_lines_of_json_that_a_shell_could_check() {
    let world = World::new().await;
    let mut prev = "0".repeat(64);
    for (index, line) in lines(&world.bytes()).into_iter().enumerate() {
        let text = std::str::from_utf8(line).unwrap().trim_end();
        let json: Value = serde_json::from_str(text).unwrap();
        let (content, _) = text.rsplit_once(",\"hash\":").unwrap();
        assert_eq!(json["seq"], index + 1);
        assert_eq!(json["prev"], *prev);
        assert_eq!(json["hash"], format!("{:x}", Sha256::digest(content)));
        prev = json["hash"].as_str().unwrap().to_owned();
    }
    assert_eq!(told(&world.path()), values(&world.events));

    let summary = world.verify().unwrap();
    assert_eq!(summary.records, world.events.len() as u64);
    assert_eq!(summary.head, prev);
    assert_eq!(summary.first, Some(world.events[0].at));
    assert_eq!(summary.last, world.events.last().map(|event| event.at));
    assert_eq!(summary.runs, [world.events[0].run_id]);
    assert_eq!(summary.torn, 0);
    assert!(summary.end_known);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().await;
    for path in [world.path(), world.head()] {
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[tokio::test]
async fn no_password_reaches_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let (events, store) = run(20).await;
    AuditFile::open(&path)
        .unwrap()
        .append(&events)
        .await
        .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let revealed: Vec<_> = store.reveal(Select::All).collect().await;
    assert_eq!(revealed.len(), 20);
    for found in revealed {
        let password = found.unwrap().1;
        let escaped = serde_json::to_string(password.expose()).unwrap();
        assert!(!text.contains(password.expose()) && !text.contains(escaped.trim_matches('"')));
    }
}

#[tokio::test]
async fn every_removed_repeated_or_moved_line_is_detected() {
    use AuditBreak::{EndMissing, OutOfOrder, Rewritten};
    for world in [World::new().await, World::torn().await] {
        let bytes = world.bytes();
        let lines = lines(&bytes);
        // with a torn line, a line that does not follow may also be what no longer fits it
        let all = [
            OutOfOrder,
            EndMissing,
            Rewritten,
            AuditBreak::CutShort,
            AuditBreak::NotJson,
        ];
        let kinds = if world.verify().unwrap().torn == 0 {
            &all[..3]
        } else {
            &all[..]
        };
        for here in 0..lines.len() {
            let mut removed = lines.clone();
            removed.remove(here);
            world.assert_detected(&removed.concat(), kinds, &format!("without line {here}"));
            for there in 0..=lines.len() {
                let mut repeated = lines.clone();
                repeated.insert(there, lines[here]);
                world.assert_detected_or_torn(
                    &repeated.concat(),
                    &format!("line {here} again at {there}"),
                );
            }
            for there in 0..here {
                let mut swapped = lines.clone();
                swapped.swap(here, there);
                world.assert_detected(
                    &swapped.concat(),
                    kinds,
                    &format!("{here} and {there} swapped"),
                );
            }
        }
    }
}

#[tokio::test]
async fn every_altered_byte_is_detected() {
    for world in [World::new().await, World::torn().await] {
        let bytes = world.bytes();
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 1 << (index % 8);
            for answer in world.changed(&altered) {
                let detected = matches!(answer, Err(AuditError::Broken { .. }));
                assert!(detected, "byte {index}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_line_that_is_altered_and_sealed_anew_does_not_fit_the_next_one() {
    let world = World::new().await;
    let bytes = world.bytes();
    for index in 0..lines(&bytes).len() {
        let mut lines = lines(&bytes);
        let text = std::str::from_utf8(lines[index]).unwrap();
        let (content, _) = text.rsplit_once(",\"hash\":").unwrap();
        let content = content.replacen("\"tenant\":\"", "\"tenant\":\"x", 1);
        let hash = format!("{:x}", Sha256::digest(&content));
        let forged = format!("{content},\"hash\":\"{hash}\"}}\n");
        lines[index] = forged.as_bytes();
        let kinds = [AuditBreak::OutOfOrder, AuditBreak::Rewritten];
        let kind = &kinds[usize::from(index + 1 == lines.len())..];
        world.assert_detected(&lines.concat(), &kind[..1], &format!("line {index}"));
    }
}

#[tokio::test]
async fn every_altered_bit_of_the_head_is_detected_and_nothing_is_written() {
    let world = World::new().await;
    let (record, head) = (world.bytes(), fs::read(world.head()).unwrap());
    for index in 0..head.len() - 1 {
        for bit in 0..8 {
            let mut flipped = head.clone();
            flipped[index] ^= 1 << bit;
            fs::write(world.head(), &flipped).unwrap();
            assert!(
                world.verify().is_err(),
                "byte {index}, bit {bit}: {}",
                String::from_utf8_lossy(&flipped)
            );
            assert!(
                AuditFile::open(world.path()).is_err(),
                "byte {index}, bit {bit}"
            );
            assert_eq!(world.bytes(), record);
            assert_eq!(fs::read(world.head()).unwrap(), flipped);
        }
    }
}

#[tokio::test]
async fn a_cut_at_any_byte_is_detected_by_the_head_and_nothing_is_written() {
    let world = World::new().await;
    let bytes = world.bytes();
    for length in 0..bytes.len() {
        let cut = &bytes[..length];
        world.assert_detected(
            cut,
            &[
                AuditBreak::EndMissing,
                AuditBreak::Rewritten,
                AuditBreak::CutShort,
            ],
            &format!("cut to {length}"),
        );
        fs::write(world.path(), cut).unwrap();
        assert_eq!(kind(world.verify()), AuditBreak::EndMissing);
        assert_eq!(
            kind(AuditFile::open(world.path())),
            AuditBreak::EndMissing,
            "cut to {length}"
        );
        assert_eq!(world.bytes(), cut);
        fs::write(world.path(), &bytes).unwrap();
    }
}

#[tokio::test]
async fn without_a_head_a_cut_line_is_reported_as_torn() {
    let world = World::new().await;
    let bytes = world.bytes();
    let first = lines(&bytes)[0].len();
    fs::remove_file(world.head()).unwrap();
    for length in first..bytes.len() {
        fs::write(world.path(), &bytes[..length]).unwrap();
        let summary = world.verify().unwrap();
        assert_eq!(
            summary.torn,
            u64::from(bytes[length - 1] != b'\n'),
            "cut to {length}"
        );
        assert_eq!(
            summary.records as usize,
            lines(&bytes[..length]).len() - summary.torn as usize
        );
        assert!(!summary.end_known);
    }
}

/// Puts both files back to what they were before the second group, then lets the crash leave `left` of it.
fn crash(world: &World, first: &(Vec<u8>, Vec<u8>), left: &[u8]) {
    fs::write(world.path(), [&first.0, left].concat()).unwrap();
    fs::write(world.head(), &first.1).unwrap();
}

#[tokio::test]
async fn a_crash_at_any_byte_of_a_group_costs_nothing_acknowledged() {
    let (world, first, group) = before_a_crash().await;
    for length in 0..=group.len() {
        let left = &group[..length];
        crash(&world, &first, left);
        let seen = world.verify().unwrap();
        assert_eq!(
            seen.torn,
            u64::from(length > 0 && left[length - 1] != b'\n'),
            "left {length}"
        );

        let audit = AuditFile::open(world.path()).unwrap();
        assert_eq!(
            world.bytes(),
            [&first.0, left].concat(),
            "opening writes nothing"
        );
        audit.append(&world.events[..1]).await.unwrap();
        let after = world.verify().unwrap();
        assert_eq!(after.torn, seen.torn, "left {length}");
        assert_eq!(after.records, seen.records + seen.torn + 1);
        let mut expected = values(&world.events[..seen.records as usize]);
        expected.extend(values(&world.events[..1]));
        assert_eq!(told(&world.path()), expected, "left {length}");
        assert!(
            world.bytes().starts_with(&first.0),
            "nothing that was there is written over"
        );
    }
}

/// A record of two events, and what two more add to it.
async fn before_a_crash() -> (World, (Vec<u8>, Vec<u8>), Vec<u8>) {
    let world = World {
        dir: tempfile::tempdir().unwrap(),
        events: run(1).await.0,
    };
    let audit = AuditFile::open(world.path()).unwrap();
    audit.append(&world.events[..2]).await.unwrap();
    let first = (world.bytes(), fs::read(world.head()).unwrap());
    audit.append(&world.events[2..4]).await.unwrap();
    let group = world.bytes()[first.0.len()..].to_vec();
    (world, first, group)
}

#[tokio::test]
async fn a_crash_while_a_torn_line_is_closed_costs_nothing_either() {
    let (world, first, group) = before_a_crash().await;
    for (length, step) in [(40, 1), (group.len() - 1, 7)] {
        crash(&world, &first, &group[..length]);
        AuditFile::open(world.path())
            .unwrap()
            .append(&world.events[..1])
            .await
            .unwrap();
        let closing = world.bytes()[first.0.len()..].to_vec();
        for again in (length..=closing.len()).step_by(step) {
            crash(&world, &first, &closing[..again]);
            AuditFile::open(world.path())
                .unwrap()
                .append(&world.events[..1])
                .await
                .unwrap();
            let summary = world.verify().unwrap();
            assert!(
                (1..=2).contains(&summary.torn),
                "{length}, {again}: {}",
                summary.torn
            );
            assert_eq!(told(&world.path())[..2], values(&world.events[..2]));
        }
    }
}

#[tokio::test]
async fn what_a_power_cut_leaves_of_a_group_is_told_as_torn() {
    let (world, first, group) = before_a_crash().await;
    let hole = {
        let mut group = group.clone();
        group[..100].fill(0);
        group
    };
    for left in [
        vec![0; 5000],
        hole,
        b"\n\n\xff\n".to_vec(),
        vec![b'x'; (4 << 20) + 7],
    ] {
        crash(&world, &first, &left);
        let seen = world.verify().unwrap();
        assert_eq!((seen.records, seen.torn > 0), (2, true));
        AuditFile::open(world.path())
            .unwrap()
            .append(&world.events[..1])
            .await
            .unwrap();
        let after = world.verify().unwrap();
        assert_eq!((after.records, after.torn), (4, seen.torn));
        let marker = &records(&world.path(), AuditFilter::default())[2];
        let torn = &world.bytes()[first.0.len()..]
            [..marker.fields["torn"]["bytes"].as_u64().unwrap() as usize];
        assert_eq!((marker.event.as_str(), marker.run_id), ("torn", None));
        assert!(torn.starts_with(&left));
        assert_eq!(
            marker.fields["torn"]["sha256"],
            format!("{:x}", Sha256::digest(torn))
        );
    }
}

#[tokio::test]
async fn a_rewritten_record_does_not_fit_the_head_of_the_old_one() {
    let (one, other) = (World::new().await, World::new().await);
    fs::copy(other.path(), one.path()).unwrap();
    assert_eq!(kind(one.verify()), AuditBreak::Rewritten);
    assert_eq!(kind(AuditFile::open(one.path())), AuditBreak::Rewritten);
    let head = other.verify().unwrap().head;
    assert_eq!(
        kind(AuditFile::verify(other.path(), Some(&"0".repeat(63)))),
        AuditBreak::Rewritten
    );
    AuditFile::open(other.path())
        .unwrap()
        .append(&other.events)
        .await
        .unwrap();
    assert!(
        AuditFile::verify(other.path(), Some(&head)).is_ok(),
        "an older head occurs"
    );
}

#[tokio::test]
async fn a_file_that_is_no_record_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    for content in [
        "shopping list",
        "shopping\nlist\n",
        "{}\n",
        "{\"seq\":1}\n",
        "\n",
        "[",
        "\u{0}",
    ] {
        fs::write(&path, content).unwrap();
        for error in [
            AuditFile::open(&path).unwrap_err(),
            AuditFile::verify(&path, None).unwrap_err(),
        ] {
            assert!(
                matches!(error, AuditError::Broken { line: 1, .. }),
                "{error}"
            );
            let problem = error.problem();
            assert!(
                problem.message.contains("notes.txt, line 1: found "),
                "{problem}"
            );
            assert!(problem.message.contains("expected record 1"), "{problem}");
            assert!(problem.fix.is_some());
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }
    for unreadable in [dir.path().to_owned(), dir.path().join("no/such/directory")] {
        assert!(matches!(
            AuditFile::open(unreadable),
            Err(AuditError::Unavailable { .. })
        ));
    }
}

#[tokio::test]
async fn damage_near_the_end_is_refused_before_anything_is_appended() {
    let world = World::new().await;
    let mut bytes = world.bytes();
    let near = bytes.len() - 200;
    bytes[near] ^= 1;
    fs::write(world.path(), &bytes).unwrap();
    assert_eq!(kind(AuditFile::open(world.path())), AuditBreak::Altered);
    assert_eq!(world.bytes(), bytes);
}

#[tokio::test]
async fn a_record_that_is_cut_replaced_or_moved_while_it_is_open_is_not_continued() {
    for harm in [
        |world: &World| fs::write(world.path(), &world.bytes()[..100]).unwrap(),
        |world: &World| fs::rename(world.path(), world.dir.path().join("away")).unwrap(),
        |world: &World| {
            fs::remove_file(world.path()).unwrap();
            fs::remove_file(world.head()).unwrap();
            AuditFile::open(world.path()).unwrap();
        },
    ] {
        let world = World::new().await;
        let audit = AuditFile::open(world.path()).unwrap();
        audit.append(&world.events).await.unwrap();
        harm(&world);
        let left = fs::read(world.path()).ok();
        audit.append(&world.events).await.unwrap_err();
        assert_eq!(fs::read(world.path()).ok(), left);
    }
}

#[tokio::test]
async fn a_lost_head_is_written_again() {
    let world = World::new().await;
    fs::remove_file(world.head()).unwrap();
    assert!(!world.verify().unwrap().end_known);
    AuditFile::open(world.path())
        .unwrap()
        .append(&world.events)
        .await
        .unwrap();
    let summary = world.verify().unwrap();
    assert_eq!((summary.end_known, summary.torn), (true, 0));
    assert_eq!(summary.records as usize, 2 * world.events.len());
}

#[tokio::test]
async fn a_head_that_cannot_be_written_is_an_error_and_later_made_good() {
    let world = World::new().await;
    let audit = AuditFile::open(world.path()).unwrap();
    let obstacle = world.path().with_added_extension("head.new");
    fs::create_dir(&obstacle).unwrap();
    for _ in 0..2 {
        let error = audit.append(&world.events).await.unwrap_err();
        assert!(matches!(error, AuditError::Unavailable { .. }), "{error}");
    }
    fs::remove_dir(&obstacle).unwrap();
    audit.append(&world.events).await.unwrap();
    let summary = world.verify().unwrap();
    assert_eq!(summary.records as usize, 4 * world.events.len());
    assert_eq!(summary.torn, 0);
}

#[tokio::test]
async fn read_gives_what_the_filter_wants() {
    type Wanted<'a> = &'a dyn Fn(&AuditRecord) -> bool;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let audit = AuditFile::open(&path).unwrap();
    let runs = [run(3).await.0, run(2).await.0];
    for events in &runs {
        audit.append(events).await.unwrap();
    }
    let all = records(&path, AuditFilter::default());
    assert_eq!(all.len(), runs[0].len() + runs[1].len());
    assert!(all.iter().zip(1..).all(|(record, seq)| record.seq == seq));
    let with = AuditFilter::default;
    let cases: [(AuditFilter, Wanted<'_>); 3] = [
        (
            AuditFilter {
                run: Some(runs[1][0].run_id),
                ..with()
            },
            &|record| record.run_id == Some(runs[1][0].run_id),
        ),
        (
            AuditFilter {
                tenant: Some(TenantId::new("elsewhere")),
                ..with()
            },
            &|_| false,
        ),
        (
            AuditFilter {
                since: Some(all[4].at),
                until: Some(all[9].at),
                ..with()
            },
            &|record| record.at >= all[4].at && record.at < all[9].at,
        ),
    ];
    for (filter, wanted) in cases {
        let expected: Vec<_> = all
            .iter()
            .filter(|record| wanted(record))
            .cloned()
            .collect();
        assert_eq!(records(&path, filter.clone()), expected, "{filter:?}");
    }
    let account = all
        .iter()
        .find_map(|record| record.fields.get("account"))
        .unwrap();
    let of_account = AuditFilter {
        account: Some(AccountId::new(account.as_str().unwrap())),
        ..with()
    };
    let found = records(&path, of_account);
    assert!(found.len() > 1 && found.len() < all.len());
    assert!(
        found
            .iter()
            .all(|record| record.fields["account"] == *account)
    );
}

#[tokio::test]
async fn read_ends_at_the_first_break() {
    let world = World::new().await;
    let bytes = world.bytes();
    let mut lines = lines(&bytes);
    lines.remove(2);
    fs::write(world.path(), lines.concat()).unwrap();
    let found: Vec<_> = AuditFile::read(world.path(), AuditFilter::default())
        .unwrap()
        .collect();
    assert_eq!(found.len(), 3);
    assert!(found[..2].iter().all(Result::is_ok));
    assert!(matches!(
        found[2],
        Err(AuditError::Broken {
            line: 3,
            kind: AuditBreak::OutOfOrder,
            ..
        })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_of_many_openers_keep_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let openers: Vec<_> = (0..3).map(|_| AuditFile::open(&path).unwrap()).collect();
    let runs: Vec<_> = join_all((0..9).map(|_| run(2)))
        .await
        .into_iter()
        .map(|(events, _)| events)
        .collect();
    let tasks = runs.iter().enumerate().map(|(index, events)| {
        let (audit, events) = (openers[index % 3].clone(), events.clone());
        tokio::spawn(async move {
            for event in events {
                audit.append(&[event]).await.unwrap();
            }
        })
    });
    try_join_all(tasks).await.unwrap();
    let summary = AuditFile::verify(&path, None).unwrap();
    assert_eq!(
        summary.records as usize,
        runs.iter().map(Vec::len).sum::<usize>()
    );
    assert_eq!((summary.torn, summary.runs.len()), (0, runs.len()));
    for events in &runs {
        let of_run = AuditFilter {
            run: Some(events[0].run_id),
            ..AuditFilter::default()
        };
        let seen: Vec<_> = records(&path, of_run)
            .iter()
            .map(|record| record.at)
            .collect();
        assert_eq!(
            seen,
            events.iter().map(|event| event.at).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_a_sound_record() {
    let world = World::new().await;
    let audit = AuditFile::open(world.path()).unwrap();
    for _ in 0..20 {
        let mut call = audit.append(&world.events);
        assert!(futures::poll!(&mut call).is_pending());
        drop(call);
    }
    audit.append(&world.events).await.unwrap();
    let summary = world.verify().unwrap();
    assert_eq!(summary.records as usize, 22 * world.events.len());
}

const CHILD: &str = "ROTATION_TEST_AUDIT_FILE";

/// Not a test by itself: what the killed processes of the next one do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let audit = AuditFile::open(path).unwrap();
    let callers = (0..4).map(|_| {
        let audit = audit.clone();
        tokio::spawn(async move {
            loop {
                let events = run(1).await.0;
                audit.append(&events).await.unwrap();
                println!("acknowledged {} {}", events[0].run_id, events.len());
            }
        })
    });
    join_all(callers).await;
}

#[tokio::test]
async fn processes_killed_at_any_moment_keep_one_chain_and_lose_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let mut acknowledged = HashSet::new();
    for round in 1..=12 {
        let spawn = |_| {
            Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "audit::child_that_appends_until_it_is_killed",
                    "--nocapture",
                ])
                .env(CHILD, &path)
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit())
                .spawn()
                .unwrap()
        };
        let children: Vec<_> = (0..2).map(spawn).collect();
        for mut child in children {
            let mut said = 0;
            let lines = BufReader::new(child.stdout.take().unwrap())
                .lines()
                .map_while(Result::ok);
            let _all = lines
                .filter(|line| line.starts_with("acknowledged "))
                .try_for_each(|line| {
                    acknowledged.insert(line);
                    said += 1;
                    if said == 5 * round {
                        // whatever it does just now
                        child.kill().unwrap();
                    }
                    ControlFlow::<()>::Continue(())
                });
            child.wait().unwrap();
        }
        let summary = AuditFile::verify(&path, None).unwrap();
        assert!(summary.end_known);
    }
    let mut counts = std::collections::HashMap::new();
    for record in records(&path, AuditFilter::default()) {
        *counts.entry(record.run_id).or_insert(0_usize) += 1;
    }
    let found: HashSet<_> = counts
        .iter()
        .filter_map(|(run, count)| Some(format!("acknowledged {} {count}", (*run)?)))
        .collect();
    assert!(acknowledged.len() >= 12);
    assert_eq!(
        acknowledged.difference(&found).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
}

#[tokio::test]
async fn the_record_in_memory_keeps_order_and_fails_when_told() {
    let (audit, events) = (MemoryAudit::new(), run(1).await.0);
    audit.append(&events[..2]).await.unwrap();
    audit.fail_after(1);
    audit.append(&events[2..3]).await.unwrap();
    audit.append(&events[..2]).await.unwrap_err();
    audit.append(&events[..2]).await.unwrap_err();
    audit.heal();
    audit.append(&events[..1]).await.unwrap();
    let expected = [0, 1, 2, 0, 0, 0].map(|index: usize| events[index].clone());
    assert_eq!(values(&audit.events()), values(&expected));
    assert_eq!(audit.calls(), 5);
}
