//! A real Postgres server of our own: its files in a directory that goes with it, its port one that was free.

use std::ffi::OsString;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs, io, thread};

use tempfile::TempDir;

/// The user that a server is run as when the tests are run by root, whom Postgres refuses.
const SERVER_USER: &str = "postgres";

/// What every server is set to: the opposite of careful where the store must not rely on the server's defaults, and
/// everything in the log that a server can put there.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 300
shared_buffers = '64MB'
log_statement = 'all'
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
synchronous_commit = off
wal_writer_delay = '10s'
default_transaction_isolation = 'serializable'
";

pub(crate) struct Cluster {
    directory: TempDir,
    bin: PathBuf,
    pub(crate) port: u16,
    /// Stops the server when this process ends, however it does.
    guard: Option<Child>,
}

impl Cluster {
    /// The server that the tests of this process share; `None`, said aloud, if none is installed.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// A server for one test alone.
    pub(crate) fn start() -> Option<Self> {
        let mut cluster = Self::prepare()?;
        cluster.first_up();
        Some(cluster)
    }

    /// The same, with a file system of 12 MB that nobody else sees, and that is gone with the server; `None`, said
    /// aloud, if we may not make one.
    pub(crate) fn with_small_disk() -> Option<Self> {
        let mut cluster = Self::prepare()?;
        let allowed = Command::new("unshare")
            .args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"])
            .output();
        if !allowed.is_ok_and(|output| output.status.success()) {
            skip("nobody but root may mount a small file system");
            return None;
        }
        fs::create_dir(cluster.small_disk()).unwrap();
        cluster.first_up();
        Some(cluster)
    }

    pub(crate) fn small_disk(&self) -> PathBuf {
        self.directory.path().join("small")
    }

    fn prepare() -> Option<Self> {
        let Some(bin) = server() else {
            skip("no Postgres server is installed: run secret-stores/tests/servers/postgres.sh");
            return None;
        };
        let directory = tempfile::Builder::new()
            .prefix("rotation-postgres-")
            .tempdir()
            .unwrap();
        if is_root() {
            done(Command::new("chown").arg(SERVER_USER).arg(directory.path()));
        }
        let mut cluster = Self {
            port: 0,
            directory,
            bin,
            guard: None,
        };
        done(
            cluster
                .run("initdb")
                .args([
                    "--username=postgres",
                    "--auth-local=trust",
                    "--auth-host=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                    "--pgdata",
                ])
                .arg(cluster.data()),
        );
        let place = format!(
            "unix_socket_directories = '{}'\n",
            cluster.directory.path().display()
        );
        cluster.configure(SETTINGS);
        cluster.configure(&place);
        cluster.choose_port();
        cluster.guard = Some(cluster.stop_at_the_end());
        Some(cluster)
    }

    /// Adds lines to the configuration, for the next start.
    pub(crate) fn configure(&self, lines: &str) {
        let path = self.data().join("postgresql.conf");
        let mut file = fs::File::options().append(true).open(path).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
    }

    /// Takes a port that is free now; the last one configured counts.
    fn choose_port(&mut self) {
        self.port = free_port();
        self.configure(&format!("port = {}\n", self.port));
    }

    /// Starts the server for the first time: on another port, should somebody have taken the one chosen meanwhile.
    fn first_up(&mut self) {
        for _ in 0..10 {
            if self.starts() {
                return;
            }
            self.choose_port();
        }
        self.up();
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn up(&self) {
        for _ in 0..100 {
            if self.starts() {
                return;
            }
            // After a kill the memory of the former server may still be in use for a moment.
            thread::sleep(Duration::from_millis(50));
        }
        panic!(
            "the server does not start: {}",
            String::from_utf8_lossy(&self.log())
        );
    }

    fn starts(&self) -> bool {
        self.run("pg_ctl")
            .args(["start", "--wait", "--silent", "--pgdata"])
            .arg(self.data())
            .arg("--log")
            .arg(self.log_path())
            .output()
            .unwrap()
            .status
            .success()
    }

    /// Stops the server in good order, cutting off whoever is connected.
    pub(crate) fn down(&self) {
        done(
            self.run("pg_ctl")
                .args(["stop", "--mode=fast", "--silent", "--pgdata"])
                .arg(self.data()),
        );
    }

    /// Kills the server with signal 9; what it had not written is gone.
    pub(crate) fn kill(&self) {
        let pid = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        // Its processes too, which would otherwise finish what they are at.
        let children = Command::new("pgrep").args(["-P", pid]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let mut kill = Command::new("kill");
        // Those that ended by themselves meanwhile are no failure.
        kill.arg("-9")
            .arg(pid)
            .args(children.split_whitespace())
            .stderr(Stdio::null());
        kill.status().unwrap();
    }

    /// Makes the next start that of a standby, or no longer so.
    pub(crate) fn set_standby(&self, standby: bool) {
        let signal = self.data().join("standby.signal");
        if standby {
            fs::write(signal, "").unwrap();
        } else {
            done(
                self.run("pg_ctl")
                    .args(["promote", "--wait", "--silent", "--pgdata"])
                    .arg(self.data()),
            );
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// What the server logged.
    pub(crate) fn log(&self) -> Vec<u8> {
        fs::read(self.log_path()).unwrap_or_default()
    }

    /// What `pg_dump` prints of a database, but for the tokens that it draws each time.
    pub(crate) fn dump(&self, database: &str) -> String {
        let mut dump = self.run("pg_dump");
        dump.args([
            "--username=postgres",
            "--port",
            &self.port.to_string(),
            "--host",
        ]);
        let printed = done(dump.arg(self.directory.path()).arg(database)).stdout;
        let printed = String::from_utf8(printed).unwrap();
        let lines = printed.lines().filter(|line| !line.contains("restrict "));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Lets the server's user read a file that we put into its directory.
    pub(crate) fn hand_over(&self, path: &Path) {
        if is_root() {
            done(Command::new("chown").arg("-R").arg(SERVER_USER).arg(path));
        }
    }

    /// A connection as the superuser.
    pub(crate) async fn admin(&self, database: &str) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(self.directory.path())
            .port(self.port)
            .user("postgres")
            .dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A program of the server's, run as its user and where it sees its disks.
    fn run(&self, program: &str) -> Command {
        const MOUNT: &str =
            "mount -t tmpfs -o size=12m,uid=$(id -u postgres) none \"$0\" && exec \"$@\"";
        let mut words: Vec<OsString> = Vec::new();
        if self.small_disk().exists() {
            words.extend(["unshare", "-m", "sh", "-c", MOUNT].map(OsString::from));
            words.push(self.small_disk().into());
        }
        if is_root() {
            words.extend(["runuser", "-u", SERVER_USER, "--"].map(OsString::from));
        }
        words.push(self.bin.join(program).into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Waits for the end of what this process writes to it, which is nothing: so, for the end of this process.
    fn stop_at_the_end(&self) -> Child {
        let stop = "trap '' INT TERM; cat; \
                    pid=$(head -n 1 \"$1/data/postmaster.pid\") && kill -QUIT \"$pid\"; \
                    while kill -0 \"$pid\"; do sleep 0.05; done; rm -rf \"$1\"";
        Command::new("sh")
            .args(["-c", stop, "sh"])
            .arg(self.directory.path())
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            guard.wait().ok();
        }
    }
}

/// Where the programs of a server are.
fn server() -> Option<PathBuf> {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut places: Vec<_> = installed
        .map(|version| version.unwrap().path().join("bin"))
        .collect();
    places.sort();
    places.reverse();
    let path = env::var_os("PATH").unwrap_or_default();
    places.extend(env::split_paths(&path));
    places
        .into_iter()
        .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| done(Command::new("id").arg("-u")).stdout == b"0\n")
}

/// Says that a test is skipped, and why; fails it where nothing may be.
fn skip(why: &str) {
    let required = env::var("ROTATION_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
    assert!(!required, "{why}");
    // To the stream itself: what a test that passes prints by `eprintln!` is not shown.
    let line = format!("skipped: {why}\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output
}
