//! Real servers for the stores, on this machine; `secret-stores/tests/servers/*.sh` install them.

use super::Failure;
use super::setup::Store;
use crate::{cluster, openbao, postgres, server};

/// Those that are installed; one that is missing is said aloud.
pub(crate) struct Servers {
    cluster: Option<&'static cluster::Cluster>,
    bao: Option<&'static server::Server>,
}

impl Servers {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let cluster = cluster::Cluster::shared();
        if let Some(cluster) = cluster {
            // tests want every statement in the log, and nobody else does
            let admin = cluster.admin("postgres").await;
            let quiet = "ALTER SYSTEM SET log_statement = 'none'";
            admin.batch_execute(quiet).await?;
            admin.batch_execute("SELECT pg_reload_conf()").await?;
        }
        let bao = server::shared().await;
        Ok(Self { cluster, bao })
    }

    /// A database of its own.
    pub(crate) async fn postgres(&self) -> Option<Store> {
        let shop = postgres::Workshop::new(self.cluster?).await;
        let (name, port) = (&shop.name, shop.cluster.port);
        Some(Store::Postgres {
            url: format!("postgres://{name}@127.0.0.1:{port}/{name}"),
            password: postgres::LOGIN.to_owned(),
        })
    }

    /// A mount of its own, in memory.
    pub(crate) async fn openbao(&self) -> Option<Store> {
        let shop = openbao::Workshop::new(self.bao?).await;
        Some(Store::OpenBao {
            address: shop.server.address.clone(),
            mount: shop.mount,
            token: shop.token,
        })
    }
}
