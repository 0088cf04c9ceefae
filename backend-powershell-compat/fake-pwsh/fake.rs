//! Plays PowerShell, the worker's script and the modules, from the outside: it knows the protocol from its description
//! alone and shares nothing with the crate that it judges. Behind it is the simulator.
//!
//! Beside the program, under its name with `.json` added, are its settings; in the folder that they name are faults, each a
//! file that the first process that meets it takes away.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, StdinLock, Write};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::thread::sleep;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::graph::{Answer, Graph, encoded};

const ARGUMENTS: [&str; 4] = ["-NoLogo", "-NoProfile", "-NonInteractive", "-Command"];

/// Whoever asks a domain.
const CALLER: &str = "cccccccc-0000-0000-0000-000000000001";

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(3600);

struct Fake {
    settings: Value,
    mark: String,
    id: u64,
    module: String,
    graph: Option<Graph>,
    /// Everything is written in UTF-16.
    is_wide: bool,
}

/// An error record.
struct Record {
    id: String,
    kind: &'static str,
    category: &'static str,
    message: String,
    sent: bool,
    set: bool,
}

pub(crate) fn main() {
    let program = std::env::args_os().next().unwrap();
    let mut beside = program;
    beside.push(".json");
    let settings = fs::read_to_string(beside).unwrap();
    let mut fake = Fake {
        settings: serde_json::from_str(&settings).unwrap(),
        mark: String::new(),
        id: 0,
        module: String::new(),
        graph: None,
        is_wide: false,
    };
    fake.witness();
    fake.start();
    let mut stdin = std::io::stdin().lock();
    let script = line(&mut stdin).unwrap_or_else(|| exit(0));
    let script = String::from_utf8(STANDARD.decode(script).unwrap()).unwrap();
    if !script.contains("function Invoke-WorkerSet") {
        fake.print("this is no script of a worker\n");
        exit(1);
    }
    while let Some(text) = line(&mut stdin) {
        let request: Value = serde_json::from_str(&text).unwrap();
        fake.id = request["id"].as_u64().unwrap();
        let secret = (request["secret"] == true).then(|| {
            let secret: String = serde_json::from_str(&line(&mut stdin).unwrap()).unwrap();
            String::from_utf8(STANDARD.decode(secret).unwrap()).unwrap()
        });
        fake.serve(&request, secret.as_deref());
    }
}

fn line(stdin: &mut StdinLock<'_>) -> Option<String> {
    let mut text = String::new();
    let count = stdin.read_line(&mut text).unwrap();
    (count > 0).then(|| text.trim_end().to_owned())
}

impl Fake {
    fn text(&self, name: &str) -> &str {
        self.settings[name].as_str().unwrap_or_default()
    }

    /// Notes what anybody on the machine can see of this process.
    fn witness(&self) {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let expected = arguments.len() == 5 && arguments[..4] == ARGUMENTS;
        if !expected {
            self.print("unexpected arguments\n");
            exit(64);
        }
        if let Some(folder) = self.settings["witness"].as_str() {
            let path = Path::new(folder).join(std::process::id().to_string());
            let environment: Vec<_> = std::env::vars().collect();
            fs::write(path, format!("{arguments:?} {environment:?}")).unwrap();
        }
    }

    fn start(&mut self) {
        sleep(Duration::from_millis(
            self.settings["start_ms"].as_u64().unwrap_or(0),
        ));
        match self.fault("start").as_deref() {
            None => {}
            Some("dies") => exit(3),
            Some("hangs") => sleep(FOREVER),
            Some("language-mode") => {
                self.print("rotation: language mode ConstrainedLanguage\n");
                exit(70);
            }
            Some("banner") => self.print(
                "\u{feff}Welcome to this computer!\r\n\u{1b}[33;1mWARNING: your profile is old\u{1b}[0m\r\n\
                 {\"id\":1,\"ok\":{\"protocol\":9}}\r\n50% [#####     ]\rdone, without an end of line",
            ),
            Some("wide") => {
                self.is_wide = true;
                self.print("\u{feff}Willkommen!\r\n");
            }
            Some("chatty") => {
                for number in 0..2_000 {
                    eprintln!("{number} a module complains at length about something or other");
                }
            }
            Some(other) => panic!("no such fault: {other}"),
        }
    }

    fn print(&self, text: &str) {
        let bytes = if self.is_wide {
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        } else {
            text.as_bytes().to_vec()
        };
        let mut stdout = std::io::stdout().lock();
        // Whoever killed us does not read.
        if stdout
            .write_all(&bytes)
            .and_then(|()| stdout.flush())
            .is_err()
        {
            exit(1);
        }
    }

    fn answer(&self, id: u64, says: &str, what: &Value) {
        let json = json!({"id": id, says: what}).to_string();
        let mut ascii = String::new();
        for unit in json.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte @ 0x20..=0x7e) => ascii.push(char::from(byte)),
                _ => write!(ascii, "\\u{unit:04x}").unwrap(),
            }
        }
        self.print(&format!("\n{} {ascii}\n", self.mark));
    }

    /// The next fault for `op`, taken away unless it stays.
    fn fault(&self, op: &str) -> Option<String> {
        let folder = self.settings["faults"].as_str()?;
        let mut faults: Vec<PathBuf> = fs::read_dir(folder)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        faults.sort();
        for path in faults {
            // `003-set-dies-before`, or `003-set-dies-before-stays`
            let name = path.file_name()?.to_str()?.to_owned();
            let (_, rest) = name.split_once('-')?;
            let Some(what) = rest
                .strip_prefix(op)
                .and_then(|what| what.strip_prefix('-'))
            else {
                continue;
            };
            if let Some(what) = what.strip_suffix("-stays") {
                return Some(what.to_owned());
            }
            if fs::remove_file(&path).is_ok() {
                return Some(what.to_owned());
            }
        }
        None
    }

    fn serve(&mut self, request: &Value, secret: Option<&str>) {
        let op = request["op"].as_str().unwrap().to_owned();
        if op == "hello" {
            request["mark"].as_str().unwrap().clone_into(&mut self.mark);
        }
        let is_next = request["uri"]
            .as_str()
            .is_some_and(|uri| uri.contains("skiptoken="));
        let fault = self.fault(if is_next { "next" } else { &op });
        let fault = fault.unwrap_or_default();
        if self.strike_before(&fault, secret) {
            return;
        }
        if let Some(delay) = self.settings["delay_ms"].as_u64()
            && op == "set"
        {
            sleep(Duration::from_millis(delay));
        }
        let done = self.work(&op, request, secret);
        if self.strike_after(&fault, secret, &done) {
            return;
        }
        match done {
            Ok(ok) => self.answer(self.id, "ok", &ok),
            Err(record) => self.answer(self.id, "error", &record.json()),
        }
        if fault == "twice" {
            self.answer(self.id, "ok", &json!({"status": 204}));
        }
    }

    /// Before anything is done; whether that was the answer.
    fn strike_before(&self, fault: &str, secret: Option<&str>) -> bool {
        match fault {
            "dies-before" => exit(3),
            "hangs-before" => sleep(FOREVER),
            "naps-before" => sleep(Duration::from_secs(2)),
            "floods-forever" => loop {
                self.print(&"x".repeat(1 << 16));
            },
            "floods" => {
                for _ in 0..64 {
                    self.print(&"progress ".repeat(1 << 14));
                }
            }
            "endless-parts" => {
                let part = json!(["x".repeat(1 << 20)]);
                loop {
                    self.answer(self.id, "part", &part);
                }
            }
            "warns" => self.print("WARNING: \u{1b}[31mthis\u{1b}[0m is slow\r\nVERBOSE: x"),
            "betrays" => {
                let secret = secret.unwrap();
                let encoded = STANDARD.encode(secret);
                self.print(&format!("DEBUG: body {secret}\n{encoded}\n"));
                eprintln!("{secret} {encoded}");
            }
            "expires" => {
                let body = json!({"error": {"code": "Directory_ExpiredPageToken", "message": "x"}});
                let answer = json!({"status": 400, "body": body.to_string()});
                self.answer(self.id, "ok", &answer);
                return true;
            }
            "refuses" => {
                let record = Record::new("ParameterBindingException", "a parameter is missing");
                self.answer(self.id, "error", &record.json());
                return true;
            }
            _ => {}
        }
        false
    }

    /// After all is done, before it is told; whether that was the answer.
    fn strike_after(
        &self,
        fault: &str,
        secret: Option<&str>,
        done: &Result<Value, Record>,
    ) -> bool {
        let ok = done.as_ref().ok();
        match fault {
            "dies-after" => exit(3),
            "aborts-after" => std::process::abort(),
            "hangs-after" => sleep(FOREVER),
            "half-a-line" => {
                self.print(&format!("\n{} {{\"id\":{},\"ok\":{{", self.mark, self.id));
                exit(0);
            }
            "half-a-line-hangs" => {
                self.print(&format!("\n{} {{\"id\":{},\"ok\":{{", self.mark, self.id));
                sleep(FOREVER);
            }
            "part" => self.answer(self.id, "part", &json!([])),
            "prose" => self.print(&format!("\n{} all done!\n", self.mark)),
            "other-id" => self.answer(self.id + 1, "ok", ok.unwrap()),
            "earlier-id" => self.answer(self.id - 1, "ok", ok.unwrap()),
            "endless-answer" => {
                self.print(&format!("\n{} {{\"id\":{},\"ok\":\"", self.mark, self.id));
                loop {
                    self.print(&"x".repeat(1 << 16));
                }
            }
            "empty-yes" => {
                self.answer(self.id, "ok", &Value::Null);
                return true;
            }
            "says-200" => {
                self.answer(self.id, "ok", &json!({"status": 200, "body": "<html>"}));
                return true;
            }
            "betrays-in-error" => {
                let mut record = Record::new("RestException", secret.unwrap());
                record.id = format!("{},Update-MgUser", STANDARD.encode(secret.unwrap()));
                record.sent = true;
                self.answer(self.id, "error", &record.json());
                return true;
            }
            "loses-the-answer" => {
                let mut record =
                    Record::new("HttpRequestException", "The response ended prematurely.");
                record.sent = true;
                self.answer(self.id, "error", &record.json());
                return true;
            }
            _ => {}
        }
        false
    }

    fn work(&mut self, op: &str, request: &Value, secret: Option<&str>) -> Result<Value, Record> {
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        match op {
            "hello" => {
                let protocol = self.settings["protocol"].as_u64().unwrap_or(1);
                Ok(json!({
                    "protocol": protocol,
                    "powershell": self.text("powershell"),
                    "edition": self.text("edition"),
                    "logging": self.settings["logging"],
                }))
            }
            "load" => self.load(
                &text("module"),
                request["major"].as_u64().unwrap(),
                &text("minimum"),
            ),
            "connect" => self.connect(request, secret),
            "claims" => Ok(json!({"claims": self.graph()?.claims()})),
            "get" => match self.settings["circle"].as_str() {
                Some(of) if text("uri").contains(of) => Ok(circle(&text("uri"))),
                _ => Ok(http(&self.graph()?.get(&text("uri")).map_err(lost)?)),
            },
            "set" => self.set(
                &text("account"),
                secret.unwrap(),
                request["force_change"] == true,
            ),
            "users" => self.users(request["queries"].as_array().unwrap()),
            "protected" => {
                let ids = self.settings["protected"].clone();
                self.answer(self.id, "part", &ids);
                Ok(json!({}))
            }
            "caller" if self.is_domain() => Ok(json!({
                "domain": self.text("tenant"),
                "id": CALLER,
                "groups": self.settings["groups"],
            })),
            "caller" => Ok(json!({
                "tenant": self.text("tenant"),
                "id": CALLER,
                "is_person": true,
                "roles": ["fe930be7-5e62-47db-91af-98c3a49a38b1"],
            })),
            other => panic!("no such request: {other}"),
        }
    }

    fn is_domain(&self) -> bool {
        self.module == "ActiveDirectory"
    }

    fn graph(&self) -> Result<&Graph, Record> {
        let none = || Record::new("InvalidOperationException", "not connected");
        self.graph.as_ref().ok_or_else(none)
    }

    fn load(&mut self, module: &str, major: u64, minimum: &str) -> Result<Value, Record> {
        if self.settings["policy"] == "Restricted" {
            let message = "running scripts is disabled on this system";
            let mut record =
                Record::new("System.Management.Automation.PSSecurityException", message);
            record.category = "SecurityError";
            return Err(record);
        }
        let found = self.settings["modules"][module].clone();
        let versions = found.as_array().cloned().unwrap_or_default();
        let start = format!("{major}.");
        let numbers = |version: &str| -> Vec<u32> {
            let numbers = version.split('.').map(|number| number.parse().unwrap());
            numbers.collect()
        };
        let fit = versions.iter().find(|version| {
            let version = version.as_str().unwrap();
            version.starts_with(&start) && numbers(version) >= numbers(minimum)
        });
        Ok(match fit {
            Some(version) => {
                module.clone_into(&mut self.module);
                json!({"version": version})
            }
            None => json!({"version": null, "found": versions}),
        })
    }

    fn connect(&mut self, request: &Value, secret: Option<&str>) -> Result<Value, Record> {
        // A person, a certificate and a domain account are taken to be who they should be.
        let is_secret = request["method"] == "client-secret";
        let client_id = if is_secret {
            &request["client_id"]
        } else {
            &self.settings["client_id"]
        };
        let secret = if is_secret {
            secret.unwrap()
        } else {
            self.text("client_secret")
        };
        let client_id = client_id.as_str().unwrap();
        let graph = Graph::sign_in(self.text("graph"), self.text("tenant"), client_id, secret);
        self.graph =
            Some(graph.map_err(|error| Record::new("AuthenticationFailedException", &error))?);
        Ok(json!({}))
    }

    fn set(&self, account: &str, password: &str, force: bool) -> Result<Value, Record> {
        let graph = self.graph()?;
        if self.is_domain() {
            self.reach(account)?;
        }
        if self.is_domain() && account.to_uppercase().starts_with("S-1-") {
            // the domain of a tenant whose accounts are synced from it
            let (tenant, token) = (self.text("tenant"), self.text("control_token"));
            let answer = graph.set_on_premises(tenant, token, account, password);
            let answer = answer.map_err(|error| {
                let mut record = lost(error);
                record.sent = true;
                record
            })?;
            return match answer.status {
                204 => Ok(http(&answer)),
                _ => Err(Record::new(
                    "ADIdentityNotFoundException",
                    "cannot find an object",
                )),
            };
        }
        if self.is_domain() {
            let found = graph
                .get(&format!("v1.0/users/{}", encoded(account)))
                .map_err(lost)?;
            if found.status == 404 {
                return Err(Record::new(
                    "ADIdentityNotFoundException",
                    "cannot find an object",
                ));
            }
        }
        let answer = graph.patch(account, password, force).map_err(|error| {
            let mut record = lost(error);
            record.sent = true;
            record
        })?;
        if answer.status == 204 || self.module.starts_with("Microsoft.Entra") {
            return Ok(http(&answer));
        }
        Err(if self.is_domain() {
            of_domain(&answer)
        } else {
            of_graph(&answer)
        })
    }

    /// What the worker refuses of itself in a domain.
    fn reach(&self, account: &str) -> Result<(), Record> {
        let is_among = |name: &str, wanted: &dyn Fn(&str) -> bool| {
            let mut values = self.settings[name].as_array().into_iter().flatten();
            values.any(|value| wanted(value.as_str().unwrap()))
        };
        let is_it = |id: &str| id.eq_ignore_ascii_case(account);
        let is_admin = is_among("groups", &|sid| {
            sid == "S-1-5-32-544" || sid.ends_with("-512") || sid.ends_with("-519")
        });
        let id = if is_it(CALLER) || is_among("own", &is_it) {
            "RotationOwnAccount"
        } else if account.ends_with("-502") {
            "RotationKrbtgt"
        } else if !is_admin && is_among("protected", &is_it) {
            "RotationProtected"
        } else {
            return Ok(());
        };
        let mut record = Record::new("UnauthorizedAccessException", "out of reach");
        record.id = id.to_owned();
        Err(record)
    }

    /// All users, or those that are named.
    fn users(&self, queries: &[Value]) -> Result<Value, Record> {
        let graph = self.graph()?;
        let select = "$select=id,userPrincipalName,displayName,accountEnabled,userType,onPremisesSyncEnabled,\
            createdDateTime,lastPasswordChangeDateTime";
        let reference = |query: &Value| {
            let query = query.as_str().unwrap();
            if self.is_domain() {
                sought(query)
            } else {
                Some(query.to_owned())
            }
        };
        let names: Vec<String> = queries.iter().filter_map(reference).collect();
        if !names.is_empty() {
            for name in names {
                let path = format!("v1.0/users/{}?{select}", encoded(&name));
                let found = graph.get(&path).map_err(lost)?;
                if found.status == 200 {
                    self.answer(self.id, "part", &json!([self.user(&found.json())]));
                }
            }
            return Ok(json!({}));
        }
        let mut path = format!("v1.0/users?{select}&$top=100");
        loop {
            let page = graph.get(&path).map_err(lost)?.json();
            let users = page["value"].as_array().unwrap().iter();
            let users: Vec<Value> = users.map(|user| self.user(user)).collect();
            self.answer(self.id, "part", &json!([]));
            self.answer(self.id, "part", &json!(users));
            match page["@odata.nextLink"].as_str() {
                Some(next) => {
                    path = next
                        .split_once("/v1.0/")
                        .map(|(_, path)| format!("v1.0/{path}"))
                        .unwrap();
                }
                None => return Ok(json!({})),
            }
        }
    }

    /// A user of the simulator, as the module shows one.
    fn user(&self, user: &Value) -> Value {
        let changed = user["lastPasswordChangeDateTime"].as_str();
        if !self.is_domain() {
            return json!({
                "id": user["id"], "user_principal_name": user["userPrincipalName"],
                "display_name": user["displayName"], "enabled": user["accountEnabled"],
                "user_type": user["userType"], "synced": user["onPremisesSyncEnabled"],
                "password_changed": changed,
            });
        }
        let ticks = |text: &str| {
            let time: jiff::Timestamp = text.parse().unwrap();
            i64::try_from(time.as_nanosecond() / 100).unwrap() + 116_444_736_000_000_000
        };
        json!({
            "id": user["id"], "account_name": user["displayName"],
            "user_principal_name": user["userPrincipalName"], "display_name": user["displayName"],
            "enabled": user["accountEnabled"], "created": user["createdDateTime"],
            "password_last_set": changed.map(ticks), "sid": "S-1-5-21-1-2-3-1105",
            "admin_count": null, "is_critical": null, "primary_group": 513,
        })
    }
}

/// The object id or name that a filter of LDAP looks for; `None` if it is everybody.
fn sought(filter: &str) -> Option<String> {
    let value = |name: &str| {
        let (_, rest) = filter.split_once(name)?;
        rest.split_once(')').map(|(value, _)| value.to_owned())
    };
    if let Some(bytes) = value("(objectGUID=") {
        let bytes: Vec<&str> = bytes.split('\\').skip(1).collect();
        let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        let hex: String = order.map(|place| bytes[place]).concat();
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        return Some(parts.join("-"));
    }
    let name = value("(userPrincipalName=")?;
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let [first, more @ ..] = rest {
        if *first == b'\\' {
            let hex = std::str::from_utf8(&more[..2]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    Some(String::from_utf8(bytes).unwrap())
}

/// A page without items, which names another one that names this one.
fn circle(uri: &str) -> Value {
    let other = match uri.strip_suffix("&$skiptoken=b") {
        Some(first) => format!("{first}&$skiptoken=c"),
        None => format!("{}&$skiptoken=b", uri.trim_end_matches("&$skiptoken=c")),
    };
    let body =
        json!({"value": [], "@odata.nextLink": format!("https://graph.microsoft.com/{other}")});
    json!({"status": 200, "body": body.to_string()})
}

/// What is handed on of an answer of Graph.
fn http(answer: &Answer) -> Value {
    json!({
        "status": answer.status, "body": answer.body, "date": answer.header("Date"),
        "request_id": answer.header("request-id"), "retry_after": answer.header("Retry-After"),
    })
}

/// No answer came.
fn lost(error: String) -> Record {
    Record::new("HttpRequestException", &error)
}

/// As Microsoft Graph PowerShell tells an answer of Graph.
fn of_graph(answer: &Answer) -> Record {
    let error = &answer.json()["error"];
    let code = error["code"].as_str().unwrap_or("UnknownError");
    let mut record = Record::new("RestException", "");
    record.message = format!(
        "[{code}] : {}\n\nStatus: {} (Something)\nErrorCode: {code}\nDate: 2026-01-01T00:00:00\n\nHeaders:\n\
         Retry-After                   : {}\nrequest-id                    : {}\n",
        error["message"].as_str().unwrap_or_default(),
        answer.status,
        answer.header("Retry-After"),
        answer.header("request-id"),
    );
    record.id = format!("{code},Microsoft.Graph.PowerShell.Cmdlets.UpdateMgUser_UpdateExpanded");
    record.category = "InvalidOperation";
    record.sent = true;
    record
}

/// As the module `ActiveDirectory` would tell the same.
fn of_domain(answer: &Answer) -> Record {
    let mut record = match answer.status {
        400 => {
            let mut record = Record::new(
                "ADPasswordComplexityException",
                "The password does not meet the requirements.",
            );
            record.id = "ActiveDirectoryServer:1325,Set-ADAccountPassword".to_owned();
            record
        }
        403 => {
            let mut record = Record::new("UnauthorizedAccessException", "Access is denied");
            record.id = "ActiveDirectoryServer:5,Set-ADAccountPassword".to_owned();
            record
        }
        _ => Record::new("ADServerDownException", "Unable to contact the server."),
    };
    record.sent = true;
    record
}

impl Record {
    fn new(kind: &'static str, message: &str) -> Self {
        Self {
            id: String::new(),
            kind,
            category: "NotSpecified",
            message: message.to_owned(),
            sent: false,
            set: false,
        }
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id, "types": [self.kind], "category": self.category,
            "message": self.message, "sent": self.sent, "set": self.set,
        })
    }
}
