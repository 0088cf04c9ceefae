use futures::TryStreamExt;
use jiff::SignedDuration;

use super::trial::Seen::{Current, Previous};
use super::trial::{Trial, Verdict, commit_of, committed, stage, succeeded, versions};
use crate::{Commit, Committed, Origin, Select, Version};

pub(super) async fn kept(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let printable: String = (' '..='~').collect();
    let origins = [
        Origin::default(),
        Origin {
            caller: "00000000-0000-4000-8000-00000000000a".to_owned(),
            backend: "graph".to_owned(),
            reason: "older than 90 days".to_owned(),
        },
        Origin {
            caller: printable.clone(),
            backend: "\"\\'`${}%s;--\0\t\r\n".to_owned(),
            reason: format!(" pässwörd 密码 🔑 {}", printable.repeat(20)),
        },
    ];
    let mut expected = Vec::new();
    for (number, origin) in (0_i64..).zip(origins) {
        let new = trial.version(&account).with_origin(origin.clone());
        stage(&*store, std::slice::from_ref(&new)).await?;
        let at = new.staged_at;
        let mut known = Committed::new(at);
        if number > 0 {
            // Whole seconds: not every storage keeps more.
            let baseline = at.saturating_sub(SignedDuration::from_secs(number));
            known = known
                .with_request_id(Some(origin.backend))
                .with_baseline(baseline.ok());
        }
        let commit = Commit {
            key: new.key.clone(),
            committed: known.clone(),
        };
        for answer in store.commit(&[commit]).await {
            succeeded("a commit", &answer)?;
        }
        expected.push(Version::from(&new).with_committed(Some(known)));
    }
    let select = Select::Account(account);
    let reader = trial.reader().await;
    let revealed: Vec<_> = reader
        .reveal(select.clone())
        .map_ok(|(version, _)| version)
        .try_collect()
        .await
        .map_err(|error| format!("reveal failed: {error}"))?;
    let again = trial.open().await;
    for found in [
        versions(&*store, select.clone()).await?,
        versions(&*again, select).await?,
        revealed,
    ] {
        let history = |version: &Version| (version.origin.clone(), version.committed.clone());
        let found: Vec<_> = found.iter().map(history).collect();
        let expected: Vec<_> = expected.iter().map(history).collect();
        if found != expected {
            return Err(format!("found {found:?}, expected {expected:?}"));
        }
    }
    Ok(())
}

pub(super) async fn first_kept(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let version = trial.staged(&*store, &account).await?;
    committed(&*store, &version).await?;
    let other = trial.version(&account);
    let again = Commit {
        key: version.key.clone(),
        ..commit_of(&other)
    };
    for answer in store.commit(&[again]).await {
        succeeded("a commit of the current version", &answer)?;
    }
    let expected = [(&version, Current)];
    trial.expect_account(&*store, &account, &expected).await?;
    let next = trial.staged(&*store, &account).await?;
    committed(&*store, &next).await?;
    let expected = [(&version, Previous), (&next, Current)];
    trial.expect_account(&*store, &account, &expected).await
}
