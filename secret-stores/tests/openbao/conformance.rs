use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use rotation_core::testkit::{StoreHarness, store_suite};
use rotation_core::{SecretReader, SecretStore, Select};

use crate::server::{Server, shared};
use crate::workshop::{Workshop, account};

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

/// A stream asks ahead; what it asked for must not stand in the way of others while nobody reads on.
#[tokio::test]
async fn a_stream_that_nobody_reads_on_keeps_no_call_waiting() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let store = shop.leased().await;
    let batch = || -> Vec<_> {
        let version = |_| shop.version(&account(), "hunter2-hunter2");
        (0..50).map(version).collect()
    };
    for answer in store.stage(&batch()).await {
        answer.unwrap();
    }
    let mut streams: Vec<_> = (0..8).map(|_| store.versions(Select::All)).collect();
    for stream in &mut streams {
        stream.next().await.unwrap().unwrap();
    }
    for answer in store.stage(&batch()).await {
        answer.unwrap();
    }
    for stream in streams {
        assert!(stream.try_collect::<Vec<_>>().await.unwrap().len() >= 49);
    }
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
