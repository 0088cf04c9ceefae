use super::trial::Seen::{Current, Overtaken, Pending, Previous};
use super::trial::{Trial, Verdict, committed, discarded, fresh_tenant, stage, versions};
use crate::{AccountKey, Select};

pub(super) async fn two_tenants(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let here = trial.account(1);
    let there = trial.account_elsewhere(&*store, 1).await?;
    let in_one = trial.staged(&*store, &here).await?;
    let in_other = trial.staged(&*store, &there).await?;
    committed(&*store, &in_other).await?;
    trial
        .expect_account(&*store, &here, &[(&in_one, Pending)])
        .await?;
    trial
        .expect_account(&*store, &there, &[(&in_other, Current)])
        .await
}

pub(super) async fn selection(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let (one, two) = (trial.account(1), trial.account(2));
    let elsewhere = trial.account_elsewhere(&*store, 2).await?;
    let batch = [&one, &two, &elsewhere].map(|account| trial.version(account));
    stage(&*store, &batch).await?;
    let [in_one, in_two, in_other] = &batch;

    trial
        .expect_account(&*store, &two, &[(in_two, Pending)])
        .await?;
    let tenant = Select::Tenant(trial.tenant().clone());
    let expected = [(in_one, Pending), (in_two, Pending)];
    trial.expect(&*store, tenant, &expected).await?;
    trial
        .expect_account(&*store, &trial.account(3), &[])
        .await?;
    let nobody = Select::Tenant(fresh_tenant());
    trial.expect(&*store, nobody, &[]).await?;

    // Other things may be in the storage too.
    let everything = versions(&*store, Select::All).await?;
    for version in [in_one, in_two, in_other] {
        let times = everything
            .iter()
            .filter(|found| found.key == version.key)
            .count();
        if times != 1 {
            return Err(format!(
                "a version occurs {times} times among all, expected once"
            ));
        }
    }
    Ok(())
}

pub(super) async fn order(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let accounts = [3, 1, 2].map(|number| trial.account(number));
    let mut staged = Vec::new();
    // Two rounds, so that no account's versions were staged next to each other.
    for _ in 0..2 {
        let batch: Vec<_> = accounts
            .iter()
            .map(|account| trial.version(account))
            .collect();
        stage(&*store, &batch).await?;
        staged.push(batch);
    }
    let [first, second] = staged.as_slice() else {
        return Ok(());
    };
    for version in second {
        committed(&*store, version).await?;
    }
    let select = Select::Tenant(trial.tenant().clone());
    let found = versions(&*store, select.clone()).await?;
    // Which account comes first is the store's choice, but it makes the same one for every reader.
    let mut expected = Vec::new();
    for version in found.iter().step_by(2) {
        for (batch, state) in [(first, Overtaken), (second, Current)] {
            expected.extend(
                batch
                    .iter()
                    .filter(|new| new.key.account == version.key.account)
                    .map(|new| (new, state)),
            );
        }
    }
    trial.expect(&*store, select, &expected).await
}

pub(super) async fn pending(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let [new, settled, both] = [1, 2, 3].map(|number| trial.account(number));
    let elsewhere = trial.account_elsewhere(&*store, 1).await?;
    let first = trial.staged(&*store, &new).await?;
    for account in [&settled, &both] {
        for _ in 0..2 {
            let version = trial.staged(&*store, account).await?;
            committed(&*store, &version).await?;
        }
    }
    let dropped = trial.staged(&*store, &settled).await?;
    discarded(&*store, &dropped).await?;
    let second = trial.staged(&*store, &both).await?;
    let third = trial.staged(&*store, &both).await?;
    let other = trial.staged(&*store, &elsewhere).await?;
    let here = Select::Pending(trial.tenant().clone());
    let expected = [(&first, Pending), (&second, Pending), (&third, Pending)];
    trial.expect(&*store, here, &expected).await?;
    let there = Select::Pending(elsewhere.tenant.clone());
    trial.expect(&*store, there, &[(&other, Pending)]).await?;
    let nowhere = Select::Pending(fresh_tenant());
    trial.expect(&*store, nowhere, &[]).await
}

pub(super) async fn accounts(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let [one, two, three, unknown] = [1, 2, 3, 4].map(|number| trial.account(number));
    // Of this number, the account here is not asked for.
    let there = trial.account_elsewhere(&*store, 2).await?;
    // Two rounds, so that no account's versions were staged next to each other.
    let mut rounds = Vec::new();
    for _ in 0..2 {
        let batch = [&one, &two, &three, &there].map(|account| trial.version(account));
        stage(&*store, &batch).await?;
        for version in &batch {
            committed(&*store, version).await?;
        }
        rounds.push(batch);
    }
    let newest = trial.staged(&*store, &three).await?;
    let [first, second] = rounds.as_slice() else {
        return Ok(());
    };
    // Whatever order they are asked for in, and whichever account comes first: as all others, account by account.
    for asked in [
        vec![three.clone(), one.clone(), there.clone()],
        vec![there.clone(), three.clone(), one.clone()],
        vec![one.clone(), three.clone(), there.clone(), unknown.clone()],
        vec![one.clone(), there.clone(), one.clone(), three.clone()],
    ] {
        let select = Select::Accounts(asked);
        let mut accounts = Vec::new();
        for version in versions(&*store, select.clone()).await? {
            if accounts.last() != Some(&version.key.account) {
                accounts.push(version.key.account);
            }
        }
        let of = |account: &AccountKey| {
            let mut expected = Vec::new();
            for (batch, state) in [(first, Previous), (second, Current)] {
                let own = batch.iter().filter(|new| new.key.account == *account);
                expected.extend(own.map(|new| (new, state)));
            }
            let newest = (&newest.key.account == account).then_some((&newest, Pending));
            expected.extend(newest);
            expected
        };
        let expected: Vec<_> = accounts.iter().flat_map(of).collect();
        if expected.len() != 7 {
            return Err(format!(
                "{} versions of the accounts named, expected 7",
                expected.len()
            ));
        }
        trial.expect(&*store, select, &expected).await?;
    }
    let nobody = [Vec::new(), vec![unknown]];
    for nobody in nobody {
        trial.expect(&*store, Select::Accounts(nobody), &[]).await?;
    }
    Ok(())
}

pub(super) async fn many_accounts(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let accounts: Vec<_> = (1..=1000).map(|number| trial.account(number)).collect();
    let batch: Vec<_> = accounts
        .iter()
        .map(|account| trial.version(account))
        .collect();
    stage(&*store, &batch).await?;
    let found = versions(&*store, Select::Accounts(accounts)).await?;
    match found.len() {
        1000 => Ok(()),
        found => Err(format!("{found} versions of 1000 accounts, expected 1000")),
    }
}
