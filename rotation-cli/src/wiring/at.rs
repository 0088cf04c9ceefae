use crate::config::{Config, ConfigError, Step};

/// A place in the configuration: a tenant's, or that of whoever sets tenants up.
pub(super) struct At<'a> {
    pub(super) config: &'a Config,
    pub(super) place: Vec<Step<'static>>,
}

impl<'a> At<'a> {
    pub(super) fn tenant(config: &'a Config, index: usize) -> Self {
        let place = vec![Step::Key("tenant"), Step::Index(index)];
        Self { config, place }
    }

    pub(super) fn setup(config: &'a Config) -> Self {
        let place = vec![Step::Key("setup")];
        Self { config, place }
    }

    pub(super) fn steps<'k>(&self, keys: &[&'k str]) -> Vec<Step<'k>> {
        let keys = keys.iter().copied().map(Step::Key);
        self.place.iter().copied().chain(keys).collect()
    }

    pub(super) fn error(&self, keys: &[&str], message: impl Into<String>) -> ConfigError {
        self.config.document().error(&self.steps(keys), message)
    }

    pub(super) fn without_client_id(&self, tenant: &str) -> ConfigError {
        let message = format!("tenant {tenant} has no `client_id`");
        self.error(&[], message)
            .with_help("add the GUID that the portal calls Application (client) ID")
    }

    /// A mistake that the backend found, at the key that holds what it names.
    pub(super) fn refused(&self, error: &backend_graph::ConfigError) -> ConfigError {
        let field = match error {
            backend_graph::ConfigError::Field {
                field: "tenant", ..
            } => "id",
            backend_graph::ConfigError::Field { field, .. } => field,
            _ => "",
        };
        let keys: Vec<_> = field.split('.').filter(|key| !key.is_empty()).collect();
        self.error(&keys, error.to_string())
    }
}
