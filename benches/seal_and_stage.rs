//! How many passwords become durable per second? Beside it: the same calls on a store in memory, which is the ceiling.
//!
//! Run it: `cargo bench -p rotation-benches --bench seal_and_stage`

use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, counter::ItemsCount};
use rotation_core::testkit::MemoryStore;
use rotation_core::{
    AccountId, AccountKey, Clock, Forbidden, Generator, Lease, NewVersion, PasswordPolicy, RunId,
    SecretStore, SystemClock, TenantId,
};
use secret_stores::{Recipients, SqliteStore, keygen};
use tokio::runtime::Runtime;

const BATCHES: [usize; 4] = [1, 20, 100, 1000];

fn main() {
    divan::main();
}

fn versions(lease: &Lease, count: usize) -> Vec<NewVersion> {
    let generator = Generator::new(&PasswordPolicy::default()).expect("the default policy");
    let now = SystemClock.now();
    let version = |number: usize| {
        let password = generator
            .generate(&mut rand::rng(), &Forbidden::default())
            .expect("a password");
        let account = AccountId::new(&format!("00000000-0000-0000-0000-{number:012}"));
        let key = AccountKey {
            tenant: lease.tenant.clone(),
            account,
        };
        NewVersion::new(key, "ada@contoso.com", lease.run, now, Arc::new(password))
    };
    (0..count).map(version).collect()
}

fn stage(bencher: Bencher<'_, '_>, runtime: &Runtime, store: &dyn SecretStore, batch: usize) {
    let lease = Lease {
        tenant: TenantId::new("contoso"),
        run: RunId::new(),
    };
    let day = Duration::from_secs(24 * 60 * 60);
    let leased = runtime.block_on(store.lease(&lease, day));
    leased.expect("a lease");
    bencher
        .counter(ItemsCount::new(batch))
        .with_inputs(|| versions(&lease, batch))
        .bench_local_refs(|batch| {
            let staged = runtime.block_on(store.stage(batch));
            assert!(staged.iter().all(Result::is_ok), "a sound store");
        });
}

#[divan::bench(args = BATCHES)]
fn sqlite(bencher: Bencher<'_, '_>, batch: usize) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let recipients = Recipients::parse([keygen().public]).expect("a public key");
    let open = SqliteStore::open(folder.path().join("rotation.db"), &recipients);
    let store = runtime.block_on(open).expect("a store");
    stage(bencher, &runtime, &store, batch);
}

#[divan::bench(args = BATCHES)]
fn ceiling_memory(bencher: Bencher<'_, '_>, batch: usize) {
    let runtime = Runtime::new().expect("a runtime");
    stage(bencher, &runtime, &MemoryStore::new(), batch);
}
