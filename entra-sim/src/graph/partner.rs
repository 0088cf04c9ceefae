//! What a partner's tenant knows of its customers.

use std::sync::Arc;

use serde_json::{Value, json};

use super::filter::Filter;
use super::permission::RELATIONSHIPS;
use super::{Call, GraphError};
use crate::clock::graph_time;
use crate::directory::{Directory, Relationship};
use crate::reply::Reply;

/// The longest page of these collections.
const LONGEST_PAGE: usize = 300;

/// `GET /contracts`: <https://learn.microsoft.com/graph/api/contract-list>
pub(crate) fn contracts(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require_contract_reader()?;
    let customers = call.directory.customers.iter();
    let contracts = customers
        .filter_map(|domain| call.world.tenant(domain))
        .map(|customer| {
            let contract = json!({
                "id": format!("{}-{}", call.directory.id.simple(), customer.id.simple()),
                "deletedDateTime": null,
                "contractType": "ResellerPartner",
                "customerId": customer.id,
                "defaultDomainName": customer.default_domain(),
                "displayName": customer.display_name,
            });
            call.selected("contract", contract)
        })
        .collect::<Result<Vec<_>, _>>()?;
    call.page_of("contracts", contracts)
}

/// `GET /tenantRelationships/delegatedAdminCustomers`: who has a relationship that is active
/// (<https://learn.microsoft.com/graph/api/resources/delegatedadmincustomer>).
pub(crate) fn customers(call: &Call<'_>) -> Result<Reply, GraphError> {
    require_reader(call)?;
    let now = call.world.clock.now();
    let relationships = call.directory.relationships.iter();
    let mut customers: Vec<_> = relationships
        .filter(|one| one.is_active(now))
        .filter_map(|one| call.world.tenant(&one.customer))
        .collect();
    customers.sort_by_key(|customer| customer.id);
    customers.dedup_by_key(|customer| customer.id);
    let customers = customers
        .into_iter()
        .map(|customer| {
            let shown = json!({
                "id": customer.id,
                "tenantId": customer.id,
                "displayName": customer.display_name,
            });
            call.selected("delegatedAdminCustomer", shown)
        })
        .collect::<Result<Vec<_>, _>>()?;
    call.page_of("tenantRelationships/delegatedAdminCustomers", customers)
}

/// `GET /tenantRelationships/delegatedAdminRelationships`:
/// <https://learn.microsoft.com/graph/api/tenantrelationship-list-delegatedadminrelationships>
pub(crate) fn relationships(call: &Call<'_>) -> Result<Reply, GraphError> {
    require_reader(call)?;
    let filter = match call.query.filter.as_deref() {
        Some(text) => Filter::parse(text, &["status"])?,
        None => Filter::default(),
    };
    let relationships = call.directory.relationships.iter();
    let relationships = relationships
        .filter_map(|one| Some((one, call.world.tenant(&one.customer)?)))
        .map(|(one, customer)| relationship(call, one, customer))
        .filter(|shown| filter.accepts(|name| shown.get(name).cloned().unwrap_or_default()))
        .map(|shown| call.selected("delegatedAdminRelationship", shown))
        .collect::<Result<Vec<_>, _>>()?;
    call.page_of(
        "tenantRelationships/delegatedAdminRelationships",
        relationships,
    )
}

/// `GET /tenantRelationships/delegatedAdminRelationships/{id}/accessAssignments`:
/// <https://learn.microsoft.com/graph/api/delegatedadminrelationship-list-accessassignments>
pub(crate) fn access_assignments(call: &Call<'_>) -> Result<Reply, GraphError> {
    require_reader(call)?;
    let key = call.route.key.as_ref();
    let mut relationships = call.directory.relationships.iter();
    let one = relationships
        .find(|one| one.id == key)
        .ok_or_else(|| GraphError::not_found(key))?;
    let active = one.is_active(call.world.clock.now());
    let assignment = json!({
        "id": one.group,
        "status": if active { "active" } else { "deleted" },
        "createdDateTime": graph_time(one.since),
        "lastModifiedDateTime": graph_time(one.since),
        "accessContainer": {
            "accessContainerId": one.group,
            "accessContainerType": "securityGroup",
        },
        "accessDetails": roles(one),
    });
    let assignment = call.selected("delegatedAdminAccessAssignment", assignment)?;
    call.page_of("accessAssignments", [assignment])
}

fn require_reader(call: &Call<'_>) -> Result<(), GraphError> {
    call.require(RELATIONSHIPS)?;
    let allowed = !call.caller.app_only || call.directory.switches.app_only_reads_relationships;
    if !allowed {
        return Err(GraphError::denied());
    }
    let page = call.query.page_size()?;
    if page > LONGEST_PAGE {
        return Err(GraphError::bad_request(format!(
            "The limit of '{LONGEST_PAGE}' for Top query has been exceeded. The value from the incoming request is '{page}'."
        )));
    }
    Ok(())
}

fn roles(one: &Relationship) -> Value {
    let roles = one.roles.iter();
    let roles: Vec<_> = roles
        .map(|role| json!({"roleDefinitionId": role}))
        .collect();
    json!({"unifiedRoles": roles})
}

fn relationship(call: &Call<'_>, one: &Relationship, customer: &Arc<Directory>) -> Value {
    let now = call.world.clock.now();
    json!({
        "id": one.id,
        "displayName": format!("{} administered", customer.display_name),
        "duration": "P730D",
        "autoExtendDuration": if one.extends { "P180D" } else { "PT0S" },
        "status": if one.is_active(now) { "active" } else { "expired" },
        "createdDateTime": graph_time(one.since),
        "activatedDateTime": graph_time(one.since),
        "lastModifiedDateTime": graph_time(one.since),
        "endDateTime": graph_time(one.ends(now)),
        "customer": {"tenantId": customer.id, "displayName": customer.display_name},
        "accessDetails": roles(one),
    })
}
