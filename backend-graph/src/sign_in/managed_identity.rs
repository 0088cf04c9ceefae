use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Request, Transport};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use reqwest::{redirect, retry};

use crate::cause::last_cause;
use crate::error::ConfigError;
use crate::sign_in::no_token::NoToken;

/// The endpoint is on the machine or next to it; who is not there at once is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What a refusal of the endpoint means, and what to do. Microsoft documents no codes that tell more
/// (<https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling>).
pub(crate) const REFUSED: (&str, &str) = (
    "this machine has no such managed identity",
    "assign the identity to this machine, and name a user-assigned one by `client_id` in `credential`",
);

/// The identity that Azure gives a virtual machine, an App Service or a function
/// (<https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>); the
/// system-assigned one unless `client_id` names another.
pub(crate) fn credential(
    client_id: Option<&str>,
    http: &reqwest::Client,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: client_id.map(|id| UserAssignedId::ClientId(id.to_owned())),
        client_options: ClientOptions {
            transport: Some(Transport::new(Arc::new(Nearby { http: http.clone() }))),
            ..ClientOptions::default()
        },
    };
    let credential = ManagedIdentityCredential::new(Some(options))?;
    Ok(credential)
}

/// No proxy: behind one there is another machine.
pub(crate) fn http_client(timeout: Duration) -> Result<reqwest::Client, ConfigError> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never());
    builder.build().map_err(|error| ConfigError::Setup {
        part: "the HTTP client for the managed identity",
        reason: last_cause(&error),
    })
}

/// Says at once that nobody is there, which `azure_identity` would ask again and again.
#[derive(Debug)]
struct Nearby {
    http: reqwest::Client,
}

#[async_trait::async_trait]
impl HttpClient for Nearby {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let answer = self.http.execute_request(request).await;
        answer.map_err(|error| match error.kind() {
            ErrorKind::Connection => NoToken::new(
                format!(
                    "no endpoint for managed identities answers at {}: {}",
                    request.url().origin().ascii_serialization(),
                    last_cause(&error)
                ),
                "run this on a machine of Azure that has a managed identity, or configure another `credential`",
            )
            .transient()
            .into(),
            _ => error,
        })
    }
}
