use super::trial::Seen::{Current, Overtaken, Pending, Previous};
use super::trial::{Trial, Verdict, commit, committed, discarded as discard, fenced, refused};
use crate::{AccountKey, NewVersion, RunId, SecretStore};

/// Two runs on one account: the first staged and lost its lease, the second staged after that.
struct Meeting {
    account: AccountKey,
    store: Box<dyn SecretStore>,
    earlier: NewVersion,
    later: NewVersion,
}

impl Meeting {
    async fn of(trial: &Trial<'_>) -> Result<Self, String> {
        let (account, store) = (trial.account(1), trial.open().await);
        let earlier = trial.staged(&*store, &account).await?;
        trial.release(&*store, trial.one).await?;
        trial.lease(&*store, trial.two).await?;
        let later = trial.staged_by(trial.two, &*store, &account).await?;
        Ok(Self {
            account,
            store,
            earlier,
            later,
        })
    }

    /// Commits the earlier version, which must be refused.
    async fn meet(&self) -> Verdict {
        fenced(&self.earlier, &commit(&*self.store, &self.earlier).await?)
    }
}

pub(super) async fn pending(trial: Trial<'_>) -> Verdict {
    let met = Meeting::of(&trial).await?;
    met.meet().await?;
    let expected = [(&met.later, Pending), (&met.earlier, Pending)];
    trial
        .expect_account(&*met.store, &met.account, &expected)
        .await
}

pub(super) async fn current(trial: Trial<'_>) -> Verdict {
    let met = Meeting::of(&trial).await?;
    committed(&*met.store, &met.later).await?;
    let expected = [(&met.earlier, Overtaken), (&met.later, Current)];
    trial
        .expect_account(&*met.store, &met.account, &expected)
        .await?;
    met.meet().await?;
    let expected = [(&met.later, Current), (&met.earlier, Pending)];
    trial
        .expect_account(&*met.store, &met.account, &expected)
        .await?;
    // Whoever commits the current one again is told the truth.
    committed(&*met.store, &met.later).await?;
    trial
        .expect_account(&*met.store, &met.account, &expected)
        .await
}

pub(super) async fn discarded(trial: Trial<'_>) -> Verdict {
    let met = Meeting::of(&trial).await?;
    discard(&*met.store, &met.later).await?;
    committed(&*met.store, &met.earlier).await?;
    trial
        .expect_account(&*met.store, &met.account, &[(&met.earlier, Current)])
        .await
}

pub(super) async fn again(trial: Trial<'_>) -> Verdict {
    let met = Meeting::of(&trial).await?;
    met.meet().await?;
    let expected = [(&met.later, Pending), (&met.earlier, Pending)];
    for handle in [&met.store, &trial.open().await] {
        let answer = commit(&**handle, &met.earlier).await?;
        fenced(&met.earlier, &answer)?;
        trial
            .expect_account(&**handle, &met.account, &expected)
            .await?;
    }
    // Not even once the other run's version is gone.
    discard(&*met.store, &met.later).await?;
    met.meet().await?;
    trial
        .expect_account(&*met.store, &met.account, &[(&met.earlier, Pending)])
        .await
}

pub(super) async fn both(trial: Trial<'_>) -> Verdict {
    let met = Meeting::of(&trial).await?;
    met.meet().await?;
    for _ in 0..2 {
        let answer = commit(&*met.store, &met.later).await?;
        fenced(&met.later, &answer)?;
        let expected = [(&met.earlier, Pending), (&met.later, Pending)];
        trial
            .expect_account(&*met.store, &met.account, &expected)
            .await?;
        met.meet().await?;
    }
    Ok(())
}

pub(super) async fn anywhere(trial: Trial<'_>) -> Verdict {
    let (account, store) = (trial.account(1), trial.open().await);
    let first = trial.staged(&*store, &account).await?;
    let second = trial.staged(&*store, &account).await?;
    trial.release(&*store, trial.one).await?;
    trial.lease(&*store, trial.two).await?;
    let theirs = trial.staged_by(trial.two, &*store, &account).await?;
    trial.release(&*store, trial.two).await?;
    trial.lease(&*store, trial.one).await?;
    let third = trial.staged(&*store, &account).await?;
    fenced(&first, &commit(&*store, &first).await?)?;
    let expected = [&second, &theirs, &third, &first].map(|version| (version, Pending));
    trial.expect_account(&*store, &account, &expected).await?;
    fenced(&second, &commit(&*store, &second).await?)?;
    let expected = [&theirs, &third, &first, &second].map(|version| (version, Pending));
    trial.expect_account(&*store, &account, &expected).await?;
    // None of another run comes after this one.
    committed(&*store, &third).await?;
    let expected = [
        (&theirs, Overtaken),
        (&third, Current),
        (&first, Pending),
        (&second, Pending),
    ];
    trial.expect_account(&*store, &account, &expected).await
}

pub(super) async fn settled(trial: Trial<'_>) -> Verdict {
    let met = Meeting::of(&trial).await?;
    met.meet().await?;
    trial.release(&*met.store, trial.two).await?;
    let third = RunId::new();
    trial.lease(&*met.store, third).await?;
    let fresh = trial.staged_by(third, &*met.store, &met.account).await?;
    committed(&*met.store, &fresh).await?;
    let expected = [
        (&met.later, Overtaken),
        (&met.earlier, Overtaken),
        (&fresh, Current),
    ];
    trial
        .expect_account(&*met.store, &met.account, &expected)
        .await?;
    // The first to meet the fence did so before the third run set its password, so nothing is open again.
    met.meet().await?;
    trial
        .expect_account(&*met.store, &met.account, &expected)
        .await
}

pub(super) async fn settled_by_one_of_them(trial: Trial<'_>) -> Verdict {
    let met = Meeting::of(&trial).await?;
    met.meet().await?;
    // The account belongs to the run of its newest pending version, which is the earlier one now.
    trial.lease(&*met.store, trial.one).await?;
    let fresh = trial.staged(&*met.store, &met.account).await?;
    committed(&*met.store, &fresh).await?;
    let expected = [
        (&met.later, Overtaken),
        (&met.earlier, Overtaken),
        (&fresh, Current),
    ];
    trial
        .expect_account(&*met.store, &met.account, &expected)
        .await
}

pub(super) async fn given_up(trial: Trial<'_>) -> Verdict {
    let met = Meeting::of(&trial).await?;
    met.meet().await?;
    discard(&*met.store, &met.earlier).await?;
    committed(&*met.store, &met.later).await?;
    trial
        .expect_account(&*met.store, &met.account, &[(&met.later, Current)])
        .await
}

pub(super) async fn once_current(trial: Trial<'_>) -> Verdict {
    let (account, store) = (trial.account(1), trial.open().await);
    let first = trial.staged(&*store, &account).await?;
    committed(&*store, &first).await?;
    trial.lease(&*store, trial.two).await?;
    let second = trial.staged_by(trial.two, &*store, &account).await?;
    committed(&*store, &first).await?;
    let expected = [(&first, Current), (&second, Pending)];
    trial.expect_account(&*store, &account, &expected).await?;
    committed(&*store, &second).await?;
    refused(&first, &commit(&*store, &first).await?)?;
    let expected = [(&first, Previous), (&second, Current)];
    trial.expect_account(&*store, &account, &expected).await
}
