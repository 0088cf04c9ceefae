//! Workers that die, hang, or write what is no answer: what was under way is unknown unless it certainly was not heard, and
//! the next request is answered by another worker.

use std::time::Duration;

use backend_powershell_compat::{Dialect, PowerShellBackend};
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt, stream};
use rotation_core::{AccountQuery, Outcome, RefusalReason, RotationBackend};
use serde_json::json;

use crate::workshop::{DIALECTS, PASSWORD, Workshop, gone, id, request, told};

/// What a worker does to one request to set a password, what becomes of it, and whether the password is set.
const FAULTS: &[(&str, &str, bool)] = &[
    ("dies-before", "unknown", false),
    ("hangs-before", "unknown", false),
    ("floods-forever", "unknown", false),
    ("floods", "applied", true),
    ("warns", "applied", true),
    ("betrays", "applied", true),
    ("dies-after", "unknown", true),
    ("aborts-after", "unknown", true),
    ("hangs-after", "unknown", true),
    ("half-a-line", "unknown", true),
    ("half-a-line-hangs", "unknown", true),
    ("prose", "unknown", true),
    ("part", "unknown", true),
    ("other-id", "unknown", true),
    ("earlier-id", "unknown", true),
    ("endless-answer", "unknown", true),
    ("empty-yes", "unknown", true),
    ("says-200", "unknown", true),
    ("loses-the-answer", "unknown", true),
    ("betrays-in-error", "unknown", true),
    ("refuses", "not sent", false),
    // The second answer is nobody's.
    ("twice", "applied", true),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_worker_does_the_outcome_is_true_and_the_next_one_does_better() {
    let cells = DIALECTS
        .into_iter()
        .flat_map(|dialect| FAULTS.iter().map(move |fault| (dialect, fault)));
    let cells: Vec<_> = cells.collect();
    let count = cells.len();
    stream::iter(cells)
        .for_each_concurrent(6, |(dialect, fault)| play(dialect, fault))
        .await;
    println!("{count} faults of a worker");
}

async fn play(dialect: Dialect, (fault, expected, is_set): &(&str, &str, bool)) {
    let cell = format!("{dialect}: {fault}");
    let workshop = Workshop::new().await;
    let backend = workshop.backend(dialect);
    let user = workshop.first();
    let before = workshop.set_password(&backend).await;
    assert_eq!(told(&before), "applied", "{cell}: {before:?}");

    workshop.fault("set", fault);
    let outcome = backend
        .set_password(&request(&user, "An0ther!Passw0rd"))
        .await;
    assert_eq!(told(&outcome), *expected, "{cell}: {outcome:?}");
    assert_eq!(workshop.faults_left(), 0, "{cell}");
    let live = if *is_set {
        "An0ther!Passw0rd"
    } else {
        PASSWORD
    };
    assert!(
        workshop.tenant().current_password_is(user.id, live),
        "{cell}"
    );
    assert!(!format!("{outcome:?}").contains("An0ther"), "{cell}");

    for password in ["Th1rd!Passw0rd", "F0urth!Passw0rd"] {
        let mut outcome = backend.set_password(&request(&user, password)).await;
        // Its second answer may come when the next request is under way, which nobody can trust then.
        if *fault == "twice" && outcome.is_ambiguous() {
            outcome = backend.set_password(&request(&user, password)).await;
        }
        assert_eq!(told(&outcome), "applied", "{cell}: {outcome:?}");
        assert!(
            workshop.tenant().current_password_is(user.id, password),
            "{cell}"
        );
    }
}

#[tokio::test]
async fn a_worker_that_died_in_between_is_replaced_before_anything_is_sent() {
    let workshop = Workshop::new().await;
    let backend = workshop.backend(Dialect::MicrosoftGraph);
    assert_eq!(told(&workshop.set_password(&backend).await), "applied");
    let [pid] = workshop.pids()[..] else {
        panic!("{:?}", workshop.pids());
    };
    let killed = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(killed, rustix::process::Signal::KILL).unwrap();
    gone(pid).await;
    assert_eq!(told(&workshop.set_password(&backend).await), "applied");
    assert_eq!(workshop.processes().len(), 2);
}

#[tokio::test]
async fn a_process_is_used_for_many_requests_and_ended_when_it_idles() {
    let workshop = Workshop::new().await;
    let config = workshop.config(Dialect::MicrosoftGraph).with_workers(1);
    let config = config.with_idle_timeout(Duration::from_millis(300));
    let backend = PowerShellBackend::new(config).unwrap();
    for _ in 0..5 {
        assert_eq!(told(&workshop.set_password(&backend).await), "applied");
    }
    let [pid] = workshop.pids()[..] else {
        panic!("{:?}", workshop.pids());
    };
    gone(pid).await;
    assert_eq!(told(&workshop.set_password(&backend).await), "applied");
    assert_eq!(workshop.processes().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_never_more_processes_than_workers_and_all_are_used() {
    let workshop = Workshop::with_accounts(80).await;
    workshop.set(&json!({"delay_ms": 30}));
    let config = workshop.config(Dialect::MicrosoftGraph).with_workers(3);
    let backend = PowerShellBackend::new(config).unwrap();
    let users = workshop.ordinary();
    let users = &users[..30];
    let outcomes = join_all(
        users
            .iter()
            .map(async |user| backend.set_password(&request(user, PASSWORD)).await),
    );
    for outcome in outcomes.await {
        assert_eq!(told(&outcome), "applied", "{outcome:?}");
    }
    assert_eq!(workshop.processes().len(), 3);
}

/// Whoever waits for a worker was not heard yet, and whoever leaves takes nobody else's turn.
#[tokio::test]
async fn a_request_that_is_dropped_while_it_waits_is_never_sent() {
    let workshop = Workshop::new().await;
    workshop.set(&json!({"delay_ms": 200}));
    let backend =
        PowerShellBackend::new(workshop.config(Dialect::MicrosoftGraph).with_workers(1)).unwrap();
    backend.diagnose().await.unwrap();
    let users = workshop.ordinary();
    let first = request(&users[0], PASSWORD);
    let second = request(&users[1], PASSWORD);
    let sets = workshop.tenant().password_sets(users[1].id);
    {
        let waiting = async {
            let set = backend.set_password(&second);
            let patience = Duration::from_millis(100);
            assert!(tokio::time::timeout(patience, set).await.is_err());
        };
        let (outcome, ()) = futures::join!(backend.set_password(&first), waiting);
        assert_eq!(told(&outcome), "applied");
    }
    assert_eq!(told(&workshop.set_password(&backend).await), "applied");
    assert_eq!(workshop.tenant().password_sets(users[1].id), sets);
}

/// What was asked last must be live in the end, though another worker was free while the first was at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_waits_until_an_earlier_one_of_its_account_is_done_with() {
    for dialect in [Dialect::MicrosoftGraph, Dialect::ActiveDirectory] {
        let workshop = Workshop::new().await;
        let backend = PowerShellBackend::new(workshop.config(dialect).with_workers(3)).unwrap();
        let user = workshop.first();
        let account = id(&user);
        join_all((0..3).map(|_| backend.password_changed(&account))).await;
        assert!(workshop.processes().len() > 1, "{dialect}");
        workshop.fault("set", "naps-before");
        let first = request(&user, "Tr0ub4dor&3-first");
        let heard = async {
            while workshop.faults_left() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            outcome = backend.set_password(&first) => panic!("{dialect}: {outcome:?}"),
            () = heard => {}
        }
        let outcome = backend.set_password(&request(&user, PASSWORD)).await;
        assert_eq!(told(&outcome), "applied", "{dialect}");
        let arrived = || workshop.tenant().password_sets(user.id);
        assert_eq!(arrived(), 2, "{dialect}: the first was not seen through");
        assert!(workshop.tenant().current_password_is(user.id, PASSWORD));
    }
}

#[tokio::test]
async fn a_worker_that_hangs_while_it_reads_makes_the_listing_end_with_an_error() {
    for (dialect, op) in [
        (Dialect::MicrosoftGraph, "get"),
        (Dialect::ActiveDirectory, "users"),
        (Dialect::ActiveDirectory, "protected"),
        (Dialect::AzureAd, "users"),
    ] {
        for fault in [
            "hangs-before",
            "dies-after",
            "half-a-line",
            "prose",
            "other-id",
        ] {
            let workshop = Workshop::new().await;
            let backend = workshop.backend(dialect);
            if dialect == Dialect::MicrosoftGraph {
                // What changes nothing is asked once more.
                workshop.fault(op, fault);
                let listed = backend.accounts(AccountQuery::All);
                let listed: Vec<_> = listed.try_collect().await.unwrap();
                assert_eq!(listed.len(), workshop.tenant().users().len(), "{fault}");
            }
            workshop.fault(op, &format!("{fault}-stays"));
            let listed: Vec<_> = backend.accounts(AccountQuery::All).collect().await;
            let errors = listed.iter().filter(|account| account.is_err()).count();
            assert_eq!(errors, 1, "{dialect} {op} {fault}");
            assert!(listed.last().unwrap().is_err(), "{dialect} {op} {fault}");
            workshop.heal();
            let again: Vec<_> = backend
                .accounts(AccountQuery::All)
                .try_collect()
                .await
                .unwrap();
            let count = workshop.tenant().users().len();
            assert_eq!(again.len(), count, "{dialect} {op} {fault}");
        }
    }
}

#[tokio::test]
async fn a_domain_controller_that_is_down_is_told_from_one_that_lost_the_connection() {
    let workshop = Workshop::new().await;
    let backend = workshop.backend(Dialect::ActiveDirectory);
    backend.diagnose().await.unwrap();
    // asked for the account first, before anything is sent
    let base = workshop.server.base_url().to_owned();
    let user = workshop.first();
    drop(workshop.server);
    let outcome = backend.set_password(&request(&user, PASSWORD)).await;
    assert_eq!(told(&outcome), "not sent", "{base}: {outcome:?}");
    assert_eq!(
        backend
            .accounts(AccountQuery::Named(vec![id(&user).to_string()]))
            .count()
            .await,
        1
    );
    let Outcome::NotSent(problem) = outcome else {
        unreachable!()
    };
    assert!(problem.fix.is_some());
}

#[tokio::test]
async fn a_refusal_whose_words_resemble_the_password_is_a_refusal() {
    for dialect in DIALECTS {
        let workshop = Workshop::new().await;
        let backend = workshop.backend(dialect);
        let outcome = backend
            .set_password(&request(&workshop.first(), "passwor"))
            .await;
        let Outcome::Refused(refusal) = &outcome else {
            panic!("{dialect}: {outcome:?}");
        };
        assert_eq!(refusal.reason, RefusalReason::Password, "{dialect}");
        assert!(
            !refusal.problem.message.contains("passwor "),
            "{dialect}: {outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_without_end_are_not_gathered() {
    let workshop = Workshop::new().await;
    let backend = workshop.backend(Dialect::ActiveDirectory);
    workshop.fault("protected", "endless-parts-stays");
    let listed: Vec<_> = backend.accounts(AccountQuery::All).collect().await;
    let error = listed.last().unwrap().as_ref().unwrap_err();
    assert!(error.to_string().contains("without end"), "{error}");
}
