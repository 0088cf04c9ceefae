//! The least server that answers: it reads a request to its end and says 204, or 200 to a batch. It parses nothing, checks
//! nothing and keeps nothing. What the simulator takes longer than this is the simulator's own.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Failure;

/// Room for a batch.
const BUFFER: usize = 1 << 16;

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // a connection that breaks off is the client's affair
        tokio::spawn(async move { converse(stream).await.ok() });
    }
}

async fn converse(mut stream: TcpStream) -> std::io::Result<()> {
    let batch = batch_answer();
    let mut buffer = vec![0; BUFFER];
    let mut filled = 0;
    loop {
        while let Some(length) = request_length(&buffer[..filled]) {
            let answer = match buffer.first() {
                Some(b'P') if buffer[..length].starts_with(b"POST") => batch.as_slice(),
                _ => b"HTTP/1.1 204 No Content\r\n\r\n",
            };
            stream.write_all(answer).await?;
            buffer.copy_within(length..filled, 0);
            filled -= length;
        }
        match stream.read(&mut buffer[filled..]).await? {
            0 => return Ok(()),
            read => filled += read,
        }
    }
}

/// The length of the first request, once all of it is there.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let found = name.eq_ignore_ascii_case("content-length");
        found.then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let whole = head + length.unwrap_or(0);
    (bytes.len() >= whole).then_some(whole)
}

fn batch_answer() -> Vec<u8> {
    let item = |id| serde_json::json!({"id": id, "status": 204, "headers": {}, "body": null});
    let items: Vec<_> = (1..=20).map(|id: usize| item(id.to_string())).collect();
    let body = serde_json::json!({"responses": items}).to_string();
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}
