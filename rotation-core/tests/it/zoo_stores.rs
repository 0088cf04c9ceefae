//! The store suite acquits a sound store, and convicts each broken one of what is broken.

use async_trait::async_trait;
use rotation_core::testkit::{MemoryStore, StoreHarness, store_suite};
use rotation_core::{SecretReader, SecretStore};

struct Sound(MemoryStore);

#[async_trait]
impl StoreHarness for Sound {
    async fn open(&self) -> Box<dyn SecretStore> {
        Box::new(self.0.clone())
    }

    async fn reader(&self) -> Box<dyn SecretReader> {
        Box::new(self.0.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_sound_store_is_acquitted() {
    assert_eq!(store_suite(&Sound(MemoryStore::new())).await, []);
}
