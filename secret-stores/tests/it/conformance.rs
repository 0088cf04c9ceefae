use async_trait::async_trait;
use rotation_core::testkit::{MemoryStore, StoreHarness, store_suite};
use rotation_core::{SecretReader, SecretStore};

use crate::workshop::{Workshop, contents};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sqlite_store_keeps_the_contract() {
    assert_eq!(store_suite(&Workshop::new()).await, []);
}

#[tokio::test]
async fn the_memory_store_keeps_the_contract() {
    assert_eq!(store_suite(&Memory(MemoryStore::new())).await, []);
}

#[async_trait]
impl StoreHarness for Workshop {
    async fn open(&self) -> Box<dyn SecretStore> {
        Box::new(Self::open(self).await)
    }

    async fn reader(&self) -> Box<dyn SecretReader> {
        Box::new(Self::reader(self).await)
    }

    async fn printed(&self) -> Vec<u8> {
        let store = Self::open(self).await;
        let reader = Self::reader(self).await;
        let mut printed = format!("{store:?} {reader:?}").into_bytes();
        for (_, bytes) in contents(self.directory.path()) {
            printed.extend(bytes);
        }
        printed
    }
}

struct Memory(MemoryStore);

#[async_trait]
impl StoreHarness for Memory {
    async fn open(&self) -> Box<dyn SecretStore> {
        Box::new(self.0.clone())
    }

    async fn reader(&self) -> Box<dyn SecretReader> {
        Box::new(self.0.clone())
    }

    async fn printed(&self) -> Vec<u8> {
        format!("{:?} {:?}", self.0, self.0.calls()).into_bytes()
    }
}
