use async_trait::async_trait;
use rotation_core::testkit::{StoreHarness, store_suite};
use rotation_core::{SecretReader, SecretStore};
use secret_stores::ExecReader;

use crate::workshop::Workshop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exec_store_keeps_the_contract() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    assert_eq!(store_suite(&workshop).await, []);
}

#[async_trait]
impl StoreHarness for Workshop {
    async fn open(&self) -> Box<dyn SecretStore> {
        Box::new(self.store().await)
    }

    async fn reader(&self) -> Box<dyn SecretReader> {
        // So that there is a ledger.
        drop(self.store().await);
        Box::new(ExecReader::open(self.keep()).await.unwrap())
    }

    async fn printed(&self) -> Vec<u8> {
        let store = self.store().await;
        let reader = ExecReader::open(self.keep()).await.unwrap();
        let mut printed = format!("{store:?} {reader:?}").into_bytes();
        // What the program keeps is its own affair; what we keep holds no password, sealed or not.
        for entry in std::fs::read_dir(self.directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                printed.extend(std::fs::read(path).unwrap());
            }
        }
        printed
    }
}
