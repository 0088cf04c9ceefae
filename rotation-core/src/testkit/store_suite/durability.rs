use super::trial::Seen::{Current, Pending};
use super::trial::{Trial, Verdict, committed, discarded, stage};
use crate::Select;

pub(super) async fn staged(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let version = trial.staged(&*trial.open().await, &account).await?;
    let again = trial.open().await;
    trial
        .expect_account(&*again, &account, &[(&version, Pending)])
        .await
}

pub(super) async fn awkward_passwords(trial: Trial<'_>) -> Verdict {
    let printable: String = (' '..='~').collect();
    let passwords = [
        "12345678".to_owned(),
        printable.clone(),
        printable.chars().cycle().take(256).collect(),
        " leading and trailing ".to_owned(),
        "\"\\'`${}%s;--\0\t".to_owned(),
        "pässwörd 密码 🔑".to_owned(),
    ];
    let batch: Vec<_> = (0..)
        .zip(&passwords)
        .map(|(number, password)| trial.version_with(&trial.account(number), password))
        .collect();
    let store = trial.open().await;
    stage(&*store, &batch).await?;
    let expected: Vec<_> = batch.iter().map(|version| (version, Pending)).collect();
    trial
        .expect(&*store, Select::Tenant(trial.tenant().clone()), &expected)
        .await
}

pub(super) async fn large_batch(trial: Trial<'_>) -> Verdict {
    let batch: Vec<_> = (0..1000)
        .map(|number| trial.version(&trial.account(number)))
        .collect();
    let store = trial.open().await;
    stage(&*store, &batch).await?;
    let expected: Vec<_> = batch.iter().map(|version| (version, Pending)).collect();
    trial
        .expect(&*store, Select::Tenant(trial.tenant().clone()), &expected)
        .await
}

pub(super) async fn settled(trial: Trial<'_>) -> Verdict {
    let (one, two) = (trial.account(1), trial.account(2));
    let store = trial.open().await;
    let kept = trial.staged(&*store, &one).await?;
    let dropped = trial.staged(&*store, &two).await?;
    drop(store);
    // Whoever settles need not be the one who staged.
    let again = trial.open().await;
    committed(&*again, &kept).await?;
    discarded(&*again, &dropped).await?;
    drop(again);
    let again = trial.open().await;
    trial
        .expect_account(&*again, &one, &[(&kept, Current)])
        .await?;
    trial.expect_account(&*again, &two, &[]).await
}

pub(super) async fn empty_batch(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    stage(&*store, &[]).await?;
    let answers = store.commit(&[]).await.len();
    if answers != 0 {
        return Err(format!("{answers} answers to a commit of nothing"));
    }
    trial
        .expect(&*store, Select::Tenant(trial.tenant().clone()), &[])
        .await
}

pub(super) async fn staged_again(trial: Trial<'_>) -> Verdict {
    let account = trial.account(1);
    let store = trial.open().await;
    let version = trial.staged(&*store, &account).await?;
    stage(&*store, std::slice::from_ref(&version)).await?;
    trial
        .expect_account(&*store, &account, &[(&version, Pending)])
        .await?;
    committed(&*store, &version).await?;
    stage(&*store, std::slice::from_ref(&version)).await?;
    trial
        .expect_account(&*store, &account, &[(&version, Current)])
        .await
}
