//! What the simulator itself costs, so that a benchmark against it knows what it measures: CPU time of the process `entra-sim`
//! for each PATCH, each item of a batch and each listed account, over loopback, from a client that sends bytes made before.
//!
//! Run it: `cargo bench -p entra-sim --bench cost`
//! A large tenant: `ENTRA_SIM_BENCH_ACCOUNTS=1000000 cargo bench -p entra-sim --bench cost`

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]
#![allow(
    clippy::indexing_slicing,
    reason = "serde_json indexes without panicking"
)]

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

type Failure = Box<dyn Error + Send + Sync>;

const CONNECTIONS: usize = 16;
const BATCH: usize = 20;
/// Of `/proc/{pid}/stat`; the same on every Linux that runs on our kind of machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// Ends with the benchmark, whatever becomes of it.
struct Simulator(Child);

impl Drop for Simulator {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Simulator {
    /// CPU seconds so far, of user and kernel.
    fn cpu(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let after_name = stat.rsplit_once(')').ok_or("no name in stat")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |index: usize| {
            fields
                .get(index)
                .ok_or("stat is short")?
                .parse::<f64>()
                .map_err(Failure::from)
        };
        Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
    }

    /// Peak memory in MiB.
    fn peak(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .ok_or("no VmHWM")?;
        let kilobytes = line
            .split_whitespace()
            .nth(1)
            .ok_or("no figure")?
            .parse::<f64>()?;
        Ok(kilobytes / 1024.0)
    }
}

/// One connection that is kept open.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(1 << 20, stream)))
    }

    /// Sends a request; the status and body of its answer.
    fn exchange(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>), Failure> {
        self.0.get_mut().write_all(request)?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1).ok_or("no status")?.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status, body))
    }
}

fn request(method: &str, path: &str, token: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn change(number: usize) -> Value {
    json!({"passwordProfile": {"password": format!("Vk3!vk3zqq9-{number:012}"), "forceChangePasswordNextSignIn": false}})
}

/// Sends the requests over many connections; all must be answered with this status.
fn send(address: &str, requests: &[Vec<u8>], expected: u16) -> Result<(), Failure> {
    let share = requests.len().div_ceil(CONNECTIONS).max(1);
    std::thread::scope(|scope| {
        let senders: Vec<_> = requests
            .chunks(share)
            .map(|chunk| {
                scope.spawn(move || {
                    let mut connection = Connection::open(address)?;
                    for request in chunk {
                        let (status, body) = connection.exchange(request)?;
                        if status != expected {
                            return Err(
                                format!("{status}: {}", String::from_utf8_lossy(&body)).into()
                            );
                        }
                    }
                    Ok::<(), Failure>(())
                })
            })
            .collect();
        senders
            .into_iter()
            .try_for_each(|sender| sender.join().map_err(|_| "a sender panicked")?)
    })
}

fn report(
    simulator: &Simulator,
    what: &str,
    count: usize,
    act: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (cpu, began) = (simulator.cpu()?, Instant::now());
    act()?;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), simulator.cpu()? - cpu);
    let count = count as f64;
    println!(
        "| {what} | {:.0} | {:.2} |",
        count / seconds,
        cpu * 1e6 / count
    );
    Ok(())
}

fn main() -> Result<(), Failure> {
    let measured = std::env::args().any(|argument| argument == "--bench");
    let accounts: usize = match std::env::var("ENTRA_SIM_BENCH_ACCOUNTS") {
        Ok(number) => number.parse()?,
        Err(_) if measured => 100_000,
        Err(_) => 300,
    };
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_entra-sim"))
        .args(["--accounts", &accounts.to_string(), "--seed", "1"])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("no stdout")?;
    let simulator = Simulator(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    println!(
        "{accounts} accounts seeded in {:.2} s, {:.0} MiB",
        began.elapsed().as_secs_f64(),
        simulator.peak()?
    );
    let setup: Value = serde_json::from_str(&line)?;
    let text = |name: &str| setup[name].as_str().ok_or_else(|| format!("no {name}"));
    let address = text("baseUrl")?.trim_start_matches("http://").to_owned();

    let mut connection = Connection::open(&address)?;
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
        text("clientId")?,
        text("clientSecret")?
    );
    let path = format!("/{}/oauth2/v2.0/token", text("tenant")?);
    let sign_in = request(
        "POST",
        &path,
        "",
        "application/x-www-form-urlencoded",
        &form,
    );
    let (_, answer) = connection.exchange(&sign_in)?;
    let answer: Value = serde_json::from_slice(&answer)?;
    let token = answer["access_token"]
        .as_str()
        .ok_or("no token")?
        .to_owned();

    println!("| | per second | CPU µs of the simulator for each |\n| --- | --- | --- |");
    let mut ids = Vec::with_capacity(accounts);
    report(&simulator, "listed account", accounts, || {
        let select = "id,userPrincipalName,displayName,givenName,surname,accountEnabled,userType,onPremisesSyncEnabled,lastPasswordChangeDateTime,isManagementRestricted";
        let mut next = Some(format!("/v1.0/users?$select={select}&$top=999"));
        while let Some(path) = next {
            let (_, page) = connection.exchange(&request("GET", &path, &token, "", ""))?;
            let page: Value = serde_json::from_slice(&page)?;
            let users = page["value"].as_array().ok_or_else(|| page.to_string())?;
            // The rest may not be rotated by this caller.
            let ordinary = users.iter().filter(|user| {
                user["userPrincipalName"]
                    .as_str()
                    .is_some_and(|name| name.starts_with("user0"))
            });
            ids.extend(ordinary.filter_map(|user| Some(user["id"].as_str()?.to_owned())));
            let link = page["@odata.nextLink"].as_str();
            next = link
                .and_then(|link| link.split_once(&address))
                .map(|(_, path)| path.to_owned());
        }
        Ok(())
    })?;

    let patches: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(number, id)| {
            request(
                "PATCH",
                &format!("/v1.0/users/{id}"),
                &token,
                "application/json",
                &change(number).to_string(),
            )
        })
        .collect();
    report(&simulator, "PATCH", patches.len(), || {
        send(&address, &patches, 204)
    })?;

    let quota = json!({"count": u32::MAX, "seconds": 10});
    let quotas = json!({"appInTenant": quota, "app": quota, "tenant": quota, "units": quota, "appUnits": quota});
    let mut limit = |throttle: Value| {
        let token = text("controlToken")?;
        let request = request(
            "POST",
            "/__control/throttle",
            token,
            "application/json",
            &throttle.to_string(),
        );
        match connection.exchange(&request)? {
            (204, _) => Ok::<(), Failure>(()),
            (status, body) => Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into()),
        }
    };
    limit(quotas)?;
    report(
        &simulator,
        "PATCH counted by five quotas",
        patches.len(),
        || send(&address, &patches, 204),
    )?;
    limit("none".into())?;

    let batches: Vec<_> = ids
        .chunks(BATCH)
        .map(|chunk| {
            let items: Vec<Value> = chunk
                .iter()
                .enumerate()
                .map(|(number, id)| {
                    json!({
                        "id": number.to_string(),
                        "method": "PATCH",
                        "url": format!("/users/{id}"),
                        "headers": {"Content-Type": "application/json"},
                        "body": change(number),
                    })
                })
                .collect();
            let body = json!({"requests": items}).to_string();
            request("POST", "/v1.0/$batch", &token, "application/json", &body)
        })
        .collect();
    report(&simulator, "item of a batch", ids.len(), || {
        send(&address, &batches, 200)
    })?;

    let reads: Vec<_> = ids
        .iter()
        .map(|id| {
            request(
                "GET",
                &format!("/v1.0/users/{id}?$select=id,lastPasswordChangeDateTime"),
                &token,
                "",
                "",
            )
        })
        .collect();
    report(&simulator, "GET of one account", reads.len(), || {
        send(&address, &reads, 200)
    })?;
    println!("peak memory {:.0} MiB", simulator.peak()?);
    Ok(())
}
