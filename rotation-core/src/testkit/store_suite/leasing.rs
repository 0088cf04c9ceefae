use std::time::Duration;

use jiff::Timestamp;

use super::trial::Seen::{Current, Pending, Previous};
use super::trial::{
    HOUR, Trial, Verdict, commit, committed, discarded, fresh_tenant, lease_lost, leased, refused,
    rotated_since, stage, succeeded, try_stage,
};
use crate::{Lease, RunId, Select};

pub(super) async fn never_leased(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let elsewhere = Lease {
        tenant: fresh_tenant(),
        run: trial.two,
    };
    let version = trial.version_of(trial.two, &account);
    // A lease in another tenant is none in this one.
    for _ in 0..2 {
        let answer = try_stage(&*store, &version).await?;
        lease_lost(&version.lease(), &answer)?;
        succeeded("a lease", &store.lease(&elsewhere, HOUR).await)?;
    }
    trial.expect_account(&*store, &account, &[]).await
}

pub(super) async fn lapsed(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let before = trial.staged(&*store, &account).await?;
    trial.lapse(&*store, trial.one).await?;
    for handle in [&store, &trial.open().await] {
        for version in [&trial.version(&account), &before] {
            let answer = try_stage(&**handle, version).await?;
            lease_lost(&version.lease(), &answer)?;
        }
    }
    trial
        .expect_account(&*store, &account, &[(&before, Pending)])
        .await
}

pub(super) async fn lapsed_for_good(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let lease = trial.lease_of(trial.one);
    trial.lapse(&*store, trial.one).await?;
    for handle in [&store, &trial.open().await] {
        lease_lost(&lease, &handle.lease(&lease, HOUR).await)?;
    }
    let version = trial.version(&trial.account(1));
    lease_lost(&lease, &try_stage(&*store, &version).await?)
}

pub(super) async fn renewed(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    // Before the lease begins: opening takes some stores a while.
    let again = trial.open().await;
    let (lease, second) = (trial.lease_of(trial.two), Duration::from_secs(1));
    succeeded("a lease", &store.lease(&lease, second).await)?;
    trial.lease(&*again, trial.two).await?;
    trial.pass(2 * second).await;
    let version = trial.staged_by(trial.two, &*store, &account).await?;
    let late = trial.version(&account);
    leased(&account, trial.two, &try_stage(&*store, &late).await?)?;
    trial
        .expect_account(&*store, &account, &[(&version, Pending)])
        .await
}

pub(super) async fn released(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    trial.release(&*trial.open().await, trial.one).await?;
    let version = trial.version(&account);
    let answer = try_stage(&*store, &version).await?;
    lease_lost(&version.lease(), &answer)?;
    trial.lease(&*store, trial.one).await?;
    stage(&*store, std::slice::from_ref(&version)).await?;
    // Also one that lapsed may begin again once it was released.
    trial.lapse(&*store, trial.one).await?;
    trial.release(&*store, trial.one).await?;
    trial.lease(&*store, trial.one).await?;
    let second = trial.staged(&*store, &account).await?;
    trial
        .expect_account(
            &*store,
            &account,
            &[(&version, Pending), (&second, Pending)],
        )
        .await
}

pub(super) async fn released_again(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    // This one was never there.
    trial.release(&*store, RunId::new()).await?;
    for handle in [&store, &trial.open().await, &store] {
        trial.release(&**handle, trial.one).await?;
    }
    Ok(())
}

pub(super) async fn released_alone(trial: Trial<'_>) -> Verdict {
    let (here, store) = (trial.account(1), trial.open().await);
    let there = trial.account_elsewhere(&*store, 1).await?;
    trial.lease(&*store, trial.two).await?;
    let kept = trial.staged_by(trial.two, &*store, &here).await?;
    trial.release(&*store, trial.one).await?;
    trial.lease(&*store, trial.one).await?;

    let answer = try_stage(&*store, &trial.version(&here)).await?;
    leased(&here, trial.two, &answer)?;
    let later = trial.staged_by(trial.two, &*store, &here).await?;
    let other = trial.staged(&*store, &there).await?;
    let expected = [(&kept, Pending), (&later, Pending)];
    trial.expect_account(&*store, &here, &expected).await?;
    trial
        .expect_account(&*store, &there, &[(&other, Pending)])
        .await
}

pub(super) async fn owned(trial: Trial<'_>) -> Verdict {
    let (taken, free) = (trial.account(1), trial.account(2));
    let (one, two) = (trial.open().await, trial.open().await);
    trial.lease(&*two, trial.two).await?;
    let first = trial.staged(&*one, &taken).await?;
    for handle in [&one, &two] {
        let answer = try_stage(&**handle, &trial.version_of(trial.two, &taken)).await?;
        leased(&taken, trial.one, &answer)?;
    }
    let other = trial.staged_by(trial.two, &*two, &free).await?;
    let second = trial.staged(&*one, &taken).await?;
    let expected = [(&first, Pending), (&second, Pending)];
    trial.expect_account(&*one, &taken, &expected).await?;
    trial
        .expect_account(&*one, &free, &[(&other, Pending)])
        .await
}

pub(super) async fn freed_by_lapse(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let left = trial.staged(&*store, &account).await?;
    trial.lapse(&*store, trial.one).await?;
    trial.lease(&*store, trial.two).await?;
    let taken = trial.staged_by(trial.two, &*store, &account).await?;
    let expected = [(&left, Pending), (&taken, Pending)];
    trial.expect_account(&*store, &account, &expected).await
}

pub(super) async fn freed_by_release(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let left = trial.staged(&*store, &account).await?;
    trial.lease(&*store, trial.two).await?;
    trial.release(&*trial.open().await, trial.one).await?;
    let taken = trial.staged_by(trial.two, &*store, &account).await?;
    // It belongs to the run of the newest one now.
    trial.lease(&*store, trial.one).await?;
    let answer = try_stage(&*store, &trial.version(&account)).await?;
    leased(&account, trial.two, &answer)?;
    let expected = [(&left, Pending), (&taken, Pending)];
    trial.expect_account(&*store, &account, &expected).await
}

pub(super) async fn freed_by_settling(trial: Trial<'_>) -> Verdict {
    let (one, two) = (trial.account(1), trial.account(2));
    let store = trial.open().await;
    trial.lease(&*store, trial.two).await?;
    let kept = trial.staged(&*store, &one).await?;
    committed(&*store, &kept).await?;
    let dropped = trial.staged(&*store, &two).await?;
    discarded(&*store, &dropped).await?;
    let after_kept = trial.staged_by(trial.two, &*store, &one).await?;
    let after_dropped = trial.staged_by(trial.two, &*store, &two).await?;
    let expected = [(&kept, Current), (&after_kept, Pending)];
    trial.expect_account(&*store, &one, &expected).await?;
    trial
        .expect_account(&*store, &two, &[(&after_dropped, Pending)])
        .await
}

pub(super) async fn staged_again(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let [known, gone] = [trial.version(&account), trial.version(&account)];
    stage(&*store, std::slice::from_ref(&known)).await?;
    stage(&*store, std::slice::from_ref(&gone)).await?;
    discarded(&*store, &gone).await?;
    trial.release(&*store, trial.one).await?;
    trial.lease(&*store, trial.two).await?;
    let taken = trial.staged_by(trial.two, &*store, &account).await?;
    trial.lease(&*store, trial.one).await?;
    stage(&*store, std::slice::from_ref(&known)).await?;
    refused(&gone, &try_stage(&*store, &gone).await?)?;
    committed(&*store, &taken).await?;
    stage(&*store, std::slice::from_ref(&known)).await
}

pub(super) async fn batch(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let [free, owned, rotated, gone, other] = [1, 2, 3, 4, 5].map(|number| trial.account(number));
    trial.lease(&*store, trial.two).await?;
    let early = trial.version(&rotated);
    let dropped = trial.staged(&*store, &gone).await?;
    discarded(&*store, &dropped).await?;
    let theirs = trial.staged_by(trial.two, &*store, &owned).await?;
    let current = trial.staged_by(trial.two, &*store, &rotated).await?;
    committed(&*store, &current).await?;

    let unleased = trial.version_of(RunId::new(), &trial.account(6));
    let batch = [
        trial.version(&free),
        trial.version(&owned),
        early,
        unleased.clone(),
        dropped.clone(),
        trial.version(&other),
    ];
    let answers = store.stage(&batch).await;
    let [first, second, third, fourth, fifth, sixth] = answers.as_slice() else {
        return Err(format!("{} answers to a stage of 6", answers.len()));
    };
    for answer in [first, sixth] {
        succeeded("a stage beside some that are refused", answer)?;
    }
    leased(&owned, trial.two, second)?;
    rotated_since(&rotated, trial.two, third)?;
    lease_lost(&unleased.lease(), fourth)?;
    refused(&dropped, fifth)?;
    let [one, .., six] = &batch;
    let tenant = Select::Tenant(trial.tenant().clone());
    let expected = [
        (one, Pending),
        (&theirs, Pending),
        (&current, Current),
        (six, Pending),
    ];
    trial.expect(&*store, tenant, &expected).await
}

pub(super) async fn rotated_meanwhile(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    trial.lease(&*store, trial.two).await?;
    let stale = trial.version(&account);
    let theirs = trial.staged_by(trial.two, &*store, &account).await?;
    committed(&*store, &theirs).await?;
    let at = super::trial::commit_of(&theirs).committed.at;
    let same_second = trial.version(&account).with_planned_at(at);
    for version in [&stale, &same_second] {
        for handle in [&store, &trial.open().await] {
            let answer = try_stage(&**handle, version).await?;
            rotated_since(&account, trial.two, &answer)?;
        }
    }
    let expected = [(&theirs, Current)];
    trial.expect_account(&*store, &account, &expected).await?;

    // It counts for as long as that version is there.
    let newer = trial.staged(&*store, &account).await?;
    committed(&*store, &newer).await?;
    let answer = try_stage(&*store, &stale).await?;
    rotated_since(&account, trial.two, &answer)?;
    let expected = [(&theirs, Previous), (&newer, Current)];
    trial.expect_account(&*store, &account, &expected).await
}

pub(super) async fn rotated_before(trial: Trial<'_>) -> Verdict {
    let (own, others) = (trial.account(1), trial.account(2));
    let store = trial.open().await;
    trial.lease(&*store, trial.two).await?;
    let first = trial.staged(&*store, &own).await?;
    committed(&*store, &first).await?;
    let second = trial.version(&own).with_planned_at(Timestamp::UNIX_EPOCH);
    let theirs = trial.staged_by(trial.two, &*store, &others).await?;
    committed(&*store, &theirs).await?;
    let later = trial.version(&others);
    // What another run has only pending was not rotated by it.
    let untouched = trial.account(3);
    let left = trial.staged_by(trial.two, &*store, &untouched).await?;
    trial.release(&*store, trial.two).await?;
    let over = trial
        .version(&untouched)
        .with_planned_at(Timestamp::UNIX_EPOCH);
    stage(&*store, &[second.clone(), later.clone(), over.clone()]).await?;
    let tenant = Select::Tenant(trial.tenant().clone());
    let expected = [
        (&first, Current),
        (&second, Pending),
        (&theirs, Current),
        (&later, Pending),
        (&left, Pending),
        (&over, Pending),
    ];
    trial.expect(&*store, tenant, &expected).await
}

pub(super) async fn commit_after_lapse(trial: Trial<'_>) -> Verdict {
    let (lapsed, released) = (trial.account(1), trial.account(2));
    let store = trial.open().await;
    trial.lease(&*store, trial.two).await?;
    let first = trial.staged(&*store, &lapsed).await?;
    let second = trial.staged_by(trial.two, &*store, &released).await?;
    trial.lapse(&*store, trial.one).await?;
    trial.release(&*store, trial.two).await?;
    for version in [&first, &second] {
        succeeded(
            "a commit that no one overtook",
            &commit(&*store, version).await?,
        )?;
    }
    let tenant = Select::Tenant(trial.tenant().clone());
    let expected = [(&first, Current), (&second, Current)];
    trial.expect(&*store, tenant, &expected).await
}
