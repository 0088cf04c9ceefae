//! The contract that every backend keeps.

use async_trait::async_trait;
use backend_powershell_compat::{Dialect, PowerShellBackend};
use rotation_core::testkit::{BackendHarness, backend_suite};
use rotation_core::{AccountId, RotationBackend};

use crate::workshop::{DIALECTS, Workshop, id};

struct Harness {
    workshop: Workshop,
    backend: PowerShellBackend,
}

#[async_trait]
impl BackendHarness for Harness {
    fn backend(&self) -> &dyn RotationBackend {
        &self.backend
    }

    fn accounts(&self) -> Vec<AccountId> {
        self.workshop.ordinary().iter().take(4).map(id).collect()
    }

    async fn signs_in(&self, account: &AccountId, password: &str) -> bool {
        let id = account.as_str().parse().unwrap();
        self.workshop.tenant().current_password_is(id, password)
    }

    async fn lose_answer(&self, applied: bool) -> bool {
        let what = if applied {
            "aborts-after"
        } else {
            "dies-before"
        };
        self.workshop.fault("set", what);
        true
    }

    async fn printed(&self) -> Vec<u8> {
        let diagnosis = self.backend.diagnose().await;
        format!("{:?} {diagnosis:?}", self.backend).into_bytes()
    }
}

async fn conform(dialect: Dialect, workers: usize) {
    let workshop = Workshop::new().await;
    let config = workshop.config(dialect).with_workers(workers);
    let backend = PowerShellBackend::new(config).unwrap();
    let harness = Harness { workshop, backend };
    assert_eq!(backend_suite(&harness).await, [], "{dialect}");
    assert_eq!(harness.workshop.faults_left(), 0, "{dialect}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_every_promise_of_a_backend_in_every_dialect() {
    for dialect in DIALECTS {
        conform(dialect, 1).await;
        conform(dialect, 3).await;
    }
}
