//! No password and no credential is to be found anywhere but on the standard input of a worker.

use std::io;
use std::sync::{Arc, Mutex};

use futures::TryStreamExt;
use rotation_core::{AccountQuery, RotationBackend};

use crate::workshop::{DIALECTS, PASSWORD, SECRET, Workshop, request};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every way in which a worker may repeat what it was told.
const FAULTS: [&str; 6] = [
    "betrays",
    "betrays-in-error",
    "hangs-after",
    "prose",
    "half-a-line",
    "dies-after",
];

#[tokio::test]
async fn nothing_secret_is_in_arguments_environment_diagnostics_errors_or_logs() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // The runtime of this test has one thread, so this catches what its tasks log too.
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut said = String::new();
    let mut processes = 0;
    for dialect in DIALECTS {
        let workshop = Workshop::new().await;
        let backend = workshop.backend(dialect);
        workshop.fault("start", "banner");
        said += &format!("{backend:?}{:?}", backend.diagnose().await);
        for fault in FAULTS {
            workshop.fault("set", fault);
            said += &format!("{:?}", workshop.set_password(&backend).await);
            said += &format!("{:?}", workshop.set_password(&backend).await);
            said += &format!("{:?}", backend.diagnose().await);
        }
        said += &format!(
            "{:?}",
            backend
                .set_password(&request(&workshop.first(), "short"))
                .await
        );
        said += &format!("{:?}", backend.caller().await);
        let accounts: Result<Vec<_>, _> = backend.accounts(AccountQuery::All).try_collect().await;
        said += &format!("{accounts:?}{backend:?}");
        for witness in workshop.processes() {
            said += &std::fs::read_to_string(witness).unwrap();
            processes += 1;
        }
        assert_eq!(workshop.faults_left(), 0);
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("Welcome to this computer!"),
        "nothing was logged: {logged}"
    );
    assert!(processes > DIALECTS.len());
    assert!(
        said.contains("-NonInteractive") && said.contains("PATH"),
        "no process was seen"
    );
    assert!(said.contains("withheld"), "nothing was withheld");
    for (place, text) in [("what was said", &said), ("the log", &logged)] {
        for secret in [PASSWORD, "Tr0ub4dor", "VHIwdWI0ZG9y", "dor&3-", SECRET] {
            assert!(!text.contains(secret), "{place} holds {secret}");
        }
    }
}
