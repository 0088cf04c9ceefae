use super::trial::Seen::{Current, Overtaken, Pending, Previous};
use super::trial::{
    Trial, Verdict, commit, commit_of, committed, discarded as discard, refused, stage, succeeded,
    try_stage,
};
use crate::{RunId, StoreError};

pub(super) async fn former_current(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let first = trial.staged(&*store, &account).await?;
    committed(&*store, &first).await?;
    let second = trial.staged(&*store, &account).await?;
    trial
        .expect_account(&*store, &account, &[(&first, Current), (&second, Pending)])
        .await?;
    committed(&*store, &second).await?;
    trial
        .expect_account(&*store, &account, &[(&first, Previous), (&second, Current)])
        .await
}

pub(super) async fn other_pending(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let older = trial.staged(&*store, &account).await?;
    let middle = trial.staged(&*store, &account).await?;
    let later = trial.staged(&*store, &account).await?;
    committed(&*store, &middle).await?;
    let expected = [(&older, Overtaken), (&middle, Current), (&later, Pending)];
    trial.expect_account(&*store, &account, &expected).await?;
    committed(&*store, &later).await?;
    let expected = [(&older, Overtaken), (&middle, Previous), (&later, Current)];
    trial.expect_account(&*store, &account, &expected).await
}

pub(super) async fn committed_again(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let version = trial.staged(&*store, &account).await?;
    for _ in 0..3 {
        committed(&*store, &version).await?;
    }
    committed(&*trial.open().await, &version).await?;
    trial
        .expect_account(&*store, &account, &[(&version, Current)])
        .await
}

pub(super) async fn never_staged(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let staged = trial.staged(&*store, &account).await?;
    let never = trial.version(&account);
    refused(&never, &commit(&*store, &never).await?)?;
    trial
        .expect_account(&*store, &account, &[(&staged, Pending)])
        .await
}

pub(super) async fn discarded(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let version = trial.staged(&*store, &account).await?;
    discard(&*store, &version).await?;
    refused(&version, &commit(&*store, &version).await?)?;
    refused(&version, &commit(&*trial.open().await, &version).await?)?;
    trial.expect_account(&*store, &account, &[]).await
}

pub(super) async fn overtaken(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let pending = trial.staged(&*store, &account).await?;
    let current = trial.staged(&*store, &account).await?;
    committed(&*store, &current).await?;
    let expected = [(&pending, Overtaken), (&current, Current)];
    for handle in [&store, &trial.open().await] {
        refused(&pending, &commit(&**handle, &pending).await?)?;
        trial.expect_account(&**handle, &account, &expected).await?;
    }
    Ok(())
}

pub(super) async fn other_account(trial: Trial<'_>) -> Verdict {
    let (one, two) = (trial.account(1), trial.account(2));
    let store = trial.open().await;
    let version = trial.staged(&*store, &one).await?;
    let mut misplaced = version.clone();
    misplaced.key.account = two.clone();
    refused(&misplaced, &commit(&*store, &misplaced).await?)?;
    trial
        .expect_account(&*store, &one, &[(&version, Pending)])
        .await?;
    trial.expect_account(&*store, &two, &[]).await
}

pub(super) async fn discarded_again(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let current = trial.staged(&*store, &account).await?;
    committed(&*store, &current).await?;
    let older = trial.staged(&*store, &account).await?;
    let dropped = trial.staged(&*store, &account).await?;
    let newer = trial.staged(&*store, &account).await?;
    for _ in 0..2 {
        discard(&*store, &dropped).await?;
    }
    discard(&*trial.open().await, &dropped).await?;
    let expected = [(&current, Current), (&older, Pending), (&newer, Pending)];
    trial.expect_account(&*store, &account, &expected).await
}

pub(super) async fn discard_refused(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let first = trial.staged(&*store, &account).await?;
    let second = trial.staged(&*store, &account).await?;
    committed(&*store, &second).await?;
    for handle in [&store, &trial.open().await] {
        for version in [&first, &second] {
            refused(version, &handle.discard(&version.key).await)?;
        }
    }
    trial
        .expect_account(
            &*store,
            &account,
            &[(&first, Overtaken), (&second, Current)],
        )
        .await
}

pub(super) async fn batch(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let good: Vec<_> = (0..3)
        .map(|number| trial.version(&trial.account(number)))
        .collect();
    stage(&*store, &good).await?;
    let [one, two, three] = good.as_slice() else {
        return Ok(());
    };
    let bad = trial.version(&trial.account(1));
    let commits = [one, &bad, three, two].map(commit_of);
    let answers = store.commit(&commits).await;
    let [first, second, third, fourth] = answers.as_slice() else {
        return Err(format!("{} answers to a commit of 4", answers.len()));
    };
    for answer in [first, third, fourth] {
        succeeded("a commit beside one that is refused", answer)?;
    }
    refused(&bad, second)?;
    for version in &good {
        trial
            .expect_account(&*store, &version.key.account, &[(version, Current)])
            .await?;
    }
    Ok(())
}

pub(super) async fn used_id(trial: Trial<'_>) -> Verdict {
    let (one, two) = (trial.account(1), trial.account(2));
    let store = trial.open().await;
    let [kept, dropped] = [trial.version(&one), trial.version(&one)];
    stage(&*store, std::slice::from_ref(&kept)).await?;
    stage(&*store, std::slice::from_ref(&dropped)).await?;
    discard(&*store, &dropped).await?;
    let mut misplaced = kept.clone();
    misplaced.key.account = two.clone();
    for handle in [&store, &trial.open().await] {
        refused(&dropped, &try_stage(&**handle, &dropped).await?)?;
        match try_stage(&**handle, &misplaced).await? {
            Err(StoreError::Unusable(_)) => {}
            other => return Err(format!("found {other:?}, expected Unusable")),
        }
    }
    trial
        .expect_account(&*store, &one, &[(&kept, Pending)])
        .await?;
    trial.expect_account(&*store, &two, &[]).await
}

pub(super) async fn silent(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let stale = trial.version(&account);
    trial.lease(&*store, trial.two).await?;
    let first = trial.staged(&*store, &account).await?;
    let second = trial.staged(&*store, &account).await?;
    let theirs = trial.version_of(trial.two, &account);
    let leased = try_stage(&*store, &theirs).await?;
    committed(&*store, &second).await?;
    let never = trial.version(&account);
    let overtaken = commit(&*store, &first).await?;
    stage(&*store, std::slice::from_ref(&theirs)).await?;
    let answers = [
        leased,
        overtaken,
        commit(&*store, &first).await?,
        commit(&*store, &never).await?,
        store.discard(&second.key).await,
        commit(&*store, &theirs).await?,
        try_stage(&*store, &stale).await?,
        try_stage(&*store, &trial.version_of(RunId::new(), &account)).await?,
    ];
    let mut printed = trial.printed().await;
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        printed.extend_from_slice(format!("{error} {error:?} {error:#?}\n").as_bytes());
    }
    for version in [&stale, &first, &second, &theirs, &never] {
        let password = version.password.expose().as_bytes();
        if printed
            .windows(password.len())
            .any(|window| window == password)
        {
            return Err(format!(
                "the password of version {} is printed",
                version.key.version
            ));
        }
    }
    Ok(())
}
