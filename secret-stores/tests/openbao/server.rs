//! A private OpenBao server.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) root: String,
    pub(crate) directory: TempDir,
    arguments: Vec<String>,
    unseal_key: Option<String>,
    process: Mutex<Process>,
}

/// The server, and a shell that kills it once our end of the pipe is closed, however this process ends.
struct Process {
    server: Child,
    watchdog: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        self.watchdog.kill().unwrap();
        self.watchdog.wait().unwrap();
    }
}

/// The server that the tests of this process share; `None`, said aloud, if there is none to be had.
pub(crate) async fn shared() -> Option<&'static Server> {
    static SHARED: OnceCell<Option<Server>> = OnceCell::const_new();
    SHARED.get_or_init(Server::dev).await.as_ref()
}

fn binary() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../servers/openbao/bao");
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("ROTATION_REQUIRE_SERVERS").is_none_or(|value| value != "1"),
        "no OpenBao server: run secret-stores/tests/servers/openbao.sh"
    );
    // Past the harness, which keeps what tests that pass print.
    let note =
        b"skipped: no OpenBao server, which secret-stores/tests/servers/openbao.sh installs\n";
    std::io::stderr().write_all(note).unwrap();
    None
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    /// A server that keeps everything in memory, unsealed.
    pub(crate) async fn dev() -> Option<Self> {
        let port = free_port();
        let arguments = [
            "-dev".to_owned(),
            "-dev-root-token-id=root".to_owned(),
            "-dev-no-store-token".to_owned(),
            format!("-dev-listen-address=127.0.0.1:{port}"),
        ];
        let address = format!("http://127.0.0.1:{port}");
        let server = Self::spawn(address, tempfile::tempdir().unwrap(), arguments.to_vec())?;
        server.healthy().await;
        Some(server)
    }

    /// A server that speaks TLS alone, with an authority of its own; and that authority.
    pub(crate) async fn tls() -> Option<(Self, String)> {
        let port = free_port();
        let directory = tempfile::tempdir().unwrap();
        let arguments = [
            "-dev-tls".to_owned(),
            format!("-dev-tls-cert-dir={}", directory.path().display()),
            "-dev-root-token-id=root".to_owned(),
            "-dev-no-store-token".to_owned(),
            format!("-dev-listen-address=127.0.0.1:{port}"),
        ];
        let address = format!("https://127.0.0.1:{port}");
        let server = Self::spawn(address, directory, arguments.to_vec())?;
        loop {
            let found = fs::read_dir(server.directory.path()).unwrap();
            let authority = found
                .map(|entry| entry.unwrap().path())
                .find(|path| path.to_string_lossy().ends_with("-ca.pem"));
            let listens = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            match authority {
                Some(path) if listens => return Some((server, fs::read_to_string(path).unwrap())),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// A server that keeps everything on disk, so that it can be killed, started again, sealed and unsealed.
    pub(crate) async fn durable() -> Option<Self> {
        let (port, cluster) = (free_port(), free_port());
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        let address = format!("http://127.0.0.1:{port}");
        let config = directory.path().join("config.hcl");
        fs::write(
            &config,
            format!(
                r#"
                storage "raft" {{
                  path = "{}"
                  node_id = "one"
                  performance_multiplier = 1
                }}
                listener "tcp" {{
                  address = "127.0.0.1:{port}"
                  tls_disable = true
                }}
                api_addr = "{address}"
                cluster_addr = "http://127.0.0.1:{cluster}"
                disable_mlock = true
                "#,
                data.display()
            ),
        )
        .unwrap();
        let arguments = vec![format!("-config={}", config.display())];
        let mut server = Self::spawn(address, directory, arguments)?;
        server.listening().await;
        let init = json!({"secret_shares": 1, "secret_threshold": 1});
        let made = server.put("sys/init", init).await;
        server.root = made["root_token"].as_str().unwrap().to_owned();
        server.unseal_key = Some(made["keys_base64"][0].as_str().unwrap().to_owned());
        server.unseal().await;
        Some(server)
    }

    fn spawn(address: String, directory: TempDir, arguments: Vec<String>) -> Option<Self> {
        let process = Process::start(&directory, &arguments)?;
        Some(Self {
            address,
            root: "root".to_owned(),
            directory,
            arguments,
            unseal_key: None,
            process: Mutex::new(process),
        })
    }

    /// Kills the server as `kill -9` does, and starts it again on what is on its disk. It is unsealed by hand.
    pub(crate) async fn crash(&self) {
        {
            let mut process = self.process.lock().unwrap();
            process.server.kill().unwrap();
            process.server.wait().unwrap();
            *process = Process::start(&self.directory, &self.arguments).unwrap();
        }
        self.listening().await;
        self.unseal().await;
    }

    pub(crate) async fn seal(&self) {
        self.put("sys/seal", json!({})).await;
    }

    pub(crate) async fn unseal(&self) {
        let key = self.unseal_key.as_ref().unwrap();
        self.put("sys/unseal", json!({"key": key})).await;
        self.healthy().await;
    }

    /// What the server has printed so far.
    pub(crate) fn log(&self) -> Vec<u8> {
        fs::read(self.directory.path().join("log")).unwrap()
    }

    /// Every byte of its storage.
    pub(crate) fn medium(&self) -> Vec<u8> {
        let data = self.directory.path().join("data");
        let mut bytes = Vec::new();
        let mut directories = vec![data];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => directories.push(path),
                    false => bytes.extend(fs::read(path).unwrap()),
                }
            }
        }
        bytes
    }

    /// Asks as root, for what must succeed.
    pub(crate) async fn put(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask("PUT", path, &self.root, "", body).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, &self.root, "", Value::Null).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        token: &str,
        namespace: &str,
        body: Value,
    ) -> (u16, Value) {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only(Vec::new())
            .build()
            .unwrap();
        let mut request = client
            .request(
                method.parse().unwrap(),
                format!("{}/v1/{path}", self.address),
            )
            .header("X-Vault-Token", token)
            .header("X-Vault-Namespace", namespace);
        if method == "PATCH" {
            request = request.header("Content-Type", "application/merge-patch+json");
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let Ok(response) = request.send().await else {
            return (599, Value::Null);
        };
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap_or_default();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn healthy(&self) {
        self.until(|status| status == 200).await;
    }

    async fn listening(&self) {
        self.until(|status| status != 599).await;
    }

    async fn until(&self, good: impl Fn(u16) -> bool) {
        for _ in 0..1200 {
            let (status, _) = self.ask("GET", "sys/health", "", "", Value::Null).await;
            if good(status) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{}", String::from_utf8_lossy(&self.log()));
    }
}

impl Process {
    fn start(directory: &TempDir, arguments: &[String]) -> Option<Self> {
        let log = File::options()
            .append(true)
            .create(true)
            .open(directory.path().join("log"))
            .unwrap();
        let server = Command::new(binary()?)
            .arg("server")
            .args(arguments)
            .env("HOME", directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let watchdog = Command::new("sh")
            .args(["-c", &format!("read _; kill -9 {}", server.id())])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { server, watchdog })
    }
}
