//! The backend suite acquits the double, and convicts broken ones for the right reason.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use rotation_core::testkit::{BackendHarness, MemoryBackend, backend_suite};
use rotation_core::{
    Account, AccountId, AccountQuery, BackendError, Caller, Outcome, Problem, RotationBackend,
    SetPassword,
};

use crate::world::account;

/// What is wrong with a backend.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    None,
    AnswersAppliedToEverything,
    ForgetsToApply,
    IgnoresNames,
    ListsTwice,
    LosesBatchItems,
    SwapsBatchItems,
    TellsThePassword,
    TrimsPasswords,
}

struct Broken(MemoryBackend, Defect);

#[async_trait]
impl RotationBackend for Broken {
    async fn caller(&self) -> Result<Caller, BackendError> {
        self.0.caller().await
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        match self.1 {
            Defect::IgnoresNames => self.0.accounts(AccountQuery::All),
            Defect::ListsTwice => self
                .0
                .accounts(query.clone())
                .chain(self.0.accounts(query))
                .boxed(),
            _ => self.0.accounts(query),
        }
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        let applied = Outcome::Applied { request_id: None };
        match self.1 {
            Defect::ForgetsToApply => return applied,
            Defect::TrimsPasswords => {
                let trimmed = request.password.expose().trim().to_owned();
                let password = rotation_core::Password::new(trimmed.into());
                return self
                    .0
                    .set_password(&SetPassword::new(request.account.clone(), password.into()))
                    .await;
            }
            _ => {}
        }
        match (self.0.set_password(request).await, self.1) {
            (_, Defect::AnswersAppliedToEverything) => applied,
            (Outcome::Refused(mut refusal), Defect::TellsThePassword) => {
                refusal.problem = Problem::new(format!("cannot set {}", request.password.expose()));
                Outcome::Refused(refusal)
            }
            (outcome, _) => outcome,
        }
    }

    async fn set_passwords(&self, batch: &[SetPassword]) -> Vec<Outcome> {
        let mut outcomes = self.0.set_passwords(batch).await;
        match self.1 {
            Defect::LosesBatchItems => drop(outcomes.pop()),
            Defect::SwapsBatchItems => outcomes.reverse(),
            _ if outcomes.len() == 1 => return vec![self.set_password(&batch[0]).await],
            _ => {}
        }
        outcomes
    }

    fn max_batch(&self) -> usize {
        20
    }

    async fn password_changed(
        &self,
        account: &AccountId,
    ) -> Result<Option<Timestamp>, BackendError> {
        self.0.password_changed(account).await
    }
}

struct Harness(Broken);

#[async_trait]
impl BackendHarness for Harness {
    fn backend(&self) -> &dyn RotationBackend {
        &self.0
    }

    fn accounts(&self) -> Vec<AccountId> {
        (1..=4).map(account).collect()
    }

    async fn signs_in(&self, account: &AccountId, password: &str) -> bool {
        self.0.0.live_password(account).as_deref() == Some(password)
    }
}

async fn verdict(defect: Defect) -> Vec<&'static str> {
    let harness = Harness(Broken(MemoryBackend::with_accounts(4), defect));
    backend_suite(&harness)
        .await
        .iter()
        .map(|violation| violation.case)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_backend_suite_acquits_a_sound_backend() {
    assert_eq!(verdict(Defect::None).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_backend_suite_convicts_each_broken_backend_for_its_defect() {
    for (defect, case) in [
        (
            Defect::AnswersAppliedToEverything,
            "a missing account is refused without its password being told",
        ),
        (
            Defect::ForgetsToApply,
            "the password that was set signs in, and no earlier one",
        ),
        (
            Defect::IgnoresNames,
            "an account that does not exist is left out",
        ),
        (Defect::ListsTwice, "every account is listed once"),
        (
            Defect::LosesBatchItems,
            "a batch is answered item by item in its order",
        ),
        (
            Defect::SwapsBatchItems,
            "a batch is answered item by item in its order",
        ),
        (
            Defect::TellsThePassword,
            "a missing account is refused without its password being told",
        ),
        (
            Defect::TrimsPasswords,
            "any printable password arrives as it is",
        ),
    ] {
        let cases = verdict(defect).await;
        assert!(
            cases.contains(&case),
            "{defect:?} was convicted of {cases:?}"
        );
    }
}
