//! A backend of your own, and the conformance suite that tells whether it keeps its promises.
//!
//! Run it: `cargo run -p rotation-examples --example custom_backend`
//! You will see: the suite's verdict. The backend itself is `shared/file_directory.rs`, in under 80 lines of code.

#[path = "shared/file_directory.rs"]
mod file_directory;

use async_trait::async_trait;
use file_directory::{FileDirectory, Users, hash};
use rotation_core::testkit::{BackendHarness, backend_suite};
use rotation_core::{AccountId, RotationBackend};

struct Harness(FileDirectory);

#[async_trait]
impl BackendHarness for Harness {
    fn backend(&self) -> &dyn RotationBackend {
        &self.0
    }

    fn accounts(&self) -> Vec<AccountId> {
        ["1", "2", "3"].map(AccountId::new).into()
    }

    async fn signs_in(&self, account: &AccountId, password: &str) -> bool {
        let users = self.0.read().unwrap_or_default();
        users
            .get(account.as_str())
            .is_some_and(|user| user.2 == hash(account, password))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let directory = FileDirectory(folder.path().join("directory.json"));
    let users = ["1 ada", "2 grace", "3 edsger"].map(|user| user.split_once(' ').expect("a blank"));
    let users = users.map(|(id, name)| (id.to_owned(), (name.to_owned(), None, String::new())));
    directory.write(&Users::from(users))?;

    let violations = backend_suite(&Harness(directory)).await;
    for violation in &violations {
        println!("✗ {violation}");
    }
    if !violations.is_empty() {
        return Err("the backend does not conform".into());
    }
    println!("✓ the backend keeps every promise of the suite");
    Ok(())
}
