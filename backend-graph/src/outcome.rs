use rotation_core::{Outcome, Refusal, RefusalReason};

use crate::answer::{Answer, TOKEN_FIX};
use crate::client::SendError;
use crate::consent::Consent;

use RefusalReason::{AccountMissing, NotAllowed, Other, Password};
use Says::{Anything, ClaimsChallenge, Code, Message, NothingOfGraph, RetryAfter};
use Status::{Any, Class, Is};
use Verdict::{Applied, Refused, Throttled, Unknown};

/// What an answer to `PATCH /users/{id}` means, alone or as an item of a batch. The first row that matches decides.
///
/// Sources: <https://learn.microsoft.com/graph/errors>, <https://learn.microsoft.com/graph/throttling>,
/// <https://learn.microsoft.com/graph/api/user-update>.
struct Row {
    status: Status,
    says: Says,
    verdict: Verdict,
}

#[derive(Clone, Copy)]
enum Status {
    Any,
    /// The hundreds: 4 is 400 to 499.
    Class(u16),
    Is(u16),
}

#[derive(Clone, Copy)]
enum Says {
    Anything,
    /// Demands that a token answer a claims challenge, in header or code.
    ClaimsChallenge,
    /// Graph's code.
    Code(&'static str),
    /// Words of Graph's message, which Microsoft may change: only where the code does not tell.
    Message(&'static str),
    /// No error of Graph's: somebody in between has answered.
    NothingOfGraph,
    /// When to come back.
    RetryAfter,
}

#[derive(Clone, Copy)]
enum Verdict {
    Applied,
    Refused(RefusalReason, Fix),
    Throttled { ambiguous: bool },
    Unknown(Fix),
}

#[derive(Clone, Copy)]
enum Fix {
    Busy,
    ClaimsChallenge,
    Conflict,
    Gone,
    InBetween,
    LookUp,
    OnPremises,
    Outage,
    Password,
    PermissionOrRole,
    RestrictedUnit,
    Token,
}

/// What to do when an answer cannot be Graph's.
pub(crate) const IN_BETWEEN_FIX: &str =
    "somebody answers in Graph's place: check the proxy and `cloud`";

const fn row(status: Status, says: Says, verdict: Verdict) -> Row {
    Row {
        status,
        says,
        verdict,
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row(Is(204),  Anything,                                  Applied),
    // Graph documents 204 alone. A captive portal or a proxy says 200 to anything.
    row(Class(2), Anything,                                  Unknown(Fix::InBetween)),
    // Never followed, and Graph never redirects: whoever did may have passed the request on.
    row(Class(3), Anything,                                  Unknown(Fix::InBetween)),
    // After the one repeat with a new token.
    row(Is(401),  ClaimsChallenge,                           Refused(NotAllowed, Fix::ClaimsChallenge)),
    row(Is(401),  Anything,                                  Refused(NotAllowed, Fix::Token)),
    row(Is(408),  Anything,                                  Unknown(Fix::Outage)),
    row(Is(429),  Anything,                                  Throttled { ambiguous: false }),
    row(Is(503),  RetryAfter,                                Throttled { ambiguous: true }),
    row(Class(5), Anything,                                  Unknown(Fix::Outage)),
    row(Class(4), NothingOfGraph,                            Unknown(Fix::InBetween)),
    row(Class(4), Code("Directory_ConcurrencyViolation"),    Throttled { ambiguous: false }),
    row(Class(4), Message("due to concurrent requests"),     Throttled { ambiguous: false }),
    row(Class(4), Code("Request_ThrottledTemporarily"),      Throttled { ambiguous: false }),
    row(Is(400),  Message("password complexity"),            Refused(Password, Fix::Password)),
    row(Is(400),  Message("banned password"),                Refused(Password, Fix::Password)),
    row(Is(400),  Message("on-premises mastered"),           Refused(Other, Fix::OnPremises)),
    row(Class(4), Message("restricted management"),          Refused(NotAllowed, Fix::RestrictedUnit)),
    row(Is(403),  ClaimsChallenge,                           Refused(NotAllowed, Fix::ClaimsChallenge)),
    row(Is(403),  Code("Directory_QuotaExceeded"),           Refused(Other, Fix::LookUp)),
    row(Is(403),  Anything,                                  Refused(NotAllowed, Fix::PermissionOrRole)),
    row(Is(404),  Anything,                                  Refused(AccountMissing, Fix::Gone)),
    // We send no condition, and Graph has no other use for these two than a change that came first.
    row(Is(409),  Anything,                                  Refused(Other, Fix::Conflict)),
    row(Is(412),  Anything,                                  Refused(Other, Fix::Conflict)),
    row(Class(4), Anything,                                  Refused(Other, Fix::LookUp)),
    row(Any,      Anything,                                  Unknown(Fix::InBetween)),
];

/// The outcome that `answer` stands for.
pub(crate) fn outcome(answer: &Answer, consent: &Consent) -> Outcome {
    let verdict = ROWS
        .iter()
        .find(|row| row.status.matches(answer) && row.says.matches(answer))
        .map_or(Unknown(Fix::InBetween), |row| row.verdict);
    let problem = |fix: Fix| answer.problem().with_fix(fix.text(consent));
    match verdict {
        Applied => Outcome::Applied {
            request_id: answer.request_id.clone(),
            answered_at: answer.answered_at,
        },
        Refused(reason, fix) => Outcome::Refused(Refusal::new(reason, problem(fix))),
        Throttled { ambiguous } => Outcome::Throttled {
            retry_after: answer.retry_after,
            ambiguous,
            problem: problem(Fix::Busy),
        },
        Unknown(fix) => Outcome::Unknown(problem(fix)),
    }
}

/// The outcome of a request that got no answer.
impl From<SendError> for Outcome {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Lost(problem) => Self::Unknown(problem),
            SendError::NotSent(problem) => Self::NotSent(problem),
            SendError::Token(error) => Self::NotSent(error.problem),
        }
    }
}

impl Status {
    fn matches(self, answer: &Answer) -> bool {
        let status = answer.status.as_u16();
        match self {
            Any => true,
            Class(class) => status / 100 == class,
            Is(expected) => status == expected,
        }
    }
}

impl Says {
    fn matches(self, answer: &Answer) -> bool {
        match self {
            Anything => true,
            ClaimsChallenge => {
                answer.claims_challenge || answer.code() == Some("insufficient_claims")
            }
            Code(code) => answer.code() == Some(code),
            Message(words) => answer
                .error
                .as_ref()
                .and_then(|error| error.message.as_deref())
                .is_some_and(|message| message.to_lowercase().contains(words)),
            NothingOfGraph => answer.error.is_none(),
            RetryAfter => answer.retry_after.is_some(),
        }
    }
}

impl Fix {
    fn text(self, consent: &Consent) -> String {
        let text = match self {
            Self::Busy => "wait; if it lasts, set fewer passwords at once",
            Self::ClaimsChallenge => {
                "a conditional or continuous access policy wants more of the app than a client secret can prove: \
                 exclude the app from it, or run from a network it allows"
            }
            Self::Conflict => "somebody else changes the account at the same time: plan again",
            Self::Gone => {
                "the account is deleted, or so new that this part of the directory does not know it yet: plan again"
            }
            Self::InBetween => IN_BETWEEN_FIX,
            Self::LookUp => "look the code up at https://learn.microsoft.com/graph/errors",
            Self::OnPremises => {
                "its password lives on premises: rotate it there, by `[tenant.on_premises]`, or leave such accounts out by `synced = \"skip\"`"
            }
            Self::Outage => "Graph is out of order: wait, and look at the tenant's service health",
            Self::Password => {
                "a fresh password may pass; if several do not, lengthen the policy or exclude words that the tenant bans"
            }
            Self::PermissionOrRole => return consent.permission_or_role(),
            Self::RestrictedUnit => {
                "the account is in a restricted management administrative unit: assign the app's role at the scope of \
                 that unit"
            }
            Self::Token => TOKEN_FIX,
        };
        text.to_owned()
    }
}

/// The table of this file as `docs/errors.md` shows it.
#[cfg(test)]
pub(crate) fn documented(consent: &Consent) -> String {
    let mut page = String::new();
    for row in ROWS {
        let status = match row.status {
            Any => "any other".to_owned(),
            Class(class) => format!("other {class}xx"),
            Is(status) => status.to_string(),
        };
        let says = match row.says {
            Anything => String::new(),
            ClaimsChallenge => " with a claims challenge".to_owned(),
            Code(code) => format!(" `{code}`"),
            Message(words) => format!(" \"…{words}…\""),
            NothingOfGraph => " without an error of Graph's".to_owned(),
            RetryAfter => " with `Retry-After`".to_owned(),
        };
        let (outcome, fix) = match row.verdict {
            Applied => ("applied", String::new()),
            Refused(_, fix) => ("refused", fix.text(consent)),
            Throttled { ambiguous: false } => (
                "throttled",
                "the run waits, and sends the same password".to_owned(),
            ),
            Throttled { ambiguous: true } => (
                "throttled, perhaps applied",
                "the run waits, and sends the same password".to_owned(),
            ),
            Unknown(fix) => (
                "unknown",
                format!(
                    "the run sends the same password again; {}",
                    fix.text(consent)
                ),
            ),
        };
        page += &format!("| {status}{says} | {outcome} | {fix} |\n");
    }
    page
}
