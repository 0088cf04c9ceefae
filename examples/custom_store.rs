//! A secret store of your own, and the conformance suite that tells whether it keeps its promises.
//!
//! Run it: `cargo run -p rotation-examples --example custom_store`
//! You will see: the suite's verdict. The store itself is `shared/file_store.rs`.

#[path = "shared/file_store.rs"]
mod file_store;

use std::path::PathBuf;

use age::x25519::Identity;
use async_trait::async_trait;
use file_store::{FileReader, FileStore};
use rotation_core::testkit::{StoreHarness, store_suite};
use rotation_core::{SecretReader, SecretStore};

struct Harness {
    folder: PathBuf,
    identity: Identity,
}

impl Harness {
    fn store(&self) -> FileStore {
        FileStore {
            folder: self.folder.clone(),
            recipient: self.identity.to_public(),
        }
    }
}

#[async_trait]
impl StoreHarness for Harness {
    async fn open(&self) -> Box<dyn SecretStore> {
        Box::new(self.store())
    }

    async fn reader(&self) -> Box<dyn SecretReader> {
        Box::new(FileReader {
            store: self.store(),
            identity: self.identity.clone(),
        })
    }

    async fn printed(&self) -> Vec<u8> {
        let folders = self.store().folders().unwrap_or_default();
        let files = folders
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flatten();
        let read = |file: std::fs::DirEntry| std::fs::read(file.path()).ok();
        files.flatten().filter_map(read).flatten().collect()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let violations = store_suite(&Harness {
        folder: folder.path().to_owned(),
        identity: Identity::generate(),
    })
    .await;
    for violation in &violations {
        println!("✗ {violation}");
    }
    if !violations.is_empty() {
        return Err("the store does not conform".into());
    }
    println!("✓ the store keeps every promise of the suite");
    Ok(())
}
