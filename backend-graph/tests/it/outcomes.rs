//! What comes of setting a password under every fault of the wire.

use std::time::Duration;

use backend_graph::GraphBackend;
use entra_sim::{App, Effect, Endpoint, Fault, Role};
use rotation_core::{AccountId, Outcome, Problem, RefusalReason, RotationBackend, SetPassword};
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::matchers::method;
use wiremock::{Mock, ResponseTemplate};

use crate::simulator;
use crate::support::{
    PASSWORD, REQUEST_ID, Reply, Tenant, config, guid, kept_open, nobody, raw_server, request,
    request_for,
};

const NOON: &str = "Sat, 21 Nov 2026 12:00:00 GMT";

/// An outcome without its words.
#[derive(Clone, Debug, PartialEq)]
enum Is {
    Applied,
    NotSent,
    Refused(RefusalReason),
    /// Asked to wait so many milliseconds.
    Throttled {
        millis: Option<u64>,
        ambiguous: bool,
    },
    Unknown,
}

fn shape(outcome: &Outcome) -> Is {
    match outcome {
        Outcome::Applied { .. } => Is::Applied,
        Outcome::NotSent(_) => Is::NotSent,
        Outcome::Refused(refusal) => Is::Refused(refusal.reason),
        Outcome::Throttled {
            retry_after,
            ambiguous,
            ..
        } => Is::Throttled {
            millis: retry_after.map(|wait| wait.as_millis().try_into().unwrap_or(u64::MAX)),
            ambiguous: *ambiguous,
        },
        Outcome::Unknown(_) => Is::Unknown,
        other => panic!("an outcome unknown to this test: {other:?}"),
    }
}

fn problem(outcome: &Outcome) -> Option<&Problem> {
    match outcome {
        Outcome::Refused(refusal) => Some(&refusal.problem),
        Outcome::NotSent(problem)
        | Outcome::Throttled { problem, .. }
        | Outcome::Unknown(problem) => Some(problem),
        _ => None,
    }
}

/// How a fault is played.
#[derive(Clone)]
enum Play {
    /// Graph, or somebody in its place, answers so.
    Answer(Reply),
    /// A 401 first, as a token may expire in the middle of a run, and then so.
    AfterExpiry(Reply),
    /// Nobody listens.
    Nobody,
    /// These bytes, and the connection is closed.
    Raw(&'static str),
    /// A directory that knows whether it set the password.
    Directory(Effect),
}

/// How the password travels that a fault meets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Transport {
    /// As a request of its own.
    Alone,
    /// As an item of a batch, beside another one that meets no fault by itself.
    Item,
    /// In a batch that meets the fault as a whole.
    Batch,
}

/// What came of each password, how many requests Graph was sent, and, if the directory knows, whether each is set.
struct Played {
    outcomes: Vec<Outcome>,
    sent: u64,
    set: Option<Vec<bool>>,
}

impl Play {
    async fn alone(self) -> Outcome {
        self.run(Transport::Alone).await.outcomes.remove(0)
    }

    async fn run(self, transport: Transport) -> Played {
        let tenant = Tenant::start().await;
        let (graph, set) = match self {
            Self::Answer(reply) => {
                transport.mount(&tenant, reply).await;
                (tenant.graph.uri(), None)
            }
            Self::AfterExpiry(reply) => {
                transport.expire_once(&tenant).await;
                transport.mount(&tenant, reply).await;
                (tenant.graph.uri(), None)
            }
            Self::Nobody => (nobody().await, Some(vec![false; 2])),
            Self::Raw(answer) => (raw_server(answer).await, None),
            Self::Directory(effect) => return directory(effect, transport).await,
        };
        let backend = GraphBackend::new(config(&tenant.authority.uri(), &graph)).unwrap();
        let outcomes = transport
            .send(&backend, [request_for(1), request_for(2)])
            .await;
        let sent = backend.traffic().requests;
        Played {
            outcomes,
            sent,
            set,
        }
    }
}

impl Transport {
    /// Sets the first of two passwords, the other as well if they travel together.
    async fn send(self, backend: &GraphBackend, requests: [SetPassword; 2]) -> Vec<Outcome> {
        match self {
            Self::Alone => vec![backend.set_password(&requests[0]).await],
            Self::Item | Self::Batch => backend.set_passwords(&requests).await,
        }
    }

    /// Lets Graph answer with `reply`.
    async fn mount(self, tenant: &Tenant, reply: Reply) {
        match self {
            Self::Alone => tenant.answers_patch(reply.into()).await,
            Self::Item => {
                tenant.answers_batch(in_batch(&reply)).await;
                // also to what is then sent alone
                tenant.answers_patch(reply.into()).await;
            }
            Self::Batch => {
                tenant.answers_batch(ResponseTemplate::from(reply)).await;
                tenant.answers_patch(ResponseTemplate::new(204)).await;
            }
        }
    }

    async fn expire_once(self, tenant: &Tenant) {
        let expired = Reply::error(
            401,
            "InvalidAuthenticationToken",
            "Access token has expired.",
        );
        let (verb, answer) = match self {
            Self::Alone => ("PATCH", expired.into()),
            Self::Item => ("POST", in_batch(&expired)),
            Self::Batch => ("POST", expired.into()),
        };
        Mock::given(method(verb))
            .respond_with(answer)
            .up_to_n_times(1)
            .mount(&tenant.graph)
            .await;
    }
}

/// The answer to a batch of two, backwards: the second is set, the first is answered with `reply`.
fn in_batch(reply: &Reply) -> ResponseTemplate {
    let batch = Reply::batch(&[Reply::new(204).item("2"), reply.item("1")]);
    // The date is the envelope's, as everywhere in HTTP.
    match reply.named("date") {
        Some(date) => batch.header("date", date).into(),
        None => batch.into(),
    }
}

/// Sets passwords in the simulator, under `effect`.
async fn directory(effect: Effect, transport: Transport) -> Played {
    let hangs = matches!(effect, Effect::Hang { .. });
    let server = simulator::serve(App::rotation()).await;
    let accounts = simulator::two_ordinary(&server);
    server.add_fault(match transport {
        Transport::Alone | Transport::Item => {
            Fault::on_patch(effect).account(accounts[0].to_string())
        }
        Transport::Batch => Fault::new(effect).endpoint(Endpoint::Batch),
    });
    let config = simulator::config(&server);
    // Only what hangs is to meet its limit, however slow the machine.
    let limit = Duration::from_millis(if hangs { 300 } else { 60_000 });
    let backend = GraphBackend::new(config.with_timeout(limit)).unwrap();
    let requests = [1, 2].map(|n| {
        let mut request = request_for(n);
        request.account = AccountId::new(&accounts[n as usize - 1].to_string());
        request
    });
    let is_set = |(account, n): (&Uuid, u32)| {
        let password = request_for(n).password;
        server
            .tenant()
            .current_password_is(*account, password.expose())
    };
    Played {
        outcomes: transport.send(&backend, requests).await,
        sent: backend.traffic().requests,
        set: Some(accounts.iter().zip(1..).map(is_set).collect()),
    }
}

const COMPLEXITY: &str = "The specified password does not comply with password complexity requirements. \
    Please provide a different password.";
const ON_PREMISES: &str = "Unable to update the specified properties for on-premises mastered Directory Sync \
    objects or objects currently undergoing migration.";
const CONCURRENT: &str =
    "Error due to concurrent requests being made to the tenant. Please wait briefly and retry.";
const RESTRICTED: &str = "The user is a member of a restricted management administrative unit.";

/// One fault: what it is called, how it is played, what comes of it, and words of its fix.
type Cell = (&'static str, Play, Is, &'static str);

const IN_BETWEEN: &str = "in Graph's place";
const LEFT_OUT: &str = "turn batches off";
const NETWORK: &str = "check the network";
const PERMISSION: &str = "User-PasswordProfile.ReadWrite.All";
const OUTAGE: &str = "service health";
const WAIT: &str = "wait; if it lasts";

fn html(status: u16) -> Reply {
    Reply::new(status).text("<html>portal</html>", "text/html")
}

const fn throttled(millis: Option<u64>, ambiguous: bool) -> Is {
    Is::Throttled { millis, ambiguous }
}

/// What Graph says, and what others say in its place.
#[rustfmt::skip]
fn answers() -> Vec<Cell> {
    use Is::{Applied, Refused, Unknown};
    use Play::{AfterExpiry, Answer};
    use RefusalReason::{AccountMissing, NotAllowed, Other, Password};
    let plain = Reply::new;
    let refusal = Reply::error;
    let denied = "Authorization_RequestDenied";
    let bad = "Request_BadRequest";
    let role = PERMISSION;
    let elsewhere = |status| plain(status).header("location", "http://127.0.0.1:9/");
    let cut = |status| plain(status).text("{\"error\":{\"code\":\"Auth", "application/json");
    let challenge = "Bearer error=\"insufficient_claims\", claims=\"e30=\"";
    vec![
        ("204", Answer(plain(204)), Applied, ""),
        ("200 is not what Graph documents", Answer(plain(200)), Unknown, IN_BETWEEN),
        ("200 with Graph's own media type", Answer(plain(200).json(&json!({"value": []}))), Unknown, IN_BETWEEN),
        ("200 from a captive portal", Answer(html(200)), Unknown, IN_BETWEEN),
        ("202", Answer(plain(202)), Unknown, IN_BETWEEN),
        ("301", Answer(elsewhere(301)), Unknown, IN_BETWEEN),
        ("302", Answer(elsewhere(302)), Unknown, IN_BETWEEN),
        ("303", Answer(elsewhere(303)), Unknown, IN_BETWEEN),
        ("304", Answer(plain(304)), Unknown, IN_BETWEEN),
        ("307 to our own origin", Answer(plain(307).header("location", "/v1.0/users/other")), Unknown, IN_BETWEEN),
        ("308", Answer(elsewhere(308)), Unknown, IN_BETWEEN),
        ("400 complexity", Answer(refusal(400, bad, COMPLEXITY)), Refused(Password), "fresh password"),
        ("400 banned", Answer(refusal(400, bad, "It contains a banned password.")), Refused(Password), "fresh password"),
        ("400 on-premises", Answer(refusal(400, bad, ON_PREMISES)), Refused(Other), "on premises"),
        ("400 other", Answer(refusal(400, bad, "Property x is invalid.")), Refused(Other), "learn.microsoft.com/graph/errors"),
        ("400 concurrency", Answer(refusal(400, "Directory_ConcurrencyViolation", CONCURRENT)), throttled(None, false), WAIT),
        ("400 concurrency, other code", Answer(refusal(400, bad, CONCURRENT)), throttled(None, false), WAIT),
        ("400 throttled for a while", Answer(refusal(400, "Request_ThrottledTemporarily", "")), throttled(None, false), WAIT),
        ("400 from a gateway", Answer(html(400)), Unknown, IN_BETWEEN),
        ("400 cut", Answer(cut(400)), Unknown, IN_BETWEEN),
        ("400 without a body", Answer(plain(400)), Unknown, IN_BETWEEN),
        ("401 mid-run", AfterExpiry(plain(204)), Applied, ""),
        ("401 mid-run, then 403", AfterExpiry(refusal(403, denied, "x")), Refused(NotAllowed), role),
        ("401 mid-run, then 429", AfterExpiry(plain(429)), throttled(None, false), WAIT),
        ("401 mid-run, then 500", AfterExpiry(plain(500)), Unknown, OUTAGE),
        ("401 after the refresh", Answer(refusal(401, "InvalidAuthenticationToken", "x")), Refused(NotAllowed), "`cloud`"),
        ("401 without a body", Answer(plain(401)), Refused(NotAllowed), "`cloud`"),
        ("401 claims challenge", Answer(plain(401).header("www-authenticate", challenge)), Refused(NotAllowed), "policy"),
        ("403 denied", Answer(refusal(403, denied, "Insufficient privileges to complete the operation.")), Refused(NotAllowed), role),
        ("403 restricted unit", Answer(refusal(403, denied, RESTRICTED)), Refused(NotAllowed), "scope of that unit"),
        ("403 insufficient claims", Answer(refusal(403, "insufficient_claims", "x")), Refused(NotAllowed), "policy"),
        ("403 quota", Answer(refusal(403, "Directory_QuotaExceeded", "x")), Refused(Other), "learn.microsoft.com/graph/errors"),
        ("403 other", Answer(refusal(403, "Something_New", "x")), Refused(NotAllowed), role),
        ("403 from a gateway", Answer(html(403)), Unknown, IN_BETWEEN),
        ("403 cut", Answer(cut(403)), Unknown, IN_BETWEEN),
        ("404", Answer(refusal(404, "Request_ResourceNotFound", "x")), Refused(AccountMissing), "deleted"),
        ("404 from a gateway", Answer(html(404)), Unknown, IN_BETWEEN),
        ("404 cut", Answer(cut(404)), Unknown, IN_BETWEEN),
        ("407 from a proxy", Answer(html(407)), Unknown, IN_BETWEEN),
        ("408", Answer(refusal(408, "RequestTimeout", "x")), Unknown, OUTAGE),
        ("409", Answer(refusal(409, "Conflict", "x")), Refused(Other), "plan again"),
        ("409 concurrency", Answer(refusal(409, "Directory_ConcurrencyViolation", "").header("retry-after", "3")), throttled(Some(3_000), false), WAIT),
        ("409 from a gateway", Answer(html(409)), Unknown, IN_BETWEEN),
        ("412", Answer(refusal(412, "Request_PreconditionFailed", "x")), Refused(Other), "plan again"),
        ("412 from a gateway", Answer(html(412)), Unknown, IN_BETWEEN),
        ("413", Answer(refusal(413, "TooLarge", "x")), Refused(Other), "learn.microsoft.com/graph/errors"),
        ("418 in JSON that is not Graph's", Answer(plain(418).json(&json!({"error": "teapot"}))), Unknown, IN_BETWEEN),
        ("429", Answer(refusal(429, "TooManyRequests", "Please retry again later.")), throttled(None, false), WAIT),
        ("429 from a gateway", Answer(html(429)), throttled(None, false), WAIT),
        ("429 cut", Answer(cut(429)), throttled(None, false), WAIT),
        ("500", Answer(refusal(500, "Service_InternalServerError", "")), Unknown, OUTAGE),
        ("501", Answer(refusal(501, "NotImplemented", "x")), Unknown, OUTAGE),
        ("502", Answer(refusal(502, "UnknownError", "")), Unknown, OUTAGE),
        ("502 from a gateway", Answer(html(502)), Unknown, OUTAGE),
        ("503", Answer(refusal(503, "ServiceUnavailable", "x")), Unknown, OUTAGE),
        ("503 from a gateway", Answer(html(503)), Unknown, OUTAGE),
        ("504", Answer(refusal(504, "UnknownError", "")), Unknown, OUTAGE),
        ("504 from a gateway", Answer(html(504)), Unknown, OUTAGE),
        ("599", Answer(plain(599)), Unknown, OUTAGE),
    ]
}

/// What `Retry-After` may say, and the milliseconds meant. The clock of this machine is not asked.
const RETRY_AFTER: [(&str, Option<u64>); 16] = [
    ("17", Some(17_000)),
    ("0", Some(0)),
    ("1.5", Some(1_500)),
    ("604800", Some(604_800_000)),
    ("Sat, 28 Nov 2026 12:00:00 GMT", Some(604_800_000)),
    ("Sat, 21 Nov 2026 12:01:30 GMT", Some(90_000)),
    ("Saturday, 21-Nov-26 12:01:30 GMT", Some(90_000)),
    ("Sat, 21 Nov 2026 11:59:59 GMT", Some(0)),
    ("Fri, 31 Dec 9999 23:59:59 GMT", Some(251_607_038_399_000)),
    ("-1", None),
    ("99999999999999999999999999999999999999", Some(u64::MAX)),
    ("", None),
    ("soon", None),
    ("1e3", None),
    ("Sat, 32 Nov 2026 12:00:00 GMT", None),
    ("NaN", None),
];

fn retry_after() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (words, wait) in RETRY_AFTER {
        let answer = |status| {
            let dated = Reply::new(status).header("date", NOON);
            Play::Answer(dated.header("retry-after", words))
        };
        cells.push((words, answer(429), throttled(wait, false), WAIT));
        // Only a 503 that says when to come back is known to be meant so.
        let unavailable = match wait {
            Some(_) => (words, answer(503), throttled(wait, true), WAIT),
            None => (words, answer(503), Is::Unknown, OUTAGE),
        };
        cells.push(unavailable);
    }
    cells
}

/// What becomes of the connection.
#[rustfmt::skip]
fn connections() -> Vec<Cell> {
    use Is::{Applied, NotSent, Unknown};
    use Play::{Nobody, Raw};
    vec![
        ("connection refused", Nobody, NotSent, NETWORK),
        ("no answer", Raw(""), Unknown, NETWORK),
        ("half a status line", Raw("HTTP/1.1 20"), Unknown, NETWORK),
        ("half a header", Raw("HTTP/1.1 204 No Content\r\nDate: Sat"), Unknown, NETWORK),
        ("no end of the headers", Raw("HTTP/1.1 204 No Content\r\n"), Unknown, NETWORK),
        ("no HTTP", Raw("220 smtp.example ESMTP\r\n"), Unknown, NETWORK),
        ("no status", Raw("HTTP/1.1 abc\r\n\r\n"), Unknown, NETWORK),
        ("two lengths", Raw("HTTP/1.1 400 B\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx"), Unknown, NETWORK),
        ("half a body", Raw("HTTP/1.1 400 B\r\ncontent-length: 100\r\n\r\n{\"error\":{"), Unknown, NETWORK),
        ("half a body of 429", Raw("HTTP/1.1 429 T\r\ncontent-length: 100\r\n\r\n{\"error\":{"), Unknown, NETWORK),
        ("half a chunk", Raw("HTTP/1.1 403 F\r\ntransfer-encoding: chunked\r\n\r\n40\r\n{\"error\""), Unknown, NETWORK),
        ("no last chunk", Raw("HTTP/1.1 403 F\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"), Unknown, NETWORK),
        ("wrong gzip", Raw("HTTP/1.1 403 F\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope"), Unknown, NETWORK),
        ("204 with a body", Raw("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello"), Applied, ""),
        ("100, and then nothing", Raw("HTTP/1.1 100 Continue\r\n\r\n"), Unknown, NETWORK),
        ("100, and then 204", Raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), Applied, ""),
        ("101", Raw("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), Unknown, IN_BETWEEN),
    ]
}

/// What a directory does that knows the truth, before and after it set the password where both can be.
#[rustfmt::skip]
fn directories() -> Vec<Cell> {
    use Is::{Applied, Refused, Unknown};
    use RefusalReason::{AccountMissing, NotAllowed, Other};
    let mut cells = vec![
        ("directory: delay", Effect::delay(Duration::from_millis(20)), Applied, ""),
        ("directory: late arrival", Effect::late(), Unknown, NETWORK),
        ("directory: 401", Effect::expired_token(), Refused(NotAllowed), "`cloud`"),
        ("directory: 403", Effect::status(403), Refused(NotAllowed), PERMISSION),
        ("directory: 404", Effect::status(404), Refused(AccountMissing), "deleted"),
        ("directory: 409", Effect::status(409), throttled(None, false), WAIT),
        ("directory: 412", Effect::status(412), Refused(Other), "plan again"),
        ("directory: 429", Effect::throttled(7), throttled(Some(7_000), false), WAIT),
    ];
    for applied in [false, true] {
        let location = "https://elsewhere.example/".to_owned();
        let status = |status| if applied { Effect::status_after(status) } else { Effect::status(status) };
        cells.extend([
            ("directory: 200", status(200), Unknown, IN_BETWEEN),
            ("directory: 500", status(500), Unknown, OUTAGE),
            ("directory: 502", status(502), Unknown, OUTAGE),
            ("directory: 503", status(503), Unknown, OUTAGE),
            ("directory: 503, come back", status(503).retry_after("2"), throttled(Some(2_000), true), WAIT),
            ("directory: 504", status(504), Unknown, OUTAGE),
            ("directory: breaks off 403", Effect::BrokenOff { status: 403, applied }, Unknown, NETWORK),
            ("directory: closes", Effect::Disconnect { applied }, Unknown, NETWORK),
            ("directory: hangs", Effect::Hang { applied }, Unknown, NETWORK),
            ("directory: web page 403", Effect::Html { status: 403, applied }, Unknown, IN_BETWEEN),
            ("directory: web page 200", Effect::Html { status: 200, applied }, Unknown, IN_BETWEEN),
            ("directory: redirects", Effect::Redirect { status: 307, location, applied }, Unknown, IN_BETWEEN),
            ("directory: resets", Effect::Reset { applied }, Unknown, NETWORK),
        ]);
    }
    let played = cells.into_iter();
    played.map(|(name, effect, is, fix)| (name, Play::Directory(effect), is, fix)).collect()
}

/// What is expected of a cell that says what comes of a password alone: the outcome, words of its fix, and how many
/// requests it takes.
fn expected(cell: &Cell, transport: Transport) -> (Is, &'static str, u64) {
    let (name, play, is, fix) = cell.clone();
    let expires = name.contains("401");
    let final_401 = expires && is == Is::Refused(RefusalReason::NotAllowed) && fix != PERMISSION;
    match (transport, &play, is) {
        // Once more only with a new token.
        (Transport::Alone, _, is) => (is, fix, if expires { 2 } else { 1 }),
        // A directory that lets the item out of its answer.
        (Transport::Item, Play::Directory(Effect::Late { .. }), is) => (is, LEFT_OUT, 1),
        // The item goes alone then, and once more.
        (Transport::Item, _, is) if final_401 => (is, fix, 3),
        (Transport::Item, _, is) => (is, fix, if expires { 2 } else { 1 }),
        (Transport::Batch, Play::Directory(_), Is::Applied) => (Is::Applied, "", 1),
        // An envelope without items.
        (Transport::Batch, Play::AfterExpiry(_), Is::Applied) => (Is::Unknown, IN_BETWEEN, 2),
        (Transport::Batch, _, Is::Applied) => (Is::Unknown, IN_BETWEEN, 1),
        (Transport::Batch, _, is) if final_401 => (is, fix, 2),
        // Turned away for a reason that need not be the account's: both go alone, and meet no fault.
        (Transport::Batch, _, Is::Refused(_)) => (Is::Applied, "", if expires { 4 } else { 3 }),
        (Transport::Batch, _, is) => (is, fix, if expires { 2 } else { 1 }),
    }
}

/// Whether nothing is claimed of a directory that it knows to be wrong.
fn is_truthful(outcome: &Outcome, set: bool) -> bool {
    match outcome {
        Outcome::Applied { .. } => set,
        outcome => outcome.is_ambiguous() || !set,
    }
}

#[tokio::test]
async fn every_fault_of_the_wire_has_its_outcome_and_its_fix_alone_and_in_a_batch() {
    let cells: Vec<Cell> = [answers(), retry_after(), connections(), directories()]
        .into_iter()
        .flatten()
        .collect();
    let mut count = 0;
    let mut wrong = Vec::new();
    for cell in &cells {
        for transport in [Transport::Alone, Transport::Item, Transport::Batch] {
            let (name, play, ..) = cell.clone();
            // A connection is the whole batch's.
            if transport == Transport::Item && matches!(play, Play::Nobody | Play::Raw(_)) {
                continue;
            }
            let (is, expected_fix, due) = expected(cell, transport);
            let by_itself = matches!(play, Play::Answer(_) | Play::AfterExpiry(_));
            let Played {
                outcomes,
                sent,
                set,
            } = play.run(transport).await;
            let fix = problem(&outcomes[0]).map(|problem| problem.fix.as_deref().unwrap_or("none"));
            let mut told = outcomes.iter().zip(set.iter().flatten());
            let other = outcomes.get(1).map(shape);
            let other_kept = match transport {
                Transport::Alone => other.is_none(),
                Transport::Item => !by_itself || other == Some(Is::Applied),
                Transport::Batch => other.as_ref() == Some(&is),
            };
            let kept = shape(&outcomes[0]) == is
                && fix.unwrap_or_default().contains(expected_fix)
                && fix != Some("none")
                && told.all(|(outcome, set)| is_truthful(outcome, *set))
                && other_kept
                && sent == due;
            if !kept {
                let found = format!("{sent} of {due} sent, set {set:?}: {outcomes:?}");
                wrong.push(format!("{name}, {transport:?}: {found}"));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{count} cells of fault, transport and outcome");
    assert!(count > 400, "only {count} cells");
}

/// Not by a fault, but because the directory changed in the middle of a run.
#[tokio::test]
async fn what_a_run_meets_when_the_directory_changes_under_it() {
    use RefusalReason::{AccountMissing, NotAllowed};
    let server = simulator::serve(App::rotation()).await;
    let tenant = server.tenant();
    let backend = GraphBackend::new(simulator::config(&server)).unwrap();
    let account = simulator::ordinary(&server).id;
    let mut request = request();
    request.account = AccountId::new(&account.to_string());
    let set = async || shape(&backend.set_password(&request).await);
    assert_eq!(set().await, Is::Applied);
    server.advance(Duration::from_secs(7_200));
    assert_eq!(set().await, Is::Applied, "with a new token");
    let app = tenant.service_principal_id();
    tenant.revoke_role(app, Role::USER_ADMINISTRATOR);
    assert_eq!(set().await, Is::Refused(NotAllowed));
    let granted = tenant.grant_role(app, Role::USER_ADMINISTRATOR, None);
    granted.unwrap();
    assert_eq!(set().await, Is::Applied);
    tenant.delete_user(account);
    assert_eq!(set().await, Is::Refused(AccountMissing));
}

#[tokio::test]
async fn a_lost_answer_can_be_found_by_our_own_id_of_the_request() {
    let tenant = Tenant::start().await;
    for answer in ["", "HTTP/1.1 20", "220 smtp.example ESMTP\r\n"] {
        let graph = raw_server(answer).await;
        let backend = GraphBackend::new(config(&tenant.authority.uri(), &graph)).unwrap();
        let outcome = backend.set_password(&request()).await;
        let shown = format!("{outcome:?}");
        assert!(shown.contains("client-request-id"), "{answer}: {shown}");
    }
}

/// What follows a 204 on its connection is nobody's answer, least of all that to the next request.
#[tokio::test]
async fn an_answer_smuggled_in_behind_another_is_not_believed() {
    let tenant = Tenant::start().await;
    let twice =
        "HTTP/1.1 204 No Content\r\ncontent-length: 27\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    let graph = kept_open(twice).await;
    let backend = GraphBackend::new(config(&tenant.authority.uri(), &graph)).unwrap();
    let first = backend.set_password(&request()).await;
    assert_eq!(shape(&first), Is::Applied, "{first:?}");
    // The server answers nothing more, whatever the connection.
    for _ in 0..5 {
        let next = backend.set_password(&request()).await;
        assert_eq!(shape(&next), Is::Unknown, "{next:?}");
    }
}

#[tokio::test]
async fn what_is_applied_is_dated_by_the_server() {
    let date = |date: &str| Reply::new(204).header("date", date);
    for (answer, expected) in [
        (date(NOON), Some("2026-11-21T12:00:00Z")),
        (
            date("Saturday, 21-Nov-26 12:00:00 GMT"),
            Some("2026-11-21T12:00:00Z"),
        ),
        (date("Sat, 32 Nov 2026 12:00:00 GMT"), None),
        (date("2026-11-21T12:00:00Z"), None),
        (date("0"), None),
    ] {
        let expected = expected.map(|text| text.parse().unwrap());
        for transport in [Transport::Alone, Transport::Item] {
            let played = Play::Answer(answer.clone()).run(transport).await;
            for outcome in played.outcomes {
                let Outcome::Applied { answered_at, .. } = outcome else {
                    panic!("{outcome:?}");
                };
                assert_eq!(answered_at, expected, "{transport:?}");
            }
        }
    }
    let undated = Play::Raw("HTTP/1.1 204 No Content\r\n\r\n").alone().await;
    let Outcome::Applied { answered_at, .. } = undated else {
        panic!("{undated:?}");
    };
    assert_eq!(answered_at, None);
}

#[tokio::test]
async fn an_answer_is_dated_by_the_directorys_clock_however_far_it_is_from_ours() {
    let server = simulator::serve(App::rotation()).await;
    let ahead = Duration::from_secs(400 * 86_400);
    let mut request = request();
    request.account = AccountId::new(&simulator::ordinary(&server).id.to_string());
    let backend = GraphBackend::new(simulator::config(&server)).unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let outcome = backend.set_password(&request).await;
        let Outcome::Applied { answered_at, .. } = outcome else {
            panic!("{outcome:?}");
        };
        seen.push(answered_at.unwrap());
        server.advance(ahead);
    }
    let moved = seen[1].duration_since(seen[0]);
    assert!(moved.unsigned_abs() >= ahead, "{seen:?}");
}

#[tokio::test]
async fn without_a_token_nothing_was_sent() {
    let tenant = Tenant::without_tokens().await;
    let wrong = json!({"error": "invalid_client", "error_codes": [7000215]});
    let wrong = ResponseTemplate::new(401).set_body_json(wrong);
    tenant.authority_says(wrong).await;
    let outcome = tenant.backend().set_password(&request()).await;
    assert_eq!(shape(&outcome), Is::NotSent, "{outcome:?}");
    assert_eq!(tenant.asked().await, 0);
}

#[tokio::test]
async fn the_request_is_the_documented_one() {
    let tenant = Tenant::start().await;
    tenant
        .answers_patch(ResponseTemplate::new(204).insert_header("request-id", REQUEST_ID))
        .await;
    let backend = tenant.backend();
    let mut forced = request();
    forced.force_change = true;
    let outcome = backend.set_password(&forced).await;
    let request_id = Some(REQUEST_ID.to_owned());
    let Outcome::Applied {
        request_id: shown, ..
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(shown, request_id);

    let received = tenant.graph.received_requests().await.unwrap();
    let [sent] = received.as_slice() else {
        panic!("{} requests instead of one", received.len());
    };
    assert_eq!(sent.method.as_str(), "PATCH");
    assert_eq!(sent.url.path(), format!("/v1.0/users/{}", guid(1)));
    assert_eq!(sent.headers["content-type"], "application/json");
    assert_eq!(sent.headers["client-request-id"].len(), 36);
    let profile = json!({"password": PASSWORD, "forceChangePasswordNextSignIn": true});
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body, json!({"passwordProfile": profile}));
    assert_eq!(backend.traffic().requests, 1);
}

#[tokio::test]
async fn the_request_id_comes_from_the_header_or_else_from_the_body() {
    for inner in ["innerError", "innererror"] {
        let body =
            json!({"error": {"code": "X", "message": "y", inner: {"request-id": REQUEST_ID}}});
        for transport in [Transport::Alone, Transport::Item] {
            let answer = Play::Answer(Reply::new(400).json(&body));
            let outcome = answer.run(transport).await.outcomes.remove(0);
            let Outcome::Refused(refusal) = outcome else {
                panic!("{outcome:?}");
            };
            let shown = refusal.problem.request_id.as_deref();
            assert_eq!(shown, Some(REQUEST_ID), "{inner}, {transport:?}");
        }
    }
}

#[tokio::test]
async fn throttled_answers_are_counted() {
    let tenant = Tenant::start().await;
    tenant.answers_patch(ResponseTemplate::new(429)).await;
    let backend = tenant.backend();
    for _ in 0..3 {
        backend.set_password(&request()).await;
    }
    let traffic = backend.traffic();
    assert_eq!((traffic.requests, traffic.throttled), (3, 3));
}
