//! Everything that one server knows.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::clock::{Clock, Dates};
use crate::config::{Config, Settings};
use crate::directory::{Directory, ServicePrincipal};
use crate::fault::Faults;
use crate::graph::Callers;
use crate::jwt::Signer;
use crate::late::LateRequests;
use crate::record::Records;
use crate::rng::Rng;
use crate::throttle::{Throttle, Throttles};
use crate::token::Devices;

/// An app where it is registered, which stays whatever becomes of its service principals.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The tenant.
    pub(crate) home: Uuid,
    pub(crate) app: Arc<ServicePrincipal>,
}

/// The state behind one server.
#[derive(Debug)]
pub(crate) struct World {
    /// Scheme and authority, without a slash at the end.
    pub(crate) base_url: String,
    pub(crate) clock: Clock,
    pub(crate) started: Timestamp,
    pub(crate) signer: Signer,
    pub(crate) settings: Settings,
    pub(crate) control_token: String,
    pub(crate) faults: Faults,
    pub(crate) late: LateRequests,
    pub(crate) records: Records,
    pub(crate) throttles: Throttles,
    pub(crate) callers: Callers,
    pub(crate) dates: Dates,
    pub(crate) devices: Devices,
    tenants: Vec<Arc<Directory>>,
    by_id: HashMap<Uuid, usize>,
    by_domain: HashMap<String, usize>,
    registrations: HashMap<Uuid, Registration>,
    latency_ms: AtomicU64,
    requests: AtomicU64,
    request_space: u64,
}

impl World {
    pub(crate) fn build(config: Config, base_url: String) -> io::Result<Self> {
        let clock = Clock::default();
        let seed = config.seed.unwrap_or_else(Rng::fresh_seed);
        let started = clock.now();
        let throttles = Throttles::new(config.throttle, started);
        let (mut by_id, mut by_domain) = (HashMap::new(), HashMap::new());
        let mut tenants: Vec<Arc<Directory>> = Vec::with_capacity(config.tenants.len());
        let mut registrations = HashMap::new();
        for (index, mut tenant) in config.tenants.into_iter().enumerate() {
            let throttle = tenant.throttle.take();
            let directory = Directory::build(tenant, seed, started)?;
            throttles.set_users(directory.id, directory.accounts().len());
            throttles.set_tenant(directory.id, throttle);
            let twice = by_id.insert(directory.id, index).is_some();
            let domains = directory
                .domains
                .iter()
                .map(|(name, _)| name.to_lowercase());
            let taken: Vec<String> = domains
                .filter(|name| by_domain.insert(name.clone(), index).is_some())
                .collect();
            if twice || !taken.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!(
                        "tenant {} or its domains {taken:?} exist twice",
                        directory.id
                    ),
                ));
            }
            for app in directory.service_principals() {
                // An app that is in many tenants is registered in the first.
                let home = directory.id;
                let client_id = app.client_id;
                registrations
                    .entry(client_id)
                    .or_insert(Registration { home, app });
            }
            tenants.push(Arc::new(directory));
        }
        let mut customers = tenants.iter().flat_map(|tenant| {
            let related = tenant.relationships.iter().map(|one| &one.customer);
            tenant.customers.iter().chain(related)
        });
        if let Some(unknown) = customers.find(|name| !by_domain.contains_key(&name.to_lowercase()))
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the customer {unknown:?} of a partner is no tenant"),
            ));
        }
        let world = Self {
            base_url,
            started,
            clock,
            signer: Signer::new()?,
            control_token: Uuid::new_v4().simple().to_string(),
            faults: Faults::new(seed),
            late: LateRequests::default(),
            records: Records::new(config.settings.kept_records),
            throttles,
            callers: Callers::default(),
            dates: Dates::default(),
            devices: Devices::default(),
            settings: config.settings,
            tenants,
            by_id,
            by_domain,
            registrations,
            latency_ms: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            request_space: Rng::fresh_seed(),
        };
        world.set_latency(config.latency);
        Ok(world)
    }

    pub(crate) fn tenants(&self) -> &[Arc<Directory>] {
        &self.tenants
    }

    /// The tenant with this id or verified domain.
    pub(crate) fn tenant(&self, name: &str) -> Option<&Arc<Directory>> {
        match Uuid::try_parse(name) {
            Ok(id) => self.tenant_by_id(id),
            Err(_) => self.tenants.get(*self.by_domain.get(&name.to_lowercase())?),
        }
    }

    pub(crate) fn tenant_by_id(&self, id: Uuid) -> Option<&Arc<Directory>> {
        self.tenants.get(*self.by_id.get(&id)?)
    }

    /// How much later than it could Graph answers.
    pub(crate) fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        let ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        self.latency_ms.store(ms, Ordering::Relaxed);
    }

    /// Lets time pass, and ends what ends in it.
    pub(crate) fn advance(&self, time: Duration) {
        self.clock.advance(time);
        let now = self.clock.now();
        self.tenants.iter().for_each(|tenant| tenant.expire(now));
    }

    /// The app with this client id, wherever it is registered.
    pub(crate) fn registration(&self, client_id: Uuid) -> Option<&Registration> {
        self.registrations.get(&client_id)
    }

    /// Limits every tenant that has no limits of its own.
    pub(crate) fn set_throttle(&self, throttle: Throttle) {
        self.throttles.set(throttle, self.clock.now());
    }

    /// Puts accounts, faults, quotas and records back as they were at the start.
    pub(crate) fn reset(&self) {
        for account in self.tenants.iter().flat_map(|tenant| tenant.accounts()) {
            account.reset();
        }
        self.faults.clear();
        self.late.take_all();
        self.throttles.reset(self.clock.now());
        self.records.clear();
    }

    /// Lets every request arrive that is still on its way; how many there were.
    pub(crate) fn release_late(&self) -> usize {
        let late = self.late.take_all();
        let count = late.len();
        late.into_iter().for_each(|late| late.arrive(self));
        count
    }

    /// A new request id. Counted, as real randomness would be a system call per request.
    pub(crate) fn request_id(&self) -> Uuid {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u64_pair(self.request_space, Rng::new(count).next())
    }
}
