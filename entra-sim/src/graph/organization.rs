//! The tenant itself and its domains.

use serde_json::json;

use super::permission::{DOMAINS, ORGANIZATION};
use super::{Call, GraphError};
use crate::clock::graph_time;
use crate::reply::Reply;
use crate::seed::Origin;

/// `passwordValidityPeriodInDays` of a domain whose passwords never expire.
const NEVER_EXPIRES: u32 = 2_147_483_647;

/// `GET /domains`
pub(crate) fn domains(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(DOMAINS)?;
    let domains = call.directory.domains.iter().enumerate();
    let domains = domains
        .map(|(index, (name, authentication))| {
            call.selected(
                "domain",
                json!({
                    "id": name,
                    "authenticationType": authentication.wire_name(),
                    "availabilityStatus": null,
                    "isAdminManaged": true,
                    "isDefault": index == 0,
                    "isInitial": index == 0,
                    "isRoot": true,
                    "isVerified": true,
                    "passwordNotificationWindowInDays": 14,
                    "passwordValidityPeriodInDays": call.directory.password_validity.unwrap_or(NEVER_EXPIRES),
                    "state": null,
                    "supportedServices": ["Email", "OfficeCommunicationsOnline"],
                }),
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    call.page_of("domains", domains)
}

/// `GET /organization`
pub(crate) fn organization(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(ORGANIZATION)?;
    let domains = call.directory.domains.iter().enumerate();
    let verified: Vec<_> = domains
        .map(|(index, (name, authentication))| {
            json!({
                "name": name,
                "type": authentication.wire_name(),
                "isDefault": index == 0,
                "isInitial": index == 0,
                "capabilities": "Email, OfficeCommunicationsOnline",
            })
        })
        .collect();
    let mut accounts = call.directory.accounts().iter();
    let synced = accounts.any(|account| account.origin == Origin::Synced);
    let organization = json!({
        "id": call.directory.id,
        "createdDateTime": graph_time(call.world.started),
        "displayName": call.directory.display_name,
        "onPremisesSyncEnabled": synced.then_some(true),
        "tenantType": "AAD",
        "verifiedDomains": verified,
    });
    call.page_of(
        "organization",
        [call.selected("organization", organization)?],
    )
}
