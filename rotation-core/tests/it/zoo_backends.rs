//! The backend suite acquits a sound backend, and convicts each broken one of what is broken.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::BoxStream;
use jiff::Timestamp;
use rotation_core::testkit::{BackendHarness, MemoryBackend, SetFault, backend_suite};
use rotation_core::{
    Account, AccountId, AccountQuery, BackendError, Caller, Outcome, Password, Problem, Refusal,
    RefusalReason, RotationBackend, SetPassword, SignIn,
};

/// What is wrong with a backend, and the case that must find it.
const ZOO: &[(Fault, &str)] = &[
    // Reading.
    (Fault::HasNoName, "its name is a word"),
    (
        Fault::CallerChanges,
        "the caller is the same whenever it is asked",
    ),
    (Fault::ListsTwice, "every account is listed once"),
    (Fault::ListsTooFew, "every account is listed once"),
    (
        Fault::KnowsNoUserNames,
        "accounts are found by id and by user name",
    ),
    (
        Fault::IgnoresNames,
        "an account that does not exist is left out",
    ),
    // Setting.
    (
        Fault::ForgetsToApply,
        "the password that was set signs in, and no earlier one",
    ),
    (
        Fault::SetsAnother,
        "the password that was set signs in, and no earlier one",
    ),
    (
        Fault::KeepsTheOld,
        "the password that was set signs in, and no earlier one",
    ),
    (
        Fault::TrimsPasswords,
        "any printable password arrives as it is",
    ),
    (
        Fault::RefusesRepeats,
        "setting the same password again is harmless",
    ),
    // Outcomes.
    (
        Fault::RefusesAfterApplying,
        "applied means applied, and refused means not applied",
    ),
    (
        Fault::AppliedWhenRefused,
        "applied means applied, and refused means not applied",
    ),
    (
        Fault::AppliedWhenUnknown,
        "a lost answer is unknown, and the same password settles it",
    ),
    (
        Fault::RefusedWhenUnknown,
        "a lost answer is unknown, and the same password settles it",
    ),
    (
        Fault::NotSentWhenUnknown,
        "a lost answer is unknown, and the same password settles it",
    ),
    (
        Fault::AppliedWhenMissing,
        "a missing account is refused without its password being told",
    ),
    (
        Fault::LeaksIntoOutcomes,
        "a missing account is refused without its password being told",
    ),
    (
        Fault::LosesBatchItems,
        "a batch is answered item by item in its order",
    ),
    (
        Fault::AnswersOutOfOrder,
        "a batch is answered item by item in its order",
    ),
    (
        Fault::StopsAtFirstRefusal,
        "a batch is answered item by item in its order",
    ),
    // Evidence.
    (Fault::StandsStill, "the change time moves with a change"),
    (
        Fault::AnswersFromThePast,
        "an answer is not older than the change it tells of",
    ),
    (
        Fault::SignsInWithAnything,
        "signing in tells the right password from a wrong one, or tells nothing",
    ),
    (
        Fault::SignsInWithNothing,
        "signing in tells the right password from a wrong one, or tells nothing",
    ),
    // Silence, and being dropped.
    (
        Fault::LeaksIntoDebug,
        "no password occurs in what is printed",
    ),
    (
        Fault::StaysBusyWhenDropped,
        "a dropped call does no harm to later ones",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fault {
    AnswersFromThePast,
    AnswersOutOfOrder,
    AppliedWhenMissing,
    AppliedWhenRefused,
    AppliedWhenUnknown,
    CallerChanges,
    ForgetsToApply,
    HasNoName,
    IgnoresNames,
    KeepsTheOld,
    KnowsNoUserNames,
    LeaksIntoDebug,
    LeaksIntoOutcomes,
    ListsTooFew,
    ListsTwice,
    LosesBatchItems,
    NotSentWhenUnknown,
    RefusedWhenUnknown,
    RefusesAfterApplying,
    RefusesRepeats,
    SetsAnother,
    SignsInWithAnything,
    SignsInWithNothing,
    StandsStill,
    StaysBusyWhenDropped,
    StopsAtFirstRefusal,
    TrimsPasswords,
}

#[tokio::test(start_paused = true)]
async fn each_broken_backend_is_convicted_of_what_is_broken() {
    let mut escaped = Vec::new();
    for (fault, case) in ZOO {
        let cases = verdict(Some(*fault)).await;
        if !cases.contains(case) {
            escaped.push(format!("{fault:?} was convicted of {cases:?}"));
        }
    }
    assert_eq!(escaped, [""; 0]);
    let faults: HashSet<_> = ZOO.iter().map(|(fault, _)| fault).collect();
    assert_eq!(faults.len(), ZOO.len());
    println!("{} broken backends convicted", faults.len());
}

#[tokio::test(start_paused = true)]
async fn a_sound_backend_is_acquitted() {
    assert_eq!(verdict(None).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_sound_backend_whose_change_times_lag_is_acquitted() {
    let harness = Broken::by(None);
    harness.directory.show_changes_after(5);
    assert_eq!(backend_suite(&harness).await, []);
}

async fn verdict(fault: Option<Fault>) -> Vec<&'static str> {
    let violations = backend_suite(&Broken::by(fault)).await;
    violations.iter().map(|violation| violation.case).collect()
}

/// A directory in memory behind a backend with one thing wrong.
struct Broken {
    directory: MemoryBackend,
    fault: Option<Fault>,
    /// Passwords that sign in besides the live ones.
    besides: Mutex<HashSet<(AccountId, String)>>,
    busy: AtomicBool,
    callers: AtomicUsize,
    last: Mutex<HashMap<AccountId, String>>,
}

impl Broken {
    fn by(fault: Option<Fault>) -> Self {
        Self {
            directory: MemoryBackend::with_accounts(4),
            fault,
            besides: Mutex::default(),
            busy: AtomicBool::new(false),
            callers: AtomicUsize::new(0),
            last: Mutex::default(),
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// What this backend asks the directory for instead of `request`.
    fn sent(&self, request: &SetPassword) -> SetPassword {
        let mut sent = request.clone();
        match self.fault {
            Some(Fault::SetsAnother) => sent.account = AccountId::new("user-1"),
            Some(Fault::TrimsPasswords) => {
                let trimmed = request.password.expose().trim().to_owned();
                sent.password = Password::new(trimmed.into()).into();
            }
            _ => {}
        }
        sent
    }

    /// What this backend makes of the directory's answer to `request`.
    fn answer(&self, request: &SetPassword, outcome: Outcome) -> Outcome {
        let password = request.password.expose();
        match (self.fault, outcome) {
            (Some(Fault::AnswersFromThePast), Outcome::Applied { request_id, .. }) => {
                Outcome::Applied {
                    request_id,
                    answered_at: Some(Timestamp::MIN),
                }
            }
            (Some(Fault::AppliedWhenMissing), Outcome::Refused(refusal))
                if refusal.reason == RefusalReason::AccountMissing =>
            {
                applied()
            }
            (Some(Fault::AppliedWhenRefused), Outcome::Refused(refusal))
                if refusal.reason == RefusalReason::Password =>
            {
                applied()
            }
            (Some(Fault::AppliedWhenUnknown), Outcome::Unknown(_)) => applied(),
            (Some(Fault::RefusedWhenUnknown), Outcome::Unknown(problem)) => {
                Outcome::Refused(Refusal::new(RefusalReason::Other, problem))
            }
            (Some(Fault::NotSentWhenUnknown), Outcome::Unknown(problem)) => {
                Outcome::NotSent(problem)
            }
            (Some(Fault::LeaksIntoOutcomes), Outcome::Refused(refusal)) => {
                let problem = Problem::new(format!("cannot set {password}"));
                Outcome::Refused(Refusal::new(refusal.reason, problem))
            }
            (_, outcome) => outcome,
        }
    }
}

fn applied() -> Outcome {
    Outcome::Applied {
        request_id: None,
        answered_at: None,
    }
}

#[async_trait]
impl RotationBackend for Broken {
    fn name(&self) -> &'static str {
        if self.is(Fault::HasNoName) {
            return "";
        }
        self.directory.name()
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        let mut caller = self.directory.caller().await?;
        if self.is(Fault::CallerChanges) {
            let number = self.callers.fetch_add(1, Ordering::Relaxed);
            caller.id = AccountId::new(&format!("caller-{number}"));
        }
        Ok(caller)
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        match (self.fault, query) {
            (Some(Fault::IgnoresNames), _) => self.directory.accounts(AccountQuery::All),
            (Some(Fault::ListsTwice), query) => {
                let again = self.directory.accounts(query.clone());
                self.directory.accounts(query).chain(again).boxed()
            }
            (Some(Fault::ListsTooFew), AccountQuery::All) => {
                self.directory.accounts(AccountQuery::All).skip(1).boxed()
            }
            (Some(Fault::KnowsNoUserNames), AccountQuery::Named(names)) => {
                let ids = names.into_iter().filter(|name| !name.contains('@'));
                self.directory.accounts(AccountQuery::Named(ids.collect()))
            }
            (_, query) => self.directory.accounts(query),
        }
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        let password = request.password.expose().to_owned();
        let item = (request.account.clone(), password.clone());
        let before = {
            let mut last = self.last.lock().unwrap();
            last.insert(request.account.clone(), password.clone())
        };
        match self.fault {
            Some(Fault::ForgetsToApply) => return applied(),
            Some(Fault::RefusesRepeats) if before.as_ref() == Some(&password) => {
                let problem = Problem::new("used before");
                return Outcome::Refused(Refusal::new(RefusalReason::Password, problem));
            }
            Some(Fault::StaysBusyWhenDropped) if self.busy.swap(true, Ordering::Relaxed) => {
                return Outcome::Unknown(Problem::new("busy"));
            }
            _ => {}
        }
        let outcome = self.directory.set_password(&self.sent(request)).await;
        self.busy.store(false, Ordering::Relaxed);
        match (self.fault, &outcome) {
            (Some(Fault::RefusesAfterApplying), Outcome::Refused(refusal))
                if refusal.reason == RefusalReason::Password =>
            {
                self.directory.change_elsewhere(&request.account);
                self.besides.lock().unwrap().insert(item);
            }
            (Some(Fault::KeepsTheOld), _) => {
                self.besides.lock().unwrap().insert(item);
            }
            _ => {}
        }
        self.answer(request, outcome)
    }

    async fn set_passwords(&self, batch: &[SetPassword]) -> Vec<Outcome> {
        let sets = batch.iter().map(|request| self.set_password(request));
        if self.is(Fault::StaysBusyWhenDropped) {
            return futures::stream::iter(sets).then(|set| set).collect().await;
        }
        let mut outcomes = join_all(sets).await;
        match self.fault {
            Some(Fault::AnswersOutOfOrder) => outcomes.reverse(),
            Some(Fault::LosesBatchItems) => drop(outcomes.pop()),
            Some(Fault::StopsAtFirstRefusal) => {
                let applied = |outcome: &Outcome| matches!(outcome, Outcome::Applied { .. });
                let done = outcomes.iter().take_while(|one| applied(one)).count();
                for outcome in outcomes.iter_mut().skip(done) {
                    *outcome = Outcome::NotSent(Problem::new("stopped"));
                }
            }
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
        match self.fault {
            Some(Fault::StandsStill) => Ok(Some(Timestamp::UNIX_EPOCH)),
            _ => self.directory.password_changed(account).await,
        }
    }

    async fn signs_in(&self, account: &Account, password: &Password) -> SignIn {
        match self.fault {
            Some(Fault::SignsInWithAnything) => SignIn::Right,
            Some(Fault::SignsInWithNothing) => SignIn::Wrong,
            _ => RotationBackend::signs_in(&self.directory, account, password).await,
        }
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Broken");
        if self.is(Fault::LeaksIntoDebug) {
            shown.field("last", &self.last);
        }
        shown.finish_non_exhaustive()
    }
}

#[async_trait]
impl BackendHarness for Broken {
    fn backend(&self) -> &dyn RotationBackend {
        self
    }

    fn accounts(&self) -> Vec<AccountId> {
        (1..=4)
            .map(|number| AccountId::new(&format!("user-{number}")))
            .collect()
    }

    async fn signs_in(&self, account: &AccountId, password: &str) -> bool {
        let besides = (account.clone(), password.to_owned());
        self.directory.live_password(account).as_deref() == Some(password)
            || self.besides.lock().unwrap().contains(&besides)
    }

    async fn lose_answer(&self, applied: bool) -> bool {
        self.directory.inject(if applied {
            SetFault::answer_lost()
        } else {
            SetFault::request_lost()
        });
        true
    }

    async fn printed(&self) -> Vec<u8> {
        format!("{self:?}").into_bytes()
    }
}
