use super::trial::Seen::{Current, Overtaken, Pending, Previous};
use super::trial::{Trial, Verdict, commit, committed, refused};
use crate::{AccountKey, NewVersion, SecretStore, Select};

/// Rotates `account` so many times, oldest first.
async fn rotated(
    trial: &Trial<'_>,
    store: &dyn SecretStore,
    account: &AccountKey,
    times: usize,
) -> Result<Vec<NewVersion>, String> {
    let mut versions = Vec::new();
    for _ in 0..times {
        let version = trial.staged(store, account).await?;
        committed(store, &version).await?;
        versions.push(version);
    }
    Ok(versions)
}

/// Prunes, which must drop `expected` versions.
async fn prune(store: &dyn SecretStore, select: &Select, keep: usize, expected: u64) -> Verdict {
    match store.prune(select, keep).await {
        Ok(dropped) if dropped == expected => Ok(()),
        Ok(dropped) => Err(format!(
            "pruning but for {keep} dropped {dropped}, expected {expected}"
        )),
        Err(error) => Err(format!("pruning failed: {error}")),
    }
}

pub(super) async fn newest_kept(trial: Trial<'_>) -> Verdict {
    let (account, store) = (trial.account(1), trial.open().await);
    let select = Select::Account(account.clone());
    let versions = rotated(&trial, &*store, &account, 5).await?;
    let [_, second, third, fourth, current] = versions.as_slice() else {
        return Ok(());
    };
    prune(&*store, &select, 4, 0).await?;
    prune(&*store, &select, 3, 1).await?;
    let expected = [
        (second, Previous),
        (third, Previous),
        (fourth, Previous),
        (current, Current),
    ];
    trial.expect_account(&*store, &account, &expected).await?;
    prune(&*trial.open().await, &select, 1, 2).await?;
    let expected = [(fourth, Previous), (current, Current)];
    trial.expect_account(&*store, &account, &expected).await?;
    prune(&*store, &select, 1, 0).await?;
    prune(&*store, &select, 0, 1).await?;
    trial
        .expect_account(&*store, &account, &[(current, Current)])
        .await
}

pub(super) async fn only_previous(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let [new, settled, unsettled] = [1, 2, 3].map(|number| trial.account(number));
    let pending = trial.staged(&*store, &new).await?;
    let current = rotated(&trial, &*store, &settled, 1).await?;
    let both = rotated(&trial, &*store, &unsettled, 2).await?;
    let first = trial.staged(&*store, &unsettled).await?;
    let second = trial.staged(&*store, &unsettled).await?;
    let tenant = Select::Tenant(trial.tenant().clone());
    prune(&*store, &tenant, 0, 1).await?;
    let mut expected = vec![(&pending, Pending)];
    expected.extend(current.iter().map(|version| (version, Current)));
    expected.extend(both.last().map(|version| (version, Current)));
    expected.extend([(&first, Pending), (&second, Pending)]);
    trial.expect(&*store, tenant, &expected).await
}

pub(super) async fn overtaken(trial: Trial<'_>) -> Verdict {
    let (account, store) = (trial.account(1), trial.open().await);
    let select = Select::Account(account.clone());
    let oldest = rotated(&trial, &*store, &account, 1).await?;
    let overtaken = trial.staged(&*store, &account).await?;
    let current = rotated(&trial, &*store, &account, 1).await?;
    // One that was never current may be live after all, so it counts like one that was.
    prune(&*store, &select, 1, 1).await?;
    let mut expected = vec![(&overtaken, Overtaken)];
    expected.extend(current.iter().map(|version| (version, Current)));
    trial.expect_account(&*store, &account, &expected).await?;
    for version in &oldest {
        refused(version, &commit(&*store, version).await?)?;
    }
    trial.expect_account(&*store, &account, &expected).await
}

pub(super) async fn each_account(trial: Trial<'_>) -> Verdict {
    let store = trial.open().await;
    let (one, two) = (trial.account(1), trial.account(2));
    let there = trial.account_elsewhere(&*store, 1).await?;
    let mut rotations = Vec::new();
    for account in [&one, &two, &there] {
        rotations.push(rotated(&trial, &*store, account, 3).await?);
    }
    let expected = |versions: &'_ [NewVersion], from: usize| -> Vec<_> {
        let seen = [Previous, Previous, Current];
        let versions = versions.iter().cloned().zip(seen);
        versions.skip(from).collect()
    };
    let named = Select::Accounts(vec![there.clone(), two.clone()]);
    // How many are left out of each account's, after pruning one account, two, and the tenant of the others.
    for (select, keep, dropped, left_out) in [
        (Select::Accounts(Vec::new()), 0, 0, [0, 0, 0]),
        (Select::Account(two.clone()), 0, 2, [0, 2, 0]),
        (named, 1, 1, [0, 2, 1]),
        (Select::Tenant(trial.tenant().clone()), 1, 1, [1, 2, 1]),
    ] {
        prune(&*store, &select, keep, dropped).await?;
        for ((account, versions), from) in [&one, &two, &there]
            .into_iter()
            .zip(&rotations)
            .zip(left_out)
        {
            let expected = expected(versions, from);
            let expected: Vec<_> = expected.iter().map(|(new, seen)| (new, *seen)).collect();
            trial.expect_account(&*store, account, &expected).await?;
        }
    }
    Ok(())
}
