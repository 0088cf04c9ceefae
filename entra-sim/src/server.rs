//! A running server: its own runtime, its own port, gone when dropped.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use tokio::runtime::{Builder, Runtime};

use crate::config::Config;
use crate::control;
use crate::fault::Fault;
use crate::front;
use crate::handle::TenantHandle;
use crate::record::{RequestRecord, Totals};
use crate::throttle::Throttle;
use crate::wire::{Plain, Plug, WireListener};
use crate::world::World;

/// A running simulator. Dropping it closes its port and every connection.
///
/// It serves on threads of its own, so a test may block, or pause the clock of its runtime.
#[derive(Debug)]
pub struct Server {
    world: Arc<World>,
    first: TenantHandle,
    ca_pem: Option<String>,
    /// Taken only by `drop`.
    runtime: Option<Runtime>,
}

impl Server {
    /// Starts a server on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// - The port is taken.
    /// - `InvalidInput`: there is no tenant, or a tenant contradicts itself, e.g. names a user
    ///   whom it does not create; the message says what.
    pub async fn start(config: Config) -> io::Result<Self> {
        // Seeding a million accounts takes seconds, which no runtime should stand still for.
        tokio::task::spawn_blocking(move || Self::start_blocking(config)).await?
    }

    /// The same without a runtime around.
    ///
    /// # Errors
    ///
    /// As for [`Server::start`].
    pub fn start_blocking(config: Config) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(config.settings.worker_threads)
            .thread_name("entra-sim")
            .enable_all()
            .build()?;
        let guard = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (scheme, ca_pem, listener) = listen(&config, listener)?;
        drop(guard);
        let world = Arc::new(World::build(config, format!("{scheme}://{address}"))?);
        let first = world
            .tenants()
            .first()
            .map(|directory| TenantHandle::new(Arc::clone(&world), Arc::clone(directory)))
            .ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, "a server needs a tenant")
            })?;
        let router = Router::new()
            .nest("/__control", control::router(Arc::clone(&world)))
            .fallback(any(front::serve))
            .layer(from_fn_with_state(Arc::clone(&world), front::date))
            .with_state(Arc::clone(&world));
        let service = router.into_make_service_with_connect_info::<Plug>();
        runtime.spawn(async move {
            // It only ends with the runtime.
            axum::serve(listener, service).await.ok();
        });
        Ok(Self {
            world,
            first,
            ca_pem,
            runtime: Some(runtime),
        })
    }

    /// Scheme, address and port, e.g. `http://127.0.0.1:41234`: authority and Graph in one.
    pub fn base_url(&self) -> &str {
        &self.world.base_url
    }

    /// The PEM of the authority behind the server's certificate; `None` on plain HTTP.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The bearer token of the control endpoint.
    pub fn control_token(&self) -> &str {
        &self.world.control_token
    }

    /// The first tenant.
    pub fn tenant(&self) -> TenantHandle {
        self.first.clone()
    }

    /// All tenants, in the order of the configuration.
    pub fn tenants(&self) -> Vec<TenantHandle> {
        self.world
            .tenants()
            .iter()
            .map(|directory| TenantHandle::new(Arc::clone(&self.world), Arc::clone(directory)))
            .collect()
    }

    /// Limits every tenant that has no limits of its own, with all quotas unused, from now on.
    pub fn set_throttle(&self, throttle: Throttle) {
        self.world.set_throttle(throttle);
    }

    /// Answers each request to Graph so much later than it could, see [`Config::latency`].
    pub fn set_latency(&self, latency: Duration) {
        self.world.set_latency(latency);
    }

    /// Adds a rule of misfortune, after those already there.
    pub fn add_fault(&self, fault: Fault) {
        self.world.faults.add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.world.faults.clear();
    }

    /// The newest requests in the order of completion.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.world.records.all()
    }

    /// Counts of requests since the start or the last reset.
    pub fn totals(&self) -> Totals {
        self.world.records.totals()
    }

    /// Forgets the requests and their counts.
    pub fn clear_requests(&self) {
        self.world.records.clear();
    }

    /// Lets the requests take effect that [`Effect::late`](crate::Effect::late) holds up, in the order in which they
    /// were sent; how many there were.
    pub fn release_late(&self) -> usize {
        self.world.release_late()
    }

    /// Lets time pass at once for tokens, page tokens, quotas, replication, lockouts and the `Date` of answers.
    pub fn advance(&self, time: Duration) {
        self.world.advance(time);
    }

    /// Puts accounts, faults, quotas and records back as they were at the start; requests still on their way get lost. Roles that were
    /// granted or revoked at run time, limits and latency that were set, and the clock stay.
    pub fn reset(&self) {
        self.world.reset();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Waiting for tasks would block, which the runtime of an asynchronous test forbids.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

type Listening = (&'static str, Option<String>, WireListener);

#[cfg(feature = "tls")]
fn listen(config: &Config, listener: tokio::net::TcpListener) -> io::Result<Listening> {
    if config.tls {
        let (acceptor, ca_pem) = crate::tls::acceptor()?;
        let listener = WireListener::start(listener, acceptor)?;
        return Ok(("https", Some(ca_pem), listener));
    }
    Ok(("http", None, WireListener::start(listener, Plain)?))
}

#[cfg(not(feature = "tls"))]
fn listen(_: &Config, listener: tokio::net::TcpListener) -> io::Result<Listening> {
    Ok(("http", None, WireListener::start(listener, Plain)?))
}
