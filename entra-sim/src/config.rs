//! What a server should serve, and how.

use std::time::Duration;

use crate::seed::Tenant;
use crate::throttle::Throttle;

/// What a server should serve, and how. The default is one without tenants, on plain HTTP.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) seed: Option<u64>,
    pub(crate) port: u16,
    #[cfg(feature = "tls")]
    pub(crate) tls: bool,
    pub(crate) throttle: Throttle,
    pub(crate) latency: Duration,
    pub(crate) settings: Settings,
}

/// The parts of the configuration that matter while serving.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) token_lifetime: Duration,
    pub(crate) page_token_lifetime: Option<Duration>,
    pub(crate) kept_records: usize,
    pub(crate) worker_threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            token_lifetime: Duration::from_secs(3600),
            page_token_lifetime: None,
            kept_records: 100_000,
            worker_threads: 2,
        }
    }
}

impl Config {
    /// Adds a tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: Tenant) -> Self {
        self.tenants.push(tenant);
        self
    }

    /// Adds many tenants.
    #[must_use]
    pub fn tenants(mut self, tenants: impl IntoIterator<Item = Tenant>) -> Self {
        self.tenants.extend(tenants);
        self
    }

    /// Makes ids, passwords and the probabilities of faults the same at every start.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Listens on this port of 127.0.0.1 instead of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Serves HTTPS with a certificate of a throw-away authority, see
    /// [`Server::ca_pem`](crate::Server::ca_pem).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Limits what every tenant lets through; without this call nothing is throttled. One tenant's own limits:
    /// [`Tenant::throttle`].
    #[must_use]
    pub fn throttle(mut self, throttle: Throttle) -> Self {
        self.throttle = throttle;
        self
    }

    /// Answers each request to Graph so much later than it could, in whole milliseconds, however many there are at once;
    /// default at once. Requests take effect before the wait.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// How long access tokens are good for; default an hour.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.token_lifetime = lifetime;
        self
    }

    /// How long next links are good for; default for ever.
    #[must_use]
    pub fn page_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.page_token_lifetime = Some(lifetime);
        self
    }

    /// How many records of requests are kept, the newest; default 100,000. Zero keeps none.
    #[must_use]
    pub fn kept_records(mut self, count: usize) -> Self {
        self.settings.kept_records = count;
        self
    }

    /// How many threads serve; default two.
    #[must_use]
    pub fn worker_threads(mut self, count: usize) -> Self {
        self.settings.worker_threads = count.max(1);
        self
    }
}
