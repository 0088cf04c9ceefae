use std::time::Duration;

use rotation_core::testkit::{StoreFault, StoreOp};
use rotation_core::{Problem, SecretStore, Select, StoreError, VersionState};
use secret_stores::lag;
use tokio::time::Instant;

use crate::workshop::{HOUR, Workshop, account, commit, stage, version};

const CURRENT: VersionState = VersionState::Current;

fn one(password: &str) -> Vec<(String, VersionState)> {
    vec![(password.to_owned(), CURRENT)]
}

#[tokio::test(start_paused = true)]
async fn what_becomes_current_reaches_the_copy_as_it_is_and_nothing_else_does() {
    let workshop = Workshop::new();
    let mirror = workshop.mirror().await;
    let [kept, pending, dropped] =
        [1, 2, 3].map(|number| version(workshop.run, number, &format!("password-{number}")));
    for new in [&kept, &pending, &dropped] {
        stage(&mirror, new).await.unwrap();
    }
    commit(&mirror, &kept).await.unwrap();
    mirror.discard(&dropped.key).await.unwrap();
    let behind = mirror.close(HOUR).await.remove(0);
    assert_eq!((behind.versions, behind.problem), (0, None));
    assert_eq!(workshop.copied().await, one("password-1"));
    let in_primary = workshop.primary.versions_of(&kept.key.account);
    assert_eq!(workshop.copy.versions_of(&kept.key.account), in_primary);
}

/// Every call to the copy fails or loses its answer, once to three times, at the first to the third time it is made.
#[tokio::test(start_paused = true)]
async fn a_copy_that_fails_for_a_while_gets_everything_in_the_end() {
    let mut cells = 0;
    for op in [
        StoreOp::Lease,
        StoreOp::Stage,
        StoreOp::Commit,
        StoreOp::Release,
    ] {
        for is_lost in [false, true] {
            for (times, skip) in [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 2)] {
                let workshop = Workshop::new();
                let fault = StoreFault::on(op).times(times).skip(skip);
                workshop
                    .copy
                    .inject(if is_lost { fault.answer_lost() } else { fault });
                let mirror = workshop.mirror().await;
                for round in 0..3 {
                    for number in 0..3 {
                        let password = format!("password-{round}-{number}");
                        workshop.rotate(&mirror, number, &password).await;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                let behind = mirror.close(HOUR).await.remove(0);
                assert_eq!(behind.versions, 0, "{op:?} {is_lost} {times} {skip}");
                for number in 0..3 {
                    let password = format!("password-2-{number}");
                    let state = workshop.copy.state_of_password(&account(number), &password);
                    assert_eq!(state, Some(CURRENT), "{op:?} {is_lost} {times} {skip}");
                }
                cells += 1;
            }
        }
    }
    println!("{cells} faults of a copy");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_down_for_good_costs_nothing_but_itself() {
    let workshop = Workshop::new();
    for op in [
        StoreOp::Lease,
        StoreOp::Stage,
        StoreOp::Commit,
        StoreOp::Release,
    ] {
        workshop.copy.inject(StoreFault::on(op).forever());
    }
    let mirror = workshop.mirror().await;
    let begun = Instant::now();
    for number in 0..100 {
        workshop.rotate(&mirror, number, "password").await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let behind = mirror.close(Duration::from_secs(30)).await.remove(0);
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
    assert_eq!((behind.name.as_str(), behind.versions), ("copy", 100));
    assert_eq!(behind.accounts.len(), 10);
    assert!(behind.problem.unwrap().contains("made Lease fail"));
    assert_eq!(workshop.copied().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_slow_copy_slows_nothing_down() {
    let workshop = Workshop::new();
    for op in [
        StoreOp::Lease,
        StoreOp::Stage,
        StoreOp::Commit,
        StoreOp::Release,
    ] {
        let slow = StoreFault::on(op).delayed(Duration::from_secs(400));
        workshop.copy.inject(slow.forever());
    }
    let mirror = workshop.mirror().await;
    let begun = Instant::now();
    workshop.rotate(&mirror, 1, "password").await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    // Slower than its lease lives, so that it can never stage.
    let behind = mirror.close(HOUR).await.remove(0);
    assert_eq!(behind.versions, 1);

    let workshop = Workshop::new();
    let a_bit_slow = StoreFault::on(StoreOp::Stage).delayed(Duration::from_secs(100));
    workshop.copy.inject(a_bit_slow.forever());
    let mirror = workshop.mirror().await;
    workshop.rotate(&mirror, 1, "another").await;
    assert_eq!(mirror.close(HOUR).await.remove(0).versions, 0);
    let state = workshop.copy.state_of_password(&account(1), "another");
    assert_eq!(state, Some(CURRENT));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_a_copy_refuses_holds_up_no_other() {
    let workshop = Workshop::new();
    let refusal = StoreError::Unusable(Problem::new("not this one"));
    let fault = StoreFault::on(StoreOp::Stage).with_error(refusal);
    workshop
        .copy
        .inject(fault.for_account(account(0)).forever());
    let mirror = workshop.mirror().await;
    workshop.rotate(&mirror, 0, "refused").await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    for number in 1..200 {
        workshop.rotate(&mirror, number, "password").await;
    }
    let behind = mirror.close(HOUR).await.remove(0);
    assert_eq!((behind.versions, behind.accounts), (1, vec![account(0)]));
    assert_eq!(behind.problem.unwrap(), "not this one");
    assert_eq!(workshop.copied().await.len(), 199);
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_copied_when_it_is_asked_for_again() {
    let workshop = Workshop::new();
    let mirror = workshop.mirror().await;
    let new = version(workshop.run, 1, "password");
    stage(&mirror, &new).await.unwrap();
    workshop
        .primary
        .inject(StoreFault::on(StoreOp::Commit).answer_lost());
    commit(&mirror, &new).await.unwrap_err();
    commit(&mirror, &new).await.unwrap();
    assert_eq!(mirror.close(HOUR).await.remove(0).versions, 0);
    assert_eq!(workshop.copied().await, one("password"));
}

#[tokio::test(start_paused = true)]
async fn what_the_primary_refuses_reaches_no_copy() {
    let workshop = Workshop::new();
    let mirror = workshop.mirror().await;
    for op in [StoreOp::Stage, StoreOp::Commit] {
        let new = version(workshop.run, 1, "password");
        workshop.primary.inject(StoreFault::on(op).times(2));
        assert!(stage(&mirror, &new).await.is_err() || commit(&mirror, &new).await.is_err());
        workshop.primary.heal();
    }
    mirror.close(HOUR).await;
    assert_eq!(workshop.copied().await, []);
    assert_eq!(workshop.copy.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_copy_lags_until_the_next_rotation() {
    let workshop = Workshop::new();
    let slow = StoreFault::on(StoreOp::Stage).delayed(HOUR);
    workshop.copy.inject(slow);
    let mirror = workshop.mirror().await;
    workshop.rotate(&mirror, 1, "lost to the copy").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(mirror);

    let compare = async || {
        let primary = workshop.primary.versions(Select::All);
        let copy = workshop.copy.versions(Select::All);
        lag(primary, copy).await.unwrap()
    };
    let found = compare().await;
    assert_eq!((found.accounts, found.named), (1, vec![account(1)]));

    let mirror = workshop.mirror().await;
    workshop.rotate(&mirror, 1, "password").await;
    assert_eq!(mirror.close(HOUR).await.remove(0).versions, 0);
    assert_eq!(compare().await.accounts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_closed_mirror_still_stores_and_says_that_it_does_not_copy() {
    let workshop = Workshop::new();
    let mirror = workshop.mirror().await;
    mirror.close(HOUR).await;
    workshop.rotate(&mirror, 1, "password").await;
    assert_eq!(mirror.close(HOUR).await.remove(0).versions, 1);
    assert_eq!(workshop.copied().await, []);
}

/// Long enough for its lease in the copy to lapse between two attempts.
#[tokio::test(start_paused = true)]
async fn a_copy_that_was_down_for_an_hour_catches_up_by_itself() {
    let workshop = Workshop::new();
    workshop
        .copy
        .inject(StoreFault::on(StoreOp::Commit).times(15));
    let mirror = workshop.mirror().await;
    workshop.rotate(&mirror, 1, "password").await;
    tokio::time::sleep(HOUR / 2).await;
    assert_eq!(workshop.copied().await[0].1, VersionState::Pending);
    tokio::time::sleep(HOUR).await;
    assert_eq!(workshop.copied().await, one("password"));
    assert_eq!(mirror.close(HOUR).await.remove(0).versions, 0);
}
