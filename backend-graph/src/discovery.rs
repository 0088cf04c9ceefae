use entra_directory::Remedy;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use rotation_core::{BackendError, Problem, TenantId};
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::cause::last_cause;
use crate::client::Client;
use crate::date::date;
use crate::reads::PAUSES;
use crate::sign_in::aadsts::{self, ErrorBody};
use crate::sign_in::secret_body;

/// There is no such tenant (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>).
const NO_TENANT: u32 = 90_002;

/// The document that anybody may read of the tenant whose tokens are given out at a URL
/// (<https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc>).
pub(crate) struct Discovered {
    status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
struct Document {
    /// Ends in the tenant's GUID and `/v2.0`.
    issuer: Url,
}

impl Discovered {
    /// Asks once.
    pub(crate) async fn read(client: &Client, token_url: &Url) -> Result<Self, String> {
        let mut url = token_url.clone();
        let tenant = token_url.path_segments().and_then(|mut path| path.next());
        if let (Some(tenant), Ok(mut path)) = (tenant, url.path_segments_mut()) {
            let document = [tenant, "v2.0", ".well-known", "openid-configuration"];
            path.clear().extend(document);
        }
        let cause = |error: reqwest::Error| last_cause(&error.without_url());
        let response = client.http.get(url).send().await.map_err(cause)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = secret_body::read(response).await.map_err(cause)?;
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    /// The tenant's GUID; `None` if there is no such tenant.
    fn tenant(&self) -> Result<Option<TenantId>, aadsts::TokenError> {
        const PLACE: &str = "asking for the tenant's GUID";
        if self.status != StatusCode::OK {
            let body: ErrorBody = serde_json::from_slice(&self.body).unwrap_or_default();
            return if body.error_codes.contains(&NO_TENANT) {
                Ok(None)
            } else {
                Err(aadsts::refused(PLACE, self.status.as_u16(), &body, None))
            };
        }
        let document: Option<Document> = serde_json::from_slice(&self.body).ok();
        let issuer = document.map(|document| document.issuer);
        let id = issuer.as_ref().and_then(|issuer| {
            let first = issuer.path_segments()?.next()?;
            first.parse::<Uuid>().ok()
        });
        match id {
            Some(id) => Ok(Some(TenantId::new(&id.to_string()))),
            None => Err(aadsts::TokenError {
                problem: aadsts::nonsense(PLACE),
                remedy: Remedy::Action,
            }),
        }
    }
}

/// The GUID of the tenant whose tokens are given out at `token_url`; `None` if there is no such tenant. Repeated while the
/// authority is busy or out of reach.
pub(crate) async fn tenant_id(
    client: &Client,
    token_url: &Url,
) -> Result<Option<TenantId>, BackendError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let found = match Discovered::read(client, token_url).await {
            Ok(found) => found.tenant(),
            Err(cause) => Err(aadsts::TokenError {
                problem: Problem::new(format!("the authority is out of reach: {cause}"))
                    .with_fix(aadsts::REACH),
                remedy: Remedy::Time,
            }),
        };
        match (found, pauses.next()) {
            (Err(error), Some(pause)) if error.remedy == Remedy::Time => {
                tokio::time::sleep(pause).await;
            }
            (found, _) => return Ok(found?),
        }
    }
}

/// The time by the clock of the authority that gives out tokens at `token_url`.
pub(crate) async fn at_authority(client: &Client, token_url: &Url) -> Option<Timestamp> {
    let found = Discovered::read(client, token_url).await.ok()?;
    date(&found.headers)
}
