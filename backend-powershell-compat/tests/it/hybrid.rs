//! Synced accounts, set in a domain whose rules the tenant's roles say nothing of.

use std::sync::Arc;

use async_trait::async_trait;
use backend_powershell_compat::{Dialect, HybridBackend, SyncedFrom};
use entra_sim::{App, Tenant, User};
use rotation_core::{
    AccountId, AccountKind, BackendError, Outcome, RefusalReason, RotationBackend,
};
use serde_json::json;

use crate::workshop::{PASSWORD, SECRET, Workshop, request, security_id, told};

/// Everybody is synced from the account with this security id.
struct From(String);

#[async_trait]
impl SyncedFrom for From {
    async fn security_id(&self, _: &AccountId) -> Result<Option<String>, BackendError> {
        Ok(Some(self.0.clone()))
    }
}

const ADMINS: &str = "S-1-5-21-1-2-3-512";
const OPERATORS: &str = "S-1-5-32-548";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_domain_protects_is_refused_whatever_the_tenant_says() {
    let name = "staff@contoso.onmicrosoft.com";
    let tenant = Tenant::demo(0).first_app(App::rotation().secret(SECRET));
    let workshop = Workshop::serve(tenant.user(User::new(name).synced())).await;
    let user = workshop.tenant().user(name).unwrap();
    let sid = security_id(user.id);
    let krbtgt = "S-1-5-21-1-2-3-502".to_owned();
    for (what, from, settings, expected) in [
        (
            "an ordinary account",
            &sid,
            json!({"groups": [OPERATORS]}),
            "applied",
        ),
        (
            "a protected account",
            &sid,
            json!({"groups": [OPERATORS], "protected": [&sid]}),
            "refused",
        ),
        (
            "a protected account, by an administrator",
            &sid,
            json!({"groups": [ADMINS], "protected": [&sid]}),
            "applied",
        ),
        (
            "the caller's own account",
            &sid,
            json!({"groups": [ADMINS], "own": [&sid]}),
            "refused",
        ),
        ("krbtgt", &krbtgt, json!({"groups": [ADMINS]}), "refused"),
    ] {
        workshop.set(&settings);
        let hybrid = HybridBackend::new(
            Arc::new(workshop.backend(Dialect::MicrosoftGraph)),
            Arc::new(workshop.backend(Dialect::ActiveDirectory)),
            Arc::new(From(from.clone())),
        );
        let mut request = request(&user, PASSWORD);
        request.kind = AccountKind::Synced;
        let outcome = hybrid.set_password(&request).await;
        assert_eq!(told(&outcome), expected, "{what}: {outcome:?}");
        if let Outcome::Refused(refusal) = outcome {
            assert_eq!(refusal.reason, RefusalReason::NotAllowed, "{what}");
            let fix = refusal.problem.fix.unwrap();
            assert!(fix.contains("leave it out"), "{what}: {fix}");
        }
    }
}
