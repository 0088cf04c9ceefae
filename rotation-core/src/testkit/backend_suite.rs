//! What every [`RotationBackend`] must do, whoever wrote it.

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::Violation;
use crate::{
    Account, AccountId, AccountQuery, Forbidden, Generator, Outcome, Password, PasswordPolicy,
    RotationBackend, SetPassword, SignIn,
};

/// What the suite needs to know of the directory behind a backend.
#[async_trait]
pub trait BackendHarness: Send + Sync {
    /// The backend under test.
    fn backend(&self) -> &dyn RotationBackend;

    /// Two accounts or more that its caller may rotate.
    fn accounts(&self) -> Vec<AccountId>;

    /// Whether `password` signs `account` in, asked of the directory itself rather than of the backend.
    async fn signs_in(&self, account: &AccountId, password: &str) -> bool;

    /// Lets the answer to the next password that is set be lost, whether or not the directory applies it. `false` if
    /// that cannot be arranged: then the case that needs it is left out.
    async fn lose_answer(&self, applied: bool) -> bool {
        let _ = applied;
        false
    }

    /// Whatever the implementation prints, in which no password may occur: the backend's `Debug` output, logs.
    async fn printed(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// The first broken promise, or what `found` is instead of what is expected.
type Verdict = Result<(), String>;

/// Runs every case; the promises that are not kept. Changes the passwords of the harness's accounts.
pub async fn backend_suite(harness: &dyn BackendHarness) -> Vec<Violation> {
    let suite = Suite(harness);
    let cases = [
        ("its name is a word", suite.name()),
        (
            "the caller is the same whenever it is asked",
            suite.caller().await,
        ),
        ("every account is listed once", suite.listing().await),
        (
            "accounts are found by id and by user name",
            suite.named().await,
        ),
        (
            "an account that does not exist is left out",
            suite.unknown_name().await,
        ),
        (
            "the password that was set signs in, and no earlier one",
            suite.signs_in().await,
        ),
        (
            "any printable password arrives as it is",
            suite.awkward_characters().await,
        ),
        (
            "setting the same password again is harmless",
            suite.repeat().await,
        ),
        (
            "applied means applied, and refused means not applied",
            suite.refused().await,
        ),
        (
            "a lost answer is unknown, and the same password settles it",
            suite.lost_answer().await,
        ),
        (
            "a missing account is refused without its password being told",
            suite.missing().await,
        ),
        (
            "a batch is answered item by item in its order",
            suite.batch().await,
        ),
        (
            "the change time moves with a change",
            suite.change_time().await,
        ),
        (
            "an answer is not older than the change it tells of",
            suite.answer_time().await,
        ),
        (
            "signing in tells the right password from a wrong one, or tells nothing",
            suite.sign_in().await,
        ),
        (
            "no password occurs in what is printed",
            suite.silent().await,
        ),
        (
            "a dropped call does no harm to later ones",
            suite.dropped().await,
        ),
    ];
    cases
        .into_iter()
        .filter_map(|(case, verdict)| verdict.err().map(|found| Violation::new(case, found)))
        .collect()
}

struct Suite<'a>(&'a dyn BackendHarness);

impl Suite<'_> {
    fn name(&self) -> Verdict {
        let name = self.0.backend().name();
        let is_word = !name.is_empty() && !name.contains(char::is_whitespace);
        expect(is_word, &format!("found {name:?}"))
    }

    async fn caller(&self) -> Verdict {
        let first = self
            .0
            .backend()
            .caller()
            .await
            .map_err(|error| error.to_string())?;
        let second = self
            .0
            .backend()
            .caller()
            .await
            .map_err(|error| error.to_string())?;
        if (&first.tenant, &first.id) != (&second.tenant, &second.id) {
            return Err(format!("found {second:?}, expected {first:?}"));
        }
        let named = !first.tenant.as_str().is_empty() && !first.id.as_str().is_empty();
        expect(named, "a caller without a tenant or an id")
    }

    async fn list(&self, query: AccountQuery) -> Result<Vec<Account>, String> {
        self.0
            .backend()
            .accounts(query)
            .try_collect()
            .await
            .map_err(|error| error.to_string())
    }

    async fn listing(&self) -> Verdict {
        let all = self.list(AccountQuery::All).await?;
        let ids: HashSet<&AccountId> = all.iter().map(|account| &account.id).collect();
        expect(ids.len() == all.len(), "an account listed twice")?;
        let missing = self
            .0
            .accounts()
            .into_iter()
            .find(|account| !ids.contains(account));
        missing.map_or(Ok(()), |account| Err(format!("{account} is not listed")))
    }

    async fn named(&self) -> Verdict {
        for id in self.0.accounts() {
            let by_id = self.list(AccountQuery::Named(vec![id.to_string()])).await?;
            let [account] = by_id.as_slice() else {
                return Err(format!(
                    "{} accounts with the id {id}, expected 1",
                    by_id.len()
                ));
            };
            let by_name = self
                .list(AccountQuery::Named(vec![account.user_name.clone()]))
                .await?;
            if by_name.first().is_none_or(|found| found.id != id) {
                return Err(format!(
                    "{} is not found by its user name",
                    account.user_name
                ));
            }
        }
        Ok(())
    }

    async fn unknown_name(&self) -> Verdict {
        let found = self
            .list(AccountQuery::Named(vec![NOBODY.to_owned()]))
            .await?;
        expect(found.is_empty(), "an account nobody has")
    }

    async fn signs_in(&self) -> Verdict {
        for account in self.0.accounts() {
            let (old, new) = (fresh()?, fresh()?);
            self.set(&account, &old).await?;
            self.set(&account, &new).await?;
            expect(
                self.0.signs_in(&account, new.expose()).await,
                "the new password does not sign in",
            )?;
            expect(
                !self.0.signs_in(&account, old.expose()).await,
                "the old password still signs in",
            )?;
        }
        Ok(())
    }

    async fn awkward_characters(&self) -> Verdict {
        let account = self.any()?;
        for text in [
            r#"aA1!"'\`$(){}[]<>|&;*?~#%^"#,
            r"\u0041\n\0 aA1 trailing blank ",
            "</script><!--aA1",
            "%20+&=aA1:@/,.-_",
        ] {
            let password = Arc::new(Password::new(Zeroizing::new(text.to_owned())));
            self.set(&account, &password).await?;
            expect(
                self.0.signs_in(&account, text).await,
                &format!("a password like {text} does not sign in"),
            )?;
        }
        Ok(())
    }

    async fn repeat(&self) -> Verdict {
        let (account, password) = (self.any()?, fresh()?);
        self.set(&account, &password).await?;
        self.set(&account, &password).await?;
        expect(
            self.0.signs_in(&account, password.expose()).await,
            "the password does not sign in",
        )
    }

    async fn refused(&self) -> Verdict {
        let (account, before) = (self.any()?, fresh()?);
        self.set(&account, &before).await?;
        // Hardly any directory takes this one.
        let short = "a";
        let password = Arc::new(Password::new(Zeroizing::new(short.to_owned())));
        let request = SetPassword::new(account.clone(), password);
        let expected = match self.0.backend().set_password(&request).await {
            Outcome::Applied { .. } => short,
            Outcome::Refused(_) | Outcome::NotSent(_) => before.expose(),
            Outcome::Throttled { .. } | Outcome::Unknown(_) => return Ok(()),
        };
        expect(
            self.0.signs_in(&account, expected).await,
            "the outcome of setting a short password is not what became of it",
        )
    }

    async fn lost_answer(&self) -> Verdict {
        for applied in [true, false] {
            let (account, password) = (self.any()?, fresh()?);
            if !self.0.lose_answer(applied).await {
                return Ok(());
            }
            let request = SetPassword::new(account.clone(), Arc::clone(&password));
            let outcome = self.0.backend().set_password(&request).await;
            expect(
                outcome.is_ambiguous(),
                &format!("found {outcome:?}, expected unknown"),
            )?;
            self.set(&account, &password).await?;
            expect(
                self.0.signs_in(&account, password.expose()).await,
                "the password set again does not sign in",
            )?;
        }
        Ok(())
    }

    async fn missing(&self) -> Verdict {
        let password = fresh()?;
        let request = SetPassword::new(AccountId::new(NOBODY), Arc::clone(&password));
        let outcome = self.0.backend().set_password(&request).await;
        expect(
            !format!("{outcome:?} {request:?}").contains(password.expose()),
            "the outcome tells the password",
        )?;
        match outcome {
            Outcome::Refused(_) => Ok(()),
            other => Err(format!("found {other:?}, expected refused")),
        }
    }

    async fn batch(&self) -> Verdict {
        let mut batch = Vec::new();
        for account in self.0.accounts() {
            batch.push(SetPassword::new(account, fresh()?));
        }
        // not in the middle, so that a reversed answer shows
        let second = batch.len().min(1);
        batch.insert(second, SetPassword::new(AccountId::new(NOBODY), fresh()?));
        for part in batch.chunks(self.0.backend().max_batch().max(1)) {
            let outcomes = self.0.backend().set_passwords(part).await;
            expect(outcomes.len() == part.len(), "an item without an outcome")?;
            for (request, outcome) in part.iter().zip(outcomes) {
                let applied = matches!(outcome, Outcome::Applied { .. });
                let live = self
                    .0
                    .signs_in(&request.account, request.password.expose())
                    .await;
                let exists = request.account != AccountId::new(NOBODY);
                expect(
                    applied == exists && live == exists,
                    &format!("{} got {outcome:?}", request.account),
                )?;
            }
        }
        Ok(())
    }

    async fn change_time(&self) -> Verdict {
        let account = self.any()?;
        let read = || self.0.backend().password_changed(&account);
        self.set(&account, &fresh()?).await?;
        let before = read().await.map_err(|error| error.to_string())?;
        for _ in 0..LOOKS {
            self.set(&account, &fresh()?).await?;
            if before.is_none() || read().await.map_err(|error| error.to_string())? != before {
                return Ok(());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Err("it stands still".to_owned())
    }

    async fn answer_time(&self) -> Verdict {
        let account = self.any()?;
        let answered_at = self.set(&account, &fresh()?).await?;
        let changed = self.0.backend().password_changed(&account).await;
        let changed = changed.map_err(|error| error.to_string())?;
        let (Some(answered_at), Some(changed)) = (answered_at, changed) else {
            return Ok(());
        };
        // The servers of one directory agree on the time but for so much.
        let in_time = changed.duration_since(answered_at) <= SignedDuration::from_mins(1);
        let found = format!("answered at {answered_at}, changed at {changed}");
        expect(in_time, &found)
    }

    async fn sign_in(&self) -> Verdict {
        let (id, password) = (self.any()?, fresh()?);
        self.set(&id, &password).await?;
        let listed = self.list(AccountQuery::Named(vec![id.to_string()])).await?;
        let account = listed.first().ok_or_else(|| format!("{id} is not found"))?;
        let ask = |password: Arc<Password>| async move {
            self.0.backend().signs_in(account, &password).await
        };
        let wrong = ask(fresh()?).await;
        if matches!(wrong, SignIn::CannotTell(_)) {
            let right = ask(password).await;
            let agrees = matches!(right, SignIn::CannotTell(_));
            return expect(agrees, &format!("found {right:?} once it could not tell"));
        }
        expect(wrong == SignIn::Wrong, "a wrong password is right")?;
        for _ in 0..LOOKS {
            if ask(Arc::clone(&password)).await == SignIn::Right {
                return Ok(());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Err("the right password is never right".to_owned())
    }

    async fn silent(&self) -> Verdict {
        let (account, password) = (self.any()?, fresh()?);
        self.set(&account, &password).await?;
        let (printed, password) = (self.0.printed().await, password.expose().as_bytes());
        let mut windows = printed.windows(password.len());
        expect(
            !windows.any(|window| window == password),
            "the password that was set is printed",
        )
    }

    async fn dropped(&self) -> Verdict {
        let (account, lost, kept) = (self.any()?, fresh()?, fresh()?);
        let request = SetPassword::new(account.clone(), lost);
        {
            let mut call = pin!(self.0.backend().set_password(&request));
            // one poll, as far as it gets
            futures::future::poll_fn(|context| {
                let _dropped = call.as_mut().poll(context);
                std::task::Poll::Ready(())
            })
            .await;
        }
        self.set(&account, &kept).await?;
        let live = self.0.signs_in(&account, kept.expose()).await;
        expect(live, "the password set after it does not sign in")?;
        self.list(AccountQuery::All).await.map(drop)?;
        // reading half a listing is no different
        let mut half = self.0.backend().accounts(AccountQuery::All);
        half.next().await;
        drop(half);
        self.list(AccountQuery::All).await.map(drop)
    }

    fn any(&self) -> Result<AccountId, String> {
        self.0
            .accounts()
            .into_iter()
            .next()
            .ok_or_else(|| "the harness names no account".to_owned())
    }

    /// Sets a password, which must succeed; when the server answered, if it says so.
    async fn set(
        &self,
        account: &AccountId,
        password: &Arc<Password>,
    ) -> Result<Option<Timestamp>, String> {
        match self
            .0
            .backend()
            .set_password(&SetPassword::new(account.clone(), Arc::clone(password)))
            .await
        {
            Outcome::Applied { answered_at, .. } => Ok(answered_at),
            other => Err(format!("found {other:?} for {account}, expected applied")),
        }
    }
}

/// An object id that no directory has.
const NOBODY: &str = "00000000-0000-0000-0000-00000000dead";

/// A directory's clock may count whole seconds, and its servers may not know of a change at once.
const LOOKS: usize = 20;
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(200);

fn fresh() -> Result<Arc<Password>, String> {
    let generator =
        Generator::new(&PasswordPolicy::default()).map_err(|error| error.to_string())?;
    let password = generator
        .generate(&mut rand::rng(), &Forbidden::default())
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(password))
}

fn expect(kept: bool, found: &str) -> Verdict {
    if kept { Ok(()) } else { Err(found.to_owned()) }
}
