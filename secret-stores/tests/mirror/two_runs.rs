use std::time::Duration;

use rotation_core::testkit::{StoreFault, StoreOp};
use rotation_core::{RunId, SecretStore, VersionId, VersionState};

use crate::workshop::{HOUR, Workshop, account, commit_at, second, stage, version_at};

/// Two runs rotate one account, one after the other; the copying of the first is held up in each of its calls.
#[tokio::test(start_paused = true)]
async fn a_copy_never_replaces_a_later_version_by_an_earlier_one() {
    let calls = [
        StoreOp::Lease,
        StoreOp::Stage,
        StoreOp::Commit,
        StoreOp::Release,
    ];
    let delays = [1, 100, 250, 299, 301, 400, 1000].map(Duration::from_secs);
    // How far the second run's clock is behind the first's.
    let skews = [0, 15, 1000];
    let mut cells = 0;
    for op in calls {
        for delay in delays {
            for is_lost in [false, true] {
                for skew in skews {
                    let workshop = Workshop::new();
                    let slow = StoreFault::on(op).delayed(delay);
                    let slow = if is_lost { slow.answer_lost() } else { slow };
                    workshop.copy.inject(slow);
                    let (one, two) = (RunId::new(), RunId::new());

                    let first = workshop.mirror_for(one).await;
                    let earlier = version_at(one, 1, "earlier", second(0));
                    stage(&first, &earlier).await.unwrap();
                    commit_at(&first, &earlier, second(10)).await.unwrap();
                    first.release(&earlier.lease()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(10)).await;

                    let second_run = workshop.mirror_for(two).await;
                    let later =
                        version_at(two, 1, "later", second(20 - skew)).with_planned_at(second(20));
                    stage(&second_run, &later).await.unwrap();
                    commit_at(&second_run, &later, second(30 - skew))
                        .await
                        .unwrap();

                    let behind = second_run.close(2 * HOUR).await.remove(0);
                    first.close(2 * HOUR).await;
                    let cell = format!("{op:?} {delay:?} {is_lost} {skew}");
                    let current: Vec<_> = workshop
                        .copy
                        .versions_of(&account(1))
                        .into_iter()
                        .filter(|version| version.state == VersionState::Current)
                        .map(|version| version.key.version)
                        .collect();
                    if behind.versions == 0 {
                        assert_eq!(current, [later.key.version], "{cell}");
                    } else {
                        // Told, and the password is there all the same.
                        let state = workshop.copy.state_of_password(&account(1), "later");
                        assert_eq!(state, Some(VersionState::Pending), "{cell}");
                        println!("behind: {cell}");
                    }
                    cells += 1;
                }
            }
        }
    }
    println!("{cells} ways to be late");
}

/// The run whose version is in the copy has a clock that runs ahead, so that its commit seems to be the later one.
#[tokio::test(start_paused = true)]
async fn a_later_version_replaces_an_earlier_one_whatever_the_clocks_say() {
    let workshop = Workshop::new();
    let (one, two) = (RunId::new(), RunId::new());
    let mirror = workshop.mirror_for(one).await;
    let earlier = version_at(one, 1, "earlier", second(0));
    stage(&mirror, &earlier).await.unwrap();
    commit_at(&mirror, &earlier, second(5000)).await.unwrap();
    mirror.release(&earlier.lease()).await.unwrap();
    mirror.close(HOUR).await;

    let mirror = workshop.mirror_for(two).await;
    let later = version_at(two, 1, "later", second(20)).with_planned_at(second(6000));
    stage(&mirror, &later).await.unwrap();
    commit_at(&mirror, &later, second(30)).await.unwrap();
    assert_eq!(mirror.close(HOUR).await.remove(0).versions, 0);
    let states =
        ["earlier", "later"].map(|password| workshop.copy.state_of_password(&account(1), password));
    assert_eq!(
        states,
        [Some(VersionState::Previous), Some(VersionState::Current)]
    );
}

/// The first run's clock runs ahead, so that its dead version has the later id and the later commit.
#[tokio::test(start_paused = true)]
async fn a_dead_version_with_a_later_id_does_not_stay_current_in_the_copy() {
    let workshop = Workshop::new();
    let (one, two) = (RunId::new(), RunId::new());
    let mirror = workshop.mirror_for(one).await;
    let mut dead = version_at(one, 1, "dead", second(5000));
    dead.key.version = VersionId::from_bytes([2; 16]);
    stage(&mirror, &dead).await.unwrap();
    commit_at(&mirror, &dead, second(5000)).await.unwrap();
    mirror.release(&dead.lease()).await.unwrap();
    mirror.close(HOUR).await;

    let mirror = workshop.mirror_for(two).await;
    let mut live = version_at(two, 1, "live", second(20)).with_planned_at(second(6000));
    live.key.version = VersionId::from_bytes([1; 16]);
    stage(&mirror, &live).await.unwrap();
    commit_at(&mirror, &live, second(30)).await.unwrap();
    assert_eq!(mirror.close(HOUR).await.remove(0).versions, 0);
    let states =
        ["dead", "live"].map(|password| workshop.copy.state_of_password(&account(1), password));
    assert_eq!(
        states,
        [Some(VersionState::Previous), Some(VersionState::Current)]
    );
}
