//! What becomes of an account that an earlier run left unsettled.

use futures::StreamExt;
use rotation_core::testkit::SetFault;
use rotation_core::{
    Account, AccountQuery, Age, Decision, Drift, Due, Holdings, Planned, Policy, RefusalReason,
    Verify, VersionState,
};

use crate::world::{World, account, plan_now};

/// Leaves user-1 unsettled: the first request is under way until it is delivered, and all others are lost.
async fn unsettled(accounts: usize) -> World {
    let world = World::new(accounts);
    let only = account(1);
    let late = SetFault::applied_late().for_account(only.clone());
    world.backend.inject(late);
    let lost = SetFault::request_lost().for_account(only).forever();
    world.backend.inject(lost);
    let report = world.run().await;
    assert_eq!(report.unsettled, 1, "{report:?}");
    world.backend.heal();
    World {
        // from now on nothing is due because of its age
        policy: Policy {
            max_age: Age::days(365_000),
            ..world.policy
        },
        ..world
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_of_an_earlier_run_that_arrives_after_settling_is_drift_and_heals() {
    // a fresh password may be needed first, which must not make it forgotten that an earlier run was at it
    for (verify, refused) in [
        (Verify::None, 0),
        (Verify::Timestamp, 0),
        (Verify::Timestamp, 1),
        (Verify::SignIn, 0),
    ] {
        let context = format!("{verify:?}, refused {refused} times");
        let mut world = unsettled(1).await;
        world.policy.verify = verify;
        world.policy.drift = Drift::Rotate;
        let refuse = SetFault::refused(RefusalReason::Password);
        world.backend.inject(refuse.times(refused));
        assert_eq!(world.run().await.rotated, 1, "{context}");

        // a second later, by the directory's clock
        world.backend.deliver_late();
        let live = world.backend.live_password(&account(1)).unwrap();
        let state = world.store.state_of_password(&world.key(1), &live);
        assert_eq!(state, Some(VersionState::Previous), "{context}");

        let report = world.run().await;
        let found = (report.drifted, report.rotated);
        assert_eq!(found, (1, 1), "{context}: {report:?}");
        world.assert_nothing_lost(1, &context);
    }
}

async fn planned(world: &World, name: &str) -> Vec<Planned> {
    let engine = world.engine();
    let query = AccountQuery::Named(vec![name.to_owned()]);
    let plan = engine.plan(query).await.unwrap();
    plan.map(Result::unwrap).collect().await
}

fn rename(world: &World, number: usize, user_name: &str) {
    let renamed = Account::new(account(number), user_name);
    world.backend.add(renamed.holding(Holdings::default()));
}

#[tokio::test(start_paused = true)]
async fn a_renamed_account_is_settled_by_its_new_name() {
    let world = unsettled(2).await;
    rename(&world, 1, "new-name@memory.test");
    let planned = planned(&world, "new-name@memory.test").await;
    let [one] = planned.as_slice() else {
        panic!("one account: {planned:?}")
    };
    assert_eq!((&one.account.id, one.unsettled), (&account(1), true));
    let due = matches!(
        one.decision,
        Decision::Rotate {
            due: Due::Unsettled,
            ..
        }
    );
    assert!(due, "{:?}", one.decision);
}

#[tokio::test(start_paused = true)]
async fn a_name_given_to_somebody_else_settles_nobody_else() {
    let world = unsettled(2).await;
    rename(&world, 1, "new-name@memory.test");
    rename(&world, 2, "user-1@memory.test");
    let planned = planned(&world, "user-1@memory.test").await;
    let accounts: Vec<_> = planned.iter().map(|one| one.account.id.clone()).collect();
    assert_eq!(accounts, [account(2)], "{planned:?}");
}

#[tokio::test(start_paused = true)]
async fn what_another_run_settled_since_the_plan_is_not_unsettled() {
    let mut world = unsettled(1).await;
    let mut excluding = world.policy.clone();
    excluding.exclude = vec!["user-1@memory.test".parse().unwrap()];
    let including = std::mem::replace(&mut world.policy, excluding);
    let engine = world.engine();
    let plan = plan_now(&engine).await;
    world.policy = including;
    assert_eq!(world.run().await.rotated, 1);

    let report = engine.run(plan).finish().await;
    assert_eq!((report.unsettled, report.skipped), (0, 1), "{report:?}");
}
