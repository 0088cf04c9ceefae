//! A gate in front of a server, which holds back the requests that a test names.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::server::Server;

pub(crate) struct Gate {
    pub(crate) address: String,
    /// What requests that are held back begin with; nothing is while it is empty.
    held: watch::Sender<&'static str>,
    /// The first line of every request that came.
    seen: watch::Sender<Vec<String>>,
}

impl Gate {
    pub(crate) async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gate = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            held: watch::Sender::new(""),
            seen: watch::Sender::new(Vec::new()),
        };
        let behind = server.address.trim_start_matches("http://").to_owned();
        let (held, seen) = (gate.held.clone(), gate.seen.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (behind, held, seen) = (behind.clone(), held.clone(), seen.clone());
                tokio::spawn(pass(client, behind, held, seen));
            }
        });
        gate
    }

    pub(crate) fn hold(&self, prefix: &'static str) {
        self.held.send_replace(prefix);
    }

    pub(crate) fn open(&self) {
        self.held.send_replace("");
    }

    /// How many requests came that begin with `prefix`.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        count(&self.seen.borrow(), prefix)
    }

    /// Waits until so many came.
    pub(crate) async fn until(&self, prefix: &str, number: usize) {
        let mut seen = self.seen.subscribe();
        seen.wait_for(|seen| count(seen, prefix) >= number)
            .await
            .unwrap();
    }
}

fn count(seen: &[String], prefix: &str) -> usize {
    seen.iter().filter(|line| line.starts_with(prefix)).count()
}

/// Passes one request on, and its answer back.
async fn pass(
    mut client: TcpStream,
    behind: String,
    held: watch::Sender<&'static str>,
    seen: watch::Sender<Vec<String>>,
) {
    let mut request = Vec::new();
    let (head, length) = loop {
        if client.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1);
            let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            break (head.len() + 4, length);
        }
    };
    while request.len() < head + length {
        if client.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap();
    let line = String::from_utf8_lossy(line).into_owned();
    seen.send_modify(|seen| seen.push(line.clone()));
    let free = |prefix: &&str| prefix.is_empty() || !line.starts_with(prefix);
    held.subscribe().wait_for(free).await.unwrap();

    // One request to a connection, so that its answer ends with it.
    let rest = request.splice(head - 2..head - 2, *b"Connection: close\r\n");
    drop(rest);
    let Ok(mut server) = TcpStream::connect(&behind).await else {
        return;
    };
    let mut answer = Vec::new();
    if server.write_all(&request).await.is_ok() && server.read_to_end(&mut answer).await.is_ok() {
        client.write_all(&answer).await.ok();
    }
}
