use std::sync::Arc;

use async_trait::async_trait;
use rotation_core::testkit::{MemoryStore, StoreHarness, store_suite};
use rotation_core::{SecretReader, SecretStore};
use secret_stores::{MirrorCopy, MirrorStore};

struct Harness {
    primary: MemoryStore,
    copy: MemoryStore,
}

#[tokio::test(start_paused = true)]
async fn a_mirror_keeps_the_contract_of_its_primary() {
    let harness = Harness {
        primary: MemoryStore::new(),
        copy: MemoryStore::new(),
    };
    assert_eq!(store_suite(&harness).await, []);
}

#[async_trait]
impl StoreHarness for Harness {
    async fn open(&self) -> Box<dyn SecretStore> {
        let copy = MirrorCopy::new("copy", Arc::new(self.copy.clone()));
        let primary = Arc::new(self.primary.clone());
        Box::new(MirrorStore::new(primary, vec![copy]))
    }

    async fn reader(&self) -> Box<dyn SecretReader> {
        Box::new(self.primary.clone())
    }

    async fn printed(&self) -> Vec<u8> {
        let copy = MirrorCopy::new("copy", Arc::new(self.copy.clone()));
        let store = MirrorStore::new(Arc::new(self.primary.clone()), vec![copy.clone()]);
        format!("{store:?} {copy:?}").into_bytes()
    }
}
