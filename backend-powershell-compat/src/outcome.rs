use rotation_core::{Outcome, Problem, Refusal, RefusalReason};

use crate::failure::{Failure, HttpAnswer};
use crate::worker::Lost;

use RefusalReason::{AccountMissing, NotAllowed, Other, Password};
use Says::{Anything, Category, Code, Kind, Message, NothingOfGraph, Number, RetryAfter};
use Status::{Any, Class, Is, Unsaid};
use Verdict::{NotSent, Refused, Throttled, Unknown};

/// What to do when Graph refuses the session.
pub(crate) const TOKEN_FIX: &str = "Graph does not accept the session's token: sign in again, and check the tenant's cloud and \
     this machine's clock";

/// What the failure of a cmdlet that sets a password means. The first row that matches decides.
///
/// Sources: <https://learn.microsoft.com/graph/errors>, <https://learn.microsoft.com/graph/throttling>,
/// <https://learn.microsoft.com/powershell/module/activedirectory/set-adaccountpassword>; the numbers of a domain
/// controller are those of <https://learn.microsoft.com/windows/win32/debug/system-error-codes>.
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
    /// No server answered, or the module does not tell what.
    Unsaid,
}

#[derive(Clone, Copy)]
enum Says {
    Anything,
    /// The category of the error record.
    Category(&'static str),
    /// Graph's code.
    Code(&'static str),
    /// The type of an exception.
    Kind(&'static str),
    /// Words of the message, which differ by language: only where nothing else tells.
    Message(&'static str),
    /// No error of Graph's: somebody in between has answered.
    NothingOfGraph,
    /// The number that a domain controller gives.
    Number(u32),
    /// When to come back.
    RetryAfter,
}

#[derive(Clone, Copy)]
enum Verdict {
    NotSent(Fix),
    Refused(RefusalReason, Fix),
    Throttled { ambiguous: bool },
    Unknown(Fix),
}

#[derive(Clone, Copy)]
enum Fix {
    Busy,
    ClaimsChallenge,
    Conflict,
    Controller,
    DomainPolicy,
    DomainRight,
    Gone,
    InBetween,
    Krbtgt,
    LookUp,
    OnPremises,
    Outage,
    OwnAccount,
    Password,
    PermissionOrRole,
    Protected,
    RestrictedUnit,
    Token,
}

const fn row(status: Status, says: Says, verdict: Verdict) -> Row {
    Row {
        status,
        says,
        verdict,
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Graph documents 204 alone. A captive portal or a proxy says 200 to anything.
    row(Class(2), Anything,                                 Unknown(Fix::InBetween)),
    row(Class(3), Anything,                                 Unknown(Fix::InBetween)),
    row(Is(401),  Code("insufficient_claims"),              Refused(NotAllowed, Fix::ClaimsChallenge)),
    row(Is(401),  Anything,                                 Refused(NotAllowed, Fix::Token)),
    row(Is(408),  Anything,                                 Unknown(Fix::Outage)),
    row(Is(429),  Anything,                                 Throttled { ambiguous: false }),
    row(Is(503),  RetryAfter,                               Throttled { ambiguous: true }),
    row(Class(5), Anything,                                 Unknown(Fix::Outage)),
    row(Class(4), NothingOfGraph,                           Unknown(Fix::InBetween)),
    row(Class(4), Code("Directory_ConcurrencyViolation"),   Throttled { ambiguous: false }),
    row(Class(4), Message("due to concurrent requests"),    Throttled { ambiguous: false }),
    row(Class(4), Code("Request_ThrottledTemporarily"),     Throttled { ambiguous: false }),
    row(Is(400),  Message("password complexity"),           Refused(Password, Fix::Password)),
    row(Is(400),  Message("banned password"),               Refused(Password, Fix::Password)),
    row(Is(400),  Message("on-premises mastered"),          Refused(Other, Fix::OnPremises)),
    row(Class(4), Message("restricted management"),         Refused(NotAllowed, Fix::RestrictedUnit)),
    row(Is(403),  Code("insufficient_claims"),              Refused(NotAllowed, Fix::ClaimsChallenge)),
    row(Is(403),  Code("Directory_QuotaExceeded"),          Refused(Other, Fix::LookUp)),
    row(Is(403),  Anything,                                 Refused(NotAllowed, Fix::PermissionOrRole)),
    row(Is(404),  Anything,                                 Refused(AccountMissing, Fix::Gone)),
    row(Is(409),  Anything,                                 Refused(Other, Fix::Conflict)),
    row(Is(412),  Anything,                                 Refused(Other, Fix::Conflict)),
    row(Class(4), Anything,                                 Refused(Other, Fix::LookUp)),
    // The code alone, where a module shows no status. Other codes may go with one that tells nothing.
    row(Unsaid,   Code("Authorization_RequestDenied"),      Refused(NotAllowed, Fix::PermissionOrRole)),
    row(Unsaid,   Code("Request_ResourceNotFound"),         Refused(AccountMissing, Fix::Gone)),
    row(Unsaid,   Code("InvalidAuthenticationToken"),       Refused(NotAllowed, Fix::Token)),
    row(Unsaid,   Code("TooManyRequests"),                  Throttled { ambiguous: false }),
    // No token, so no request.
    row(Unsaid,   Kind("AuthenticationFailedException"),    NotSent(Fix::Token)),
    // The worker's own refusals in a domain.
    row(Unsaid,   Code("RotationKrbtgt"),                   Refused(NotAllowed, Fix::Krbtgt)),
    row(Unsaid,   Code("RotationOwnAccount"),               Refused(NotAllowed, Fix::OwnAccount)),
    row(Unsaid,   Code("RotationProtected"),                Refused(NotAllowed, Fix::Protected)),
    // A domain controller: password restriction, access denied, no such user or object, constraint violation.
    row(Unsaid,   Number(1325),                             Refused(Password, Fix::DomainPolicy)),
    row(Unsaid,   Kind("ADPasswordComplexityException"),    Refused(Password, Fix::DomainPolicy)),
    row(Unsaid,   Number(5),                                Refused(NotAllowed, Fix::DomainRight)),
    row(Unsaid,   Number(8344),                             Refused(NotAllowed, Fix::DomainRight)),
    row(Unsaid,   Number(1317),                             Refused(AccountMissing, Fix::Gone)),
    row(Unsaid,   Number(8333),                             Refused(AccountMissing, Fix::Gone)),
    row(Unsaid,   Kind("ADIdentityNotFoundException"),      Refused(AccountMissing, Fix::Gone)),
    row(Unsaid,   Kind("ADServerDownException"),            Unknown(Fix::Controller)),
    row(Unsaid,   Kind("UnauthorizedAccessException"),      Refused(NotAllowed, Fix::DomainRight)),
    row(Unsaid,   Category("ResourceUnavailable"),          Unknown(Fix::Controller)),
    row(Any,      Anything,                                 Unknown(Fix::Outage)),
];

/// What a worker that set the password says of it: the answer of Graph as it is, or nothing.
pub(crate) fn done(answer: &HttpAnswer, place: &str) -> Outcome {
    if answer.status == 204 {
        return Outcome::Applied {
            request_id: answer.request_id(),
            answered_at: answer.answered_at(),
        };
    }
    failed(&Failure::from(answer), place)
}

/// What a failure means.
pub(crate) fn failed(failure: &Failure, place: &str) -> Outcome {
    if failure.set {
        let problem = Problem::new(format!(
            "{}: the password is set, but what follows failed",
            failure.problem(place)
        ));
        return Outcome::Unknown(problem);
    }
    let verdict = ROWS
        .iter()
        .find(|row| row.status.matches(failure) && row.says.matches(failure))
        .map_or(Unknown(Fix::Outage), |row| row.verdict);
    let problem = |fix: Fix| failure.problem(place).with_fix(fix.text());
    match verdict {
        Refused(reason, fix) => Outcome::Refused(Refusal::new(reason, problem(fix))),
        // The cmdlet that changes a password was not even called.
        _ if !failure.sent => Outcome::NotSent(problem(Fix::Outage)),
        Throttled { ambiguous } => Outcome::Throttled {
            retry_after: failure.retry_after,
            ambiguous,
            problem: problem(Fix::Busy),
        },
        NotSent(fix) => Outcome::NotSent(problem(fix)),
        Unknown(fix) => Outcome::Unknown(problem(fix)),
    }
}

/// The outcome of a request that got no answer.
impl From<Lost> for Outcome {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::NotWritten(problem) => Self::NotSent(problem),
            Lost::Written(problem) => Self::Unknown(problem),
        }
    }
}

impl Status {
    fn matches(self, failure: &Failure) -> bool {
        match (self, failure.status) {
            (Any, _) | (Unsaid, None) => true,
            (Class(class), Some(status)) => status / 100 == class,
            (Is(expected), Some(status)) => status == expected,
            (Class(_) | Is(_), None) | (Unsaid, Some(_)) => false,
        }
    }
}

impl Says {
    fn matches(self, failure: &Failure) -> bool {
        match self {
            Anything => true,
            Category(category) => failure.category().eq_ignore_ascii_case(category),
            Code(code) => failure.code.as_deref() == Some(code),
            Kind(kind) => failure.is_a(kind),
            Message(words) => failure.words.contains(words),
            NothingOfGraph => failure.code.is_none(),
            Number(number) => failure.number == Some(number),
            RetryAfter => failure.retry_after.is_some(),
        }
    }
}

impl Fix {
    fn text(self) -> &'static str {
        match self {
            Self::Busy => "wait; if it lasts, use fewer workers",
            Self::ClaimsChallenge => {
                "a conditional or continuous access policy wants more of the caller: exclude the app from it, or run \
                 from a network it allows"
            }
            Self::Conflict => "somebody else changes the account at the same time: plan again",
            Self::Controller => {
                "see whether the domain controller and its Active Directory Web Services (TCP 9389) are up, or name \
                 another one in `server`"
            }
            Self::DomainPolicy => {
                "the domain's own password policy refused it: lengthen the policy's passwords; \
                 Get-ADDefaultDomainPasswordPolicy and Get-ADUserResultantPasswordPolicy show what the domain demands"
            }
            Self::DomainRight => {
                "delegate the right \"Reset password\" on the account to the caller; accounts of administrators do not \
                 inherit it"
            }
            Self::Gone => {
                "the account is deleted, or so new that this part of the directory does not know it yet: plan again"
            }
            Self::InBetween => {
                "somebody answers in Graph's place: check the proxy and the tenant's cloud"
            }
            Self::Krbtgt => {
                "leave it out: it is reset by a procedure of its own, \
                 https://learn.microsoft.com/windows-server/identity/ad-ds/manage/forest-recovery-guide/ad-forest-recovery-reset-the-krbtgt-password"
            }
            Self::LookUp => "look the code up at https://learn.microsoft.com/graph/errors",
            Self::OnPremises => {
                "its password lives on premises: rotate it there, as an account of the domain, or leave such accounts out by `synced = \"skip\"`"
            }
            Self::Outage => "the next attempt may tell; if it lasts, run the cmdlet by hand",
            Self::OwnAccount => {
                "leave it out, or rotate it as somebody else: a caller that loses its own password is locked out"
            }
            Self::Password => {
                "a fresh password may pass; if several do not, lengthen the policy or exclude words that the tenant bans"
            }
            Self::PermissionOrRole => {
                "give the caller the permission User-PasswordProfile.ReadWrite.All and a role that reaches the account, \
                 such as User Administrator; `rotation explain` tells which"
            }
            Self::Protected => {
                "leave it out, or rotate it as a member of Domain Admins, Enterprise Admins or Administrators: nobody else \
                 reaches those that the domain protects"
            }
            Self::RestrictedUnit => {
                "the account is in a restricted management administrative unit: assign the caller's role at the scope \
                 of that unit"
            }
            Self::Token => TOKEN_FIX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Record;

    fn of(id: &str, kind: &str, category: &str, message: &str) -> Outcome {
        let record = Record {
            id: id.to_owned(),
            types: vec![kind.to_owned()],
            category: category.to_owned(),
            message: message.to_owned(),
            sent: true,
            ..Record::default()
        };
        failed(&record.into(), "setting the password of a-1")
    }

    fn told(outcome: &Outcome) -> String {
        match outcome {
            Outcome::Applied { .. } => "applied".to_owned(),
            Outcome::NotSent(_) => "not sent".to_owned(),
            Outcome::Refused(refusal) => format!("refused: {:?}", refusal.reason),
            Outcome::Throttled { ambiguous, .. } => format!("throttled: {ambiguous}"),
            Outcome::Unknown(_) => "unknown".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_error_record_means_what_the_table_says() {
        let graph =
            |status: &str, code: &str| format!("x\n\nStatus: {status}\nErrorCode: {code}\n");
        let ad = "Microsoft.ActiveDirectory.Management.";
        for (id, kind, category, message, expected) in [
            (
                "",
                "",
                "",
                graph("403 (Forbidden)", "Authorization_RequestDenied"),
                "refused: NotAllowed",
            ),
            (
                "",
                "",
                "",
                graph("404 (NotFound)", "Request_ResourceNotFound"),
                "refused: AccountMissing",
            ),
            (
                "",
                "",
                "",
                graph("429", "TooManyRequests"),
                "throttled: false",
            ),
            ("", "", "", graph("503", "ServiceUnavailable"), "unknown"),
            (
                "",
                "",
                "",
                graph("503", "x") + "Retry-After : 3",
                "throttled: true",
            ),
            ("", "", "", graph("200", "x"), "unknown"),
            (
                "",
                "",
                "",
                graph("400", "Request_BadRequest") + "password complexity",
                "refused: Password",
            ),
            (
                "",
                "",
                "",
                graph("400", "Request_BadRequest"),
                "refused: Other",
            ),
            ("", "", "", "Status: 403 (Forbidden)".to_owned(), "unknown"),
            (
                "Authorization_RequestDenied,C",
                "",
                "InvalidOperation",
                String::new(),
                "refused: NotAllowed",
            ),
            (
                "Request_BadRequest,C",
                "",
                "InvalidOperation",
                String::new(),
                "unknown",
            ),
            (
                "ActiveDirectoryServer:1325,C",
                "",
                "InvalidData",
                String::new(),
                "refused: Password",
            ),
            (
                "",
                "ADPasswordComplexityException",
                "",
                String::new(),
                "refused: Password",
            ),
            (
                "ActiveDirectoryServer:5,C",
                "",
                "PermissionDenied",
                String::new(),
                "refused: NotAllowed",
            ),
            (
                "",
                "ADIdentityNotFoundException",
                "ObjectNotFound",
                String::new(),
                "refused: AccountMissing",
            ),
            (
                "ActiveDirectoryServer:0,C",
                "ADServerDownException",
                "ResourceUnavailable",
                String::new(),
                "unknown",
            ),
            (
                "",
                "AuthenticationFailedException",
                "",
                String::new(),
                "not sent",
            ),
            (
                "",
                "TaskCanceledException",
                "OperationStopped",
                String::new(),
                "unknown",
            ),
            ("", "", "", String::new(), "unknown"),
        ] {
            let outcome = of(id, &format!("{ad}{kind}"), category, &message);
            assert_eq!(told(&outcome), expected, "{id} {kind} {message}");
        }
    }

    #[test]
    fn what_the_worker_refuses_in_a_domain_is_a_refusal_that_was_not_sent() {
        let script = crate::Dialect::ActiveDirectory.script();
        for id in ["RotationKrbtgt", "RotationOwnAccount", "RotationProtected"] {
            assert!(
                script.contains(&format!("New-WorkerRefusal '{id}'")),
                "{id}"
            );
            let record = Record {
                id: id.to_owned(),
                types: vec!["System.UnauthorizedAccessException".to_owned()],
                ..Record::default()
            };
            let outcome = failed(&record.into(), "x");
            assert_eq!(told(&outcome), "refused: NotAllowed", "{id}");
            let text = format!("{outcome:?}");
            assert!(text.contains("leave it out"), "{text}");
        }
    }

    #[test]
    fn what_failed_before_the_cmdlet_was_called_was_not_sent() {
        let failure = |sent, set| {
            let record = Record {
                types: vec!["ADServerDownException".to_owned()],
                sent,
                set,
                ..Record::default()
            };
            told(&failed(&record.into(), "x"))
        };
        assert_eq!(failure(false, false), "not sent");
        assert_eq!(failure(true, false), "unknown");
        // What follows a password that is set, such as forcing its change, may be repeated.
        assert_eq!(failure(true, true), "unknown");
    }

    #[test]
    fn only_a_204_is_applied() {
        for (status, expected) in [
            (204, "applied"),
            (200, "unknown"),
            (0, "unknown"),
            (500, "unknown"),
        ] {
            let answer = HttpAnswer {
                status,
                ..HttpAnswer::default()
            };
            assert_eq!(told(&done(&answer, "x")), expected, "{status}");
        }
    }
}
