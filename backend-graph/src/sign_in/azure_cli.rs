use std::sync::Arc;

use azure_identity::{AzureCliCredential, AzureCliCredentialOptions};
use entra_directory::Remedy;
use rotation_core::Problem;

use crate::sign_in::aadsts::TokenError;

/// How much of what the CLI says is repeated.
const LONGEST: usize = 600;

/// Asks the Azure CLI on this machine for tokens of `tenant`; it keeps none.
pub(crate) fn credential(tenant: &str) -> azure_core::Result<Arc<AzureCliCredential>> {
    AzureCliCredential::new(Some(AzureCliCredentialOptions {
        tenant_id: Some(tenant.to_owned()),
        ..AzureCliCredentialOptions::default()
    }))
}

/// What the CLI says is written for people, and says best what to do. It goes to standard error, where it never puts a
/// token.
pub(crate) fn explain(error: &azure_core::Error, place: &str) -> TokenError {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    let said = deepest.to_string();
    let visible: String = said
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect();
    let message = format!("{place} through the Azure CLI failed: {}", visible.trim());
    TokenError {
        problem: Problem::new(message).with_fix(
            "install the Azure CLI 2.54 or later, and sign in with `az login --tenant` and the tenant's name",
        ),
        remedy: Remedy::Action,
    }
}
