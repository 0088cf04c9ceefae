use futures::future::{join, join_all};
use futures::{FutureExt, poll};

use super::trial::Seen::{Current, Overtaken, Pending, Previous};
use super::trial::{
    Trial, Verdict, commit, commit_of, committed, leased, refused, stage, succeeded,
};
use crate::Select;

/// How many calls are under way at once.
const CALLS: usize = 64;

pub(super) async fn many_calls(trial: Trial<'_>) -> Verdict {
    let (even, odd) = (trial.open().await, trial.open().await);
    let rotate = async |number: usize| {
        let store = if number.is_multiple_of(2) {
            &even
        } else {
            &odd
        };
        let old = trial.staged(&**store, &trial.account(number)).await?;
        committed(&**store, &old).await?;
        let new = trial.staged(&**store, &trial.account(number)).await?;
        committed(&**store, &new).await?;
        Ok::<_, String>([(old, Previous), (new, Current)])
    };
    let rotated = join_all((0..CALLS).map(rotate))
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let expected: Vec<_> = rotated
        .iter()
        .flatten()
        .map(|(version, state)| (version, *state))
        .collect();
    trial
        .expect(&*even, Select::Tenant(trial.tenant().clone()), &expected)
        .await
}

pub(super) async fn racing_commits(trial: Trial<'_>) -> Verdict {
    let (one, two) = (trial.open().await, trial.open().await);
    for number in 0..8 {
        let account = trial.account(number);
        let older = trial.staged(&*one, &account).await?;
        let newer = trial.staged(&*two, &account).await?;
        let (older_answer, newer_answer) = join(commit(&*one, &older), commit(&*two, &newer)).await;
        succeeded("the commit of the newest version", &newer_answer?)?;
        // The older one came first or too late; either way the newer is current now.
        let older_seen = match older_answer? {
            Ok(()) => Previous,
            late => refused(&older, &late).map(|()| Overtaken)?,
        };
        trial
            .expect_account(&*one, &account, &[(&older, older_seen), (&newer, Current)])
            .await?;
    }
    Ok(())
}

pub(super) async fn two_handles(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let (one, two) = (trial.open().await, trial.open().await);
    let stale = trial.staged(&*one, &account).await?;
    let newer = trial.staged(&*two, &account).await?;
    committed(&*two, &newer).await?;
    refused(&stale, &commit(&*one, &stale).await?)?;

    let dropped = trial.staged(&*one, &account).await?;
    two.discard(&dropped.key)
        .await
        .map_err(|error| format!("discarding through the other handle failed: {error}"))?;
    refused(&dropped, &commit(&*one, &dropped).await?)?;

    let kept = trial.staged(&*one, &account).await?;
    committed(&*two, &kept).await?;
    committed(&*one, &kept).await?;
    let expected = [(&stale, Overtaken), (&newer, Previous), (&kept, Current)];
    trial.expect_account(&*one, &account, &expected).await
}

pub(super) async fn dropped_call(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let account = trial.account(1);
    let version = trial.version(&account);
    {
        let batch = std::slice::from_ref(&version);
        let mut call = store.stage(batch).boxed();
        drop(poll!(&mut call));
    }
    // Whether it was staged is open; staging it again settles that.
    stage(&*store, std::slice::from_ref(&version)).await?;
    trial
        .expect_account(&*store, &account, &[(&version, Pending)])
        .await?;
    {
        let commits = [commit_of(&version)];
        let mut call = store.commit(&commits).boxed();
        drop(poll!(&mut call));
    }
    committed(&*store, &version).await?;
    trial
        .expect_account(&*store, &account, &[(&version, Current)])
        .await
}

pub(super) async fn two_runs(trial: Trial<'_>) -> Verdict {
    const ACCOUNTS: usize = 40;
    let (one, two) = (trial.open().await, trial.open().await);
    trial.lease(&*two, trial.two).await?;
    let versions_of = |run| -> Vec<_> {
        let accounts = (0..ACCOUNTS).map(|number| trial.account(number));
        accounts
            .map(|account| trial.version_of(run, &account))
            .collect()
    };
    let (ours, theirs) = (versions_of(trial.one), versions_of(trial.two));
    // From both ends, so that they meet.
    let forwards = ours.chunks(3).map(|batch| one.stage(batch));
    let backwards = theirs.chunks(3).rev().map(|batch| two.stage(batch));
    let (forwards, mut backwards) = join(join_all(forwards), join_all(backwards)).await;
    backwards.reverse();
    let forwards: Vec<_> = forwards.into_iter().flatten().collect();
    let backwards: Vec<_> = backwards.into_iter().flatten().collect();
    if (forwards.len(), backwards.len()) != (ACCOUNTS, ACCOUNTS) {
        return Err(format!(
            "{} and {} answers to staging {ACCOUNTS} versions",
            forwards.len(),
            backwards.len()
        ));
    }
    let mut expected = Vec::new();
    let answers = forwards.iter().zip(&backwards);
    for ((our, their), answers) in ours.iter().zip(&theirs).zip(answers) {
        let account = &our.key.account;
        let winner = match answers {
            (Ok(()), lost) => leased(account, trial.one, lost).map(|()| our)?,
            (lost, Ok(())) => leased(account, trial.two, lost).map(|()| their)?,
            (neither, _) => succeeded("one of two stages", neither).map(|()| our)?,
        };
        committed(&*one, winner).await?;
        expected.push((winner, Current));
    }
    trial
        .expect(&*two, Select::Tenant(trial.tenant().clone()), &expected)
        .await
}
