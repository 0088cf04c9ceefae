use async_trait::async_trait;
use rotation_core::testkit::{StoreHarness, store_suite};
use rotation_core::{SecretReader, SecretStore};
use secret_stores::PostgresReader;

use crate::cluster::Cluster;
use crate::workshop::Workshop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_postgres_store_keeps_the_contract() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let shop = Workshop::new(&cluster).await;
    assert_eq!(store_suite(&shop).await, []);
}

#[async_trait]
impl StoreHarness for Workshop<'_> {
    async fn open(&self) -> Box<dyn SecretStore> {
        Box::new(self.open_with(self.nearby()).await.unwrap())
    }

    async fn reader(&self) -> Box<dyn SecretReader> {
        let reader = PostgresReader::open(self.nearby(), self.identities()).await;
        Box::new(reader.unwrap())
    }

    async fn printed(&self) -> Vec<u8> {
        let store = Self::open(self).await;
        let reader = Self::reader(self).await;
        let mut printed = format!("{store:?} {reader:?} {:?}", self.config()).into_bytes();
        printed.extend(self.cluster.log());
        printed.extend(self.cluster.dump(&self.name).into_bytes());
        printed
    }
}
