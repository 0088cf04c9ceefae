use std::sync::Arc;

use async_trait::async_trait;
use backend_graph::GraphBackend;
use backend_powershell_compat::{HybridBackend, PowerShellBackend, SyncedFrom};
use rotation_core::{AccountId, BackendError, RotationBackend};

/// How a directory is reached.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// An on-premises domain.
    Domain(Arc<PowerShellBackend>),
    Graph(Arc<GraphBackend>),
    /// The accounts that are synced from an on-premises domain, there.
    Hybrid {
        graph: Arc<GraphBackend>,
        domain: Arc<PowerShellBackend>,
    },
    PowerShell(Arc<PowerShellBackend>),
}

impl Way {
    pub(super) fn backend(&self) -> Arc<dyn RotationBackend> {
        match self {
            Self::Graph(graph) => Arc::<GraphBackend>::clone(graph),
            Self::Hybrid { graph, domain } => Arc::new(HybridBackend::new(
                Arc::<GraphBackend>::clone(graph),
                Arc::<PowerShellBackend>::clone(domain),
                Arc::new(SyncedTenant(Arc::clone(graph))),
            )),
            Self::Domain(powershell) | Self::PowerShell(powershell) => {
                Arc::<PowerShellBackend>::clone(powershell)
            }
        }
    }

    /// What reaches it over Graph.
    pub(crate) fn graph(&self) -> Option<&GraphBackend> {
        match self {
            Self::Graph(graph) | Self::Hybrid { graph, .. } => Some(graph),
            Self::Domain(_) | Self::PowerShell(_) => None,
        }
    }

    /// What reaches it, or the domain that it is synced from, through PowerShell.
    pub(crate) fn powershell(&self) -> Option<&PowerShellBackend> {
        match self {
            Self::Graph(_) => None,
            Self::Hybrid { domain, .. } => Some(domain),
            Self::Domain(powershell) | Self::PowerShell(powershell) => Some(powershell),
        }
    }
}

/// A tenant that knows which accounts of a domain its own are synced from.
struct SyncedTenant(Arc<GraphBackend>);

#[async_trait]
impl SyncedFrom for SyncedTenant {
    async fn security_id(&self, account: &AccountId) -> Result<Option<String>, BackendError> {
        self.0.on_premises_security_id(account).await
    }
}
