//! A line that is cut while a transaction ends: its answer is lost, and asking again does the right thing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rotation_core::{SecretStore, Select, StoreError, VersionState};
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::workshop::{
    HOUR, Workshop, commit, is_unavailable, lease, rotate, stage, states, version, version_of,
};

/// Lets everything through.
const WHOLE: u8 = 0;
/// Cuts the line instead of passing on the next COMMIT.
const BEFORE: u8 = 1;
/// Cuts the line instead of passing on the answer to the next COMMIT.
const AFTER: u8 = 2;
/// Passes on no answer any more, and leaves the line open.
const SILENT: u8 = 3;

/// What stands before the text of a message: its type and its length.
const HEAD: usize = 5;

/// Stands between a store and its server.
struct Wire {
    port: u16,
    cut: Arc<AtomicU8>,
}

impl Wire {
    async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicU8::new(WHOLE));
        let shared = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&shared)));
            }
        });
        Self { port, cut }
    }

    /// Fails the next transaction, once.
    fn cut(&self, how: u8) {
        self.cut.store(how, Ordering::SeqCst);
    }

    /// Whether the fault that was ordered has struck.
    fn has_struck(&self) -> bool {
        self.cut.load(Ordering::SeqCst) == WHOLE
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, cut: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut committing = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Some(request) = read.ok().filter(|size| *size > 0).map(|size| &asked[..size]) else {
                    return;
                };
                let commit = position(request, b"COMMIT\0");
                committing = commit.is_some();
                if let Some(at) = commit && cut.load(Ordering::SeqCst) == BEFORE {
                    server.write_all(&request[..at - HEAD]).await.ok();
                    // The server did everything but this, and said so.
                    let rest = io::copy(&mut server, &mut client);
                    timeout(Duration::from_millis(100), rest).await.ok();
                    cut.store(WHOLE, Ordering::SeqCst);
                    return;
                }
                server.write_all(request).await.ok();
            }
            read = server.read(&mut answered) => {
                let Some(answer) = read.ok().filter(|size| *size > 0).map(|size| &answered[..size]) else {
                    return;
                };
                let how = cut.load(Ordering::SeqCst);
                if committing && how == SILENT {
                    continue;
                }
                if committing && how == AFTER && let Some(at) = position(answer, b"COMMIT\0") {
                    client.write_all(&answer[..at - HEAD]).await.ok();
                    cut.store(WHOLE, Ordering::SeqCst);
                    return;
                }
                client.write_all(answer).await.ok();
            }
        }
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ambiguity_is_kept_when_the_line_is_cut_at_a_commit() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let wire = Wire::to(cluster.port).await;
    let config = shop.config_for(&format!("127.0.0.1:{}", wire.port));
    let (store, direct) = (shop.open_with(config).await.unwrap(), shop.open().await);
    rotate(&store, &version("to-warm-up")).await;
    for how in [BEFORE, AFTER] {
        let happened = |state: VersionState| if how == AFTER { vec![state] } else { vec![] };
        let new = version("hunter2-hunter2");
        let account = &new.key.account;

        wire.cut(how);
        let lost = store.lease(&new.lease(), HOUR).await;
        assert!(is_unavailable(&lost) && wire.has_struck(), "{lost:?}");
        store.lease(&new.lease(), HOUR).await.unwrap();

        wire.cut(how);
        assert!(is_unavailable(&stage(&store, &new).await));
        assert!(wire.has_struck());
        assert_eq!(
            states(&direct, account).await,
            happened(VersionState::Pending)
        );
        stage(&store, &new).await.unwrap();
        assert_eq!(states(&direct, account).await, [VersionState::Pending]);

        wire.cut(how);
        assert!(is_unavailable(&commit(&store, &new).await));
        assert!(wire.has_struck());
        let current = [happened(VersionState::Current), vec![VersionState::Pending]].concat()[0];
        assert_eq!(states(&direct, account).await, [current]);
        commit(&store, &new).await.unwrap();
        assert_eq!(states(&direct, account).await, [VersionState::Current]);

        let dropped = version_of(account, new.run, "hunter3-hunter3");
        stage(&store, &dropped).await.unwrap();
        wire.cut(how);
        assert!(is_unavailable(&store.discard(&dropped.key).await));
        store.discard(&dropped.key).await.unwrap();
        assert_eq!(states(&direct, account).await, [VersionState::Current]);

        let newer = version_of(account, new.run, "hunter4-hunter4");
        stage(&store, &newer).await.unwrap();
        commit(&store, &newer).await.unwrap();
        wire.cut(how);
        let select = Select::Account(account.clone());
        assert!(is_unavailable(&store.prune(&select, 0).await));
        store.prune(&select, 0).await.unwrap();
        assert_eq!(states(&direct, account).await, [VersionState::Current]);

        wire.cut(how);
        assert!(is_unavailable(&store.release(&new.lease()).await));
        store.release(&new.lease()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_not_waited_for_forever() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let wire = Wire::to(cluster.port).await;
    let config = shop
        .config_for(&format!("127.0.0.1:{}", wire.port))
        .with_timeout(Duration::from_secs(2));
    let store = shop.open_with(config).await.unwrap();
    let new = version("hunter2-hunter2");
    lease(&store, &new).await;
    wire.cut(SILENT);
    let Err(StoreError::Unavailable { problem, .. }) = stage(&store, &new).await else {
        panic!("expected Unavailable");
    };
    assert!(problem.message.contains("no answer"), "{problem}");
    wire.cut(WHOLE);
    stage(&store, &new).await.unwrap();
    assert_eq!(
        states(&store, &new.key.account).await,
        [VersionState::Pending]
    );
}

/// The whole transaction is on its way once the call was polled; whether or not anyone waits for it, nothing stays open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_dropped_at_any_moment_leaves_nothing_locked() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let store = shop.open().await;
    for wait in 0..40 {
        let new = version("hunter2-hunter2");
        lease(&store, &new).await;
        timeout(Duration::from_micros(100 * wait), stage(&store, &new))
            .await
            .ok();
        stage(&store, &new).await.unwrap();
        timeout(Duration::from_micros(100 * wait), commit(&store, &new))
            .await
            .ok();
        commit(&store, &new).await.unwrap();
        assert_eq!(
            states(&store, &new.key.account).await,
            [VersionState::Current]
        );
    }
}
