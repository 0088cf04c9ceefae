use std::collections::HashSet;
use std::sync::Arc;

use rotation_core::BackendError;
use serde::Deserialize;

use crate::need::READ_DOMAINS;
use crate::page::Pages;
use crate::reader::GraphReader;

/// What a domain whose passwords never expire says; it may also say nothing.
const NEVER: i64 = 2_147_483_647;

/// A domain of a tenant whose passwords expire
/// (<https://learn.microsoft.com/graph/api/resources/domain>).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PasswordExpiry {
    /// The domain.
    pub domain: String,
    /// After how many days a password that was not changed no longer signs in, unless the account says otherwise.
    pub days: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Domain {
    id: String,
    authentication_type: String,
    password_validity_period_in_days: Option<i64>,
}

impl Domain {
    fn is_federated(&self) -> bool {
        self.authentication_type.eq_ignore_ascii_case("federated")
    }
}

/// The domains whose passwords live at another identity provider.
pub(crate) async fn federated<G: GraphReader>(
    graph: &Arc<G>,
) -> Result<HashSet<String>, BackendError> {
    let domains = read(graph, "id,authenticationType").await?;
    let federated = domains.into_iter().filter(Domain::is_federated);
    Ok(federated
        .map(|domain| domain.id.to_ascii_lowercase())
        .collect())
}

/// The domains whose passwords live in the tenant and expire.
///
/// # Errors
/// [`BackendError`] if they cannot be read, for which Domain.Read.All is needed.
pub async fn password_expiry<G: GraphReader>(
    graph: &Arc<G>,
) -> Result<Vec<PasswordExpiry>, BackendError> {
    let domains = read(graph, "id,authenticationType,passwordValidityPeriodInDays").await?;
    let own = domains.into_iter().filter(|domain| !domain.is_federated());
    let expiring = own.filter_map(|domain| {
        let days = domain
            .password_validity_period_in_days
            .filter(|days| *days < NEVER)?;
        Some(PasswordExpiry {
            domain: domain.id,
            days: u32::try_from(days).ok()?,
        })
    });
    Ok(expiring.collect())
}

/// <https://learn.microsoft.com/graph/api/domain-list>
async fn read<G: GraphReader>(
    graph: &Arc<G>,
    properties: &str,
) -> Result<Vec<Domain>, BackendError> {
    let path = format!("domains?$select={properties}");
    Ok(Pages::at(graph, &path, &READ_DOMAINS).all().await?)
}
