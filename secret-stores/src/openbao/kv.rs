use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::HeaderValue;
use reqwest::{Certificate, Method, Response, redirect, retry};
use rotation_core::StoreError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use url::Url;
use zeroize::Zeroizing;

use super::config::OpenBaoConfig;
use super::error::{Failure, altered, unavailable, unusable};
use super::session::{Held, Session};

/// The server is no faster with more, and its slowest answers take longer.
const IN_FLIGHT: usize = 16;
/// How long a server may take to accept a connection, and to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a caller waits for one request, its turn and a login included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Larger than any document that the server's storage takes by default.
const MAX_DOCUMENT: usize = 4 * 1024 * 1024;
/// A list of a million accounts.
const MAX_LIST: usize = 64 * 1024 * 1024;

/// The documents of one secrets engine, KV version 2.
///
/// Logging in is left to `vaultrs`; documents travel by requests of our own over the same HTTP client, because
/// `vaultrs` copies bodies into buffers that nobody wipes, and takes any 404 for a document that is not there.
pub(super) struct Kv {
    wire: Arc<Wire>,
    address: Url,
    mount: String,
}

/// What requests travel by.
struct Wire {
    http: reqwest::Client,
    session: Session,
    namespace: Option<HeaderValue>,
    permits: Semaphore,
}

/// A document as it was read.
pub(super) struct Document<T> {
    pub(super) content: T,
    /// The number of its version: what the next write must name.
    pub(super) cas: u64,
    /// When it was written, by the server's clock.
    pub(super) written: Timestamp,
}

/// What became of a write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written {
    /// It is durable, as of this time by the server's clock.
    At(Timestamp),
    /// Somebody else wrote the document meanwhile; nothing was changed.
    Conflict,
}

/// Status and body, or why there are none.
type Answer = Result<(u16, Zeroizing<Vec<u8>>), Failure>;

/// What the server said to a request that it understood.
enum Reply {
    Done(Zeroizing<Vec<u8>>),
    Absent,
    Conflict,
    Forbidden(Failure),
}

struct Request<'a> {
    method: Method,
    /// `data` or `metadata`.
    part: &'static str,
    path: &'a str,
    query: Option<&'static str>,
    body: Option<Bytes>,
    limit: usize,
}

impl Kv {
    pub(super) fn new(config: &OpenBaoConfig) -> Result<Self, StoreError> {
        let address = config.url()?;
        config.check_paths()?;
        let namespace = config
            .namespace
            .as_deref()
            .map(HeaderValue::from_str)
            .transpose()
            .map_err(|_| {
                unusable(
                    "the namespace is not one that a header can carry".to_owned(),
                    "correct `namespace`",
                )
            })?;
        let http = http_client(config, &address)?;
        let wire = Wire {
            session: Session::new(config, http.clone())?,
            http,
            namespace,
            permits: Semaphore::new(IN_FLIGHT),
        };
        Ok(Self {
            wire: Arc::new(wire),
            address,
            mount: config.mount.clone(),
        })
    }

    /// Checks that the mount is what we take it for: to KV version 1 our writes would look like success, and check nothing.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct Mount {
            r#type: String,
            options: Option<Options>,
        }
        #[derive(Deserialize)]
        struct Options {
            version: Option<String>,
        }
        let url = self.url(&["sys", "internal", "ui", "mounts"], &self.mount);
        let what = format!("see what is mounted at {}", self.mount);
        let grant = format!(
            "check `mount` and `namespace`, and give the token's policy a path below {}/",
            self.mount
        );
        let answer = self.answered(Method::GET, url, None, MAX_DOCUMENT).await;
        let body = answer
            .and_then(|(status, body)| match status {
                200 => Ok(body),
                _ => Err(failure(status, &body)),
            })
            .map_err(|failure| failure.explain(&what, &grant))?;
        let mount: Data<Mount> = parse(&self.mount, &body)?;
        let version = mount.data.options.and_then(|options| options.version);
        match (mount.data.r#type.as_str(), version.as_deref()) {
            ("kv", Some("2")) => Ok(()),
            (found, version) => Err(unusable(
                format!(
                    "what is mounted at {} is {found} version {}, expected kv version 2",
                    self.mount,
                    version.unwrap_or("1")
                ),
                "make one with `bao secrets enable -path=… -version=2 kv`, or upgrade this one with \
                 `bao kv enable-versioning`",
            )),
        }
    }

    /// The document at `path`; `None` if there is none.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<Document<T>>, StoreError> {
        let Some(body) = self.fetch(path).await? else {
            return Ok(None);
        };
        let Data { data } = parse::<Data<Read<T>>>(&self.full(path), &body)?;
        Ok(Some(Document {
            content: data.data,
            cas: data.metadata.version,
            written: data.metadata.created_time,
        }))
    }

    /// The document at `path`, which holds a password: an error tells nothing of what is in it.
    pub(super) async fn read_secret<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<T>, StoreError> {
        let Some(body) = self.fetch(path).await? else {
            return Ok(None);
        };
        match serde_json::from_slice::<Data<Read<T>>>(&body) {
            Ok(read) => Ok(Some(read.data.data)),
            Err(_) => Err(altered(&self.full(path), "it has other fields or values")),
        }
    }

    async fn fetch(&self, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        match self.send(Request::new(Method::GET, "data", path)).await? {
            Reply::Done(body) => Ok(Some(body)),
            Reply::Absent => Ok(None),
            Reply::Conflict => Err(unexpected(path)),
            Reply::Forbidden(failure) => Err(self.forbidden("read", path, "data", failure)),
        }
    }

    /// Writes the document at `path` if its version is still `cas`; 0 if there must be none yet.
    pub(super) async fn write<T: Serialize + Sync>(
        &self,
        path: &str,
        content: &T,
        cas: u64,
    ) -> Result<Written, StoreError> {
        let body = Some(body(content, cas)?);
        let request = Request {
            body,
            ..Request::new(Method::POST, "data", path)
        };
        match self.send(request).await? {
            Reply::Done(body) => {
                let Data { data } = parse::<Data<Metadata>>(&self.full(path), &body)?;
                if data.deletion_time.is_empty() {
                    return Ok(Written::At(data.created_time));
                }
                Err(unusable(
                    format!(
                        "the server will delete {path} by itself at {}",
                        data.deletion_time
                    ),
                    "let it keep versions: `bao write MOUNT/config delete_version_after=0s`",
                ))
            }
            Reply::Conflict => Ok(Written::Conflict),
            Reply::Absent => {
                Err(Failure::refused(404, &[]).explain(&format!("write {}", self.full(path)), ""))
            }
            Reply::Forbidden(failure) => Err(self.forbidden("create", path, "data", failure)),
        }
    }

    /// Writes a document that is written once and never again. One that is there already is that one, and stays.
    pub(super) async fn create<T: Serialize + Sync>(
        &self,
        path: &str,
        content: &T,
    ) -> Result<(), StoreError> {
        // Who may create and not update is refused a second time, as if by policy.
        let refused = match self.write(path, content, 0).await {
            Ok(Written::At(_)) => return Ok(()),
            Ok(Written::Conflict) => None,
            Err(error @ StoreError::Unusable(_)) => Some(error),
            Err(error) => return Err(error),
        };
        match (self.exists(path).await, refused) {
            (Ok(true), _) => Ok(()),
            (Ok(false), Some(refused)) => Err(refused),
            (Ok(false), None) => Err(unusable(
                format!("{} was deleted", self.full(path)),
                "leave the documents of this store to it; stage the account anew",
            )),
            (Err(error), _) => Err(error),
        }
    }

    /// The names at `path`; of what has more below it, with a slash at the end.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<String>, StoreError> {
        #[derive(Deserialize)]
        struct List {
            keys: Vec<String>,
        }
        let request = Request {
            query: Some("list=true"),
            limit: MAX_LIST,
            ..Request::new(Method::GET, "metadata", path)
        };
        match self.send(request).await? {
            Reply::Done(body) => Ok(parse::<Data<List>>(&self.full(path), &body)?.data.keys),
            Reply::Absent => Ok(Vec::new()),
            Reply::Conflict => Err(unexpected(path)),
            Reply::Forbidden(failure) => Err(self.forbidden("list", path, "metadata", failure)),
        }
    }

    /// Removes the document at `path` with all its versions. Removing one that is not there does nothing.
    pub(super) async fn erase(&self, path: &str) -> Result<(), StoreError> {
        match self
            .send(Request::new(Method::DELETE, "metadata", path))
            .await?
        {
            Reply::Done(_) | Reply::Absent => Ok(()),
            Reply::Conflict => Err(unexpected(path)),
            Reply::Forbidden(failure) => Err(self.forbidden("delete", path, "metadata", failure)),
        }
    }

    /// Whether the first version of the document at `path` is there, without reading it.
    async fn exists(&self, path: &str) -> Result<bool, StoreError> {
        #[derive(Deserialize)]
        struct Versions {
            versions: std::collections::HashMap<u64, Version>,
        }
        #[derive(Deserialize)]
        struct Version {
            deletion_time: String,
            destroyed: bool,
        }
        match self
            .send(Request::new(Method::GET, "metadata", path))
            .await?
        {
            Reply::Done(body) => {
                let versions = parse::<Data<Versions>>(&self.full(path), &body)?
                    .data
                    .versions;
                Ok(versions
                    .get(&1)
                    .is_some_and(|first| !first.destroyed && first.deletion_time.is_empty()))
            }
            Reply::Absent => Ok(false),
            Reply::Conflict => Err(unexpected(path)),
            Reply::Forbidden(failure) => Err(self.forbidden("read", path, "metadata", failure)),
        }
    }

    /// `path` as it is written for people.
    pub(super) fn full(&self, path: &str) -> String {
        format!("{}/{path}", self.mount)
    }

    async fn send(&self, request: Request<'_>) -> Result<Reply, StoreError> {
        let mut url = self.url(&[], &self.mount);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(request.part).extend(request.path.split('/'));
        }
        url.set_query(request.query);
        let what = || format!("{} {}", verb(&request), self.full(request.path));
        let answer = self
            .answered(
                request.method.clone(),
                url,
                request.body.clone(),
                request.limit,
            )
            .await;
        let (status, body) = answer.map_err(|failure| failure.explain(&what(), ""))?;
        match status {
            200..=204 => Ok(Reply::Done(body)),
            403 => Ok(Reply::Forbidden(failure(status, &body))),
            404 => match said(&body) {
                Some(words) if words.is_empty() => Ok(Reply::Absent),
                Some(words) => Err(Failure::refused(status, &words).explain(&what(), "")),
                // The server names the version that is no more.
                None if parse::<Data<serde_json::Value>>("", &body).is_ok() => Err(unusable(
                    format!("{} was deleted", self.full(request.path)),
                    "put it back with `bao kv undelete`, and leave the documents of this store to it",
                )),
                None => Err(Failure::refused(status, &[]).explain(&what(), "")),
            },
            400 if said(&body)
                .is_some_and(|words| words.iter().any(|word| word.contains("check-and-set"))) =>
            {
                Ok(Reply::Conflict)
            }
            _ => Err(failure(status, &body).explain(&what(), "")),
        }
    }

    /// Sends a request by a task of its own: one that waits for nobody but the server cannot keep others waiting. The
    /// future of a stream that is not polled would. If the call is given up, what was not sent yet is not sent any more.
    async fn answered(
        &self,
        method: Method,
        url: Url,
        body: Option<Bytes>,
        limit: usize,
    ) -> Answer {
        let wire = Arc::clone(&self.wire);
        let (mut caller, answer) = oneshot::channel();
        tokio::spawn(async move {
            if let Some(answer) = wire.answered(&mut caller, method, url, body, limit).await {
                // Who gave up after it was sent does not hear of it.
                caller.send(answer).ok();
            }
        });
        match timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Failure::Silent("the program is ending".to_owned())),
            Err(_) => Err(Failure::Silent(format!(
                "no turn or no answer within {PATIENCE:?}"
            ))),
        }
    }

    fn url(&self, before: &[&str], path: &str) -> Url {
        let mut url = self.address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .push("v1")
                .extend(before)
                .extend(path.split('/'));
        }
        url
    }

    fn forbidden(&self, capability: &str, path: &str, part: &str, failure: Failure) -> StoreError {
        let place = format!("{}/{part}/{path}", self.mount);
        failure.explain(
            &format!("{capability} {}", self.full(path)),
            &format!("give the token's policy `{capability}` on a path that covers {place}"),
        )
    }
}

impl Wire {
    /// One request, and once more if the token turns out to be gone. `None` if the caller was gone before it was sent.
    async fn answered(
        &self,
        caller: &mut oneshot::Sender<Answer>,
        method: Method,
        url: Url,
        body: Option<Bytes>,
        limit: usize,
    ) -> Option<Answer> {
        // Closed never; a permit lost would only mean one more in flight.
        let _permit = tokio::select! {
            biased;
            () = caller.closed() => return None,
            permit = self.permits.acquire() => permit,
        };
        let ask = async |held: &Held| {
            let mut request = self
                .http
                .request(method.clone(), url.clone())
                .header("X-Vault-Request", "true")
                .header("X-Vault-Token", held.header());
            if let Some(namespace) = &self.namespace {
                request = request.header("X-Vault-Namespace", namespace);
            }
            if let Some(body) = &body {
                request = request
                    .header("Content-Type", "application/json")
                    .body(body.clone());
            }
            let response = request.send().await?;
            let status = response.status().as_u16();
            Ok::<_, Failure>((status, read(response, limit).await?))
        };
        let held = match self.session.token().await {
            Ok(_) if caller.is_closed() => return None,
            Ok(held) => held,
            Err(error) => return Some(Err(error.into())),
        };
        let answer = ask(&held).await;
        if !matches!(answer, Ok((403, _))) {
            return Some(answer);
        }
        match self.session.instead_of(&held).await {
            Ok(_) if caller.is_closed() => None,
            Ok(Some(other)) => Some(ask(&other).await),
            Ok(None) => Some(answer),
            Err(error) => Some(Err(error.into())),
        }
    }
}

impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kv")
            .field("address", &self.address.as_str())
            .field("mount", &self.mount)
            .finish_non_exhaustive()
    }
}

impl<'a> Request<'a> {
    fn new(method: Method, part: &'static str, path: &'a str) -> Self {
        Self {
            method,
            part,
            path,
            query: None,
            body: None,
            limit: MAX_DOCUMENT,
        }
    }
}

/// What every answer is wrapped in.
#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Read<T> {
    data: T,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    created_time: Timestamp,
    deletion_time: String,
    version: u64,
}

fn http_client(config: &OpenBaoConfig, address: &Url) -> Result<reqwest::Client, StoreError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("rotation/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        // The token and the passwords go where they were told to, and each request once.
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never());
    if address.scheme() == "http" {
        // Loopback: no proxy, and no certificates, for a machine without any.
        builder = builder.no_proxy().tls_certs_only(Vec::new());
    } else {
        builder = builder.https_only(true);
        if let Some(pem) = &config.ca_pem {
            let certificates = Certificate::from_pem_bundle(pem.as_bytes())
                .ok()
                .filter(|found| !found.is_empty())
                .ok_or_else(|| {
                    unusable(
                        "the authorities given for the OpenBao server are no certificates"
                            .to_owned(),
                        "give one or more certificates in PEM form",
                    )
                })?;
            builder = builder.tls_certs_only(certificates);
        }
    }
    builder
        .build()
        .map_err(|error| Failure::from(error).explain("set up the HTTP client", ""))
}

/// The body of a write, in one buffer that is wiped.
fn body<T: Serialize>(content: &T, cas: u64) -> Result<Bytes, StoreError> {
    #[derive(Serialize)]
    struct Write<'a, T> {
        data: &'a T,
        options: Options,
    }
    #[derive(Serialize)]
    struct Options {
        cas: u64,
    }
    let write = Write {
        data: content,
        options: Options { cas },
    };
    // At its final size from the start: growing would leave a copy of a password behind.
    let mut size = Size(0);
    let serialised = serde_json::to_writer(&mut size, &write).and_then(|()| {
        let mut body = Zeroizing::new(Vec::with_capacity(size.0));
        serde_json::to_writer(&mut *body, &write).map(|()| body)
    });
    match serialised {
        Ok(body) => Ok(Bytes::from_owner(body)),
        Err(_) => Err(unusable(
            "a document cannot be written as JSON".to_owned(),
            "report this as a defect of this program",
        )),
    }
}

/// Counts what is written.
struct Size(usize);

impl Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The body of an answer, in a buffer that is wiped.
async fn read(mut response: Response, limit: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut body = Zeroizing::new(Vec::with_capacity(4096));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Err(Failure::Explained(unusable(
                format!("an answer of the OpenBao server is larger than {limit} bytes"),
                "see which document below `prefix` has grown so, and put back an earlier version of it",
            )));
        }
        if body.len() + chunk.len() > body.capacity() {
            let mut larger = Vec::with_capacity(2 * (body.len() + chunk.len()));
            larger.extend_from_slice(&body);
            body = Zeroizing::new(larger);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(body).map_err(|error| altered(path, error))
}

/// The server's own words, if this is how it says no.
fn said(body: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct No {
        errors: Vec<String>,
    }
    serde_json::from_slice::<No>(body).ok().map(|no| no.errors)
}

fn failure(status: u16, body: &[u8]) -> Failure {
    Failure::refused(status, &said(body).unwrap_or_default())
}

fn verb(request: &Request<'_>) -> &'static str {
    match request.method {
        Method::DELETE => "delete",
        Method::POST => "write",
        _ if request.query.is_some() => "list",
        _ => "read",
    }
}

/// The server complains of a check that we did not ask for.
fn unexpected(path: &str) -> StoreError {
    unavailable(
        format!("the OpenBao server answered about {path} what cannot be"),
        "see what stands between this program and the server",
    )
}
