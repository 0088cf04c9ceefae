use async_trait::async_trait;
use rotation_core::testkit::{StoreHarness, store_suite};
use rotation_core::{SecretReader, SecretStore};

use crate::server::{Server, shared};
use crate::workshop::Workshop;

/// With a token of exactly the documented policy, which reads no password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openbao_store_keeps_the_contract() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    assert_eq!(store_suite(&shop).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openbao_store_keeps_the_contract_with_sealed_passwords_on_a_disk() {
    let Some(server) = Server::durable().await else {
        return;
    };
    let shop = Workshop::sealed(&server).await;
    assert_eq!(store_suite(&shop).await, []);
}

#[async_trait]
impl StoreHarness for Workshop<'_> {
    async fn open(&self) -> Box<dyn SecretStore> {
        Box::new(self.store().await)
    }

    async fn reader(&self) -> Box<dyn SecretReader> {
        Box::new(Self::reader(self).await)
    }

    async fn printed(&self) -> Vec<u8> {
        let store = self.store().await;
        let reader = Self::reader(self).await;
        let mut printed = format!("{store:?} {reader:?} {:?}", self.config()).into_bytes();
        printed.extend(self.server.log());
        if self.keys.is_some() {
            printed.extend(self.server.medium());
        }
        printed
    }
}
