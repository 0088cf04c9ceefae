use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use entra_directory::{Need, Pages};
use rotation_core::{BackendError, RoleId, TenantId};
use serde::Deserialize;
use uuid::Uuid;

use crate::client::Client;
use crate::quote::quotable;
use crate::relationship::{self, Delegating, READ_RELATIONSHIPS, Relationship};

const READ_CONTRACTS: Need = Need {
    to: "list the partner's contracts with customers",
    permission: "Directory.Read.All",
    pim: false,
};

/// Which of the lists that a partner's tenant has of its customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CustomersFrom {
    /// The contracts, for an app that is consented in each customer's tenant
    /// (<https://learn.microsoft.com/graph/api/contract-list>). Needs `Directory.Read.All`.
    Contracts,
    /// The granular delegated admin privileges, for a person of the partner
    /// (<https://learn.microsoft.com/graph/api/tenantrelationship-list-delegatedadmincustomers>). Needs the delegated
    /// permission `DelegatedAdminRelationship.Read.All`, and `GroupMember.Read.All` to know which of the groups that they
    /// are given to the person is in.
    Gdap,
}

/// A customer of the partner whose tenant was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Customer {
    /// The customer's tenant.
    pub id: TenantId,
    /// The default domain when the contract was made, which may be another's by now; none from relationships.
    pub domain: Option<String>,
    /// The name of the organisation, without control characters.
    pub display_name: String,
    /// What there is and was by way of [`CustomersFrom::Gdap`]. If none is [active](Relationship::active), the partner's
    /// people cannot get in.
    pub relationships: Vec<Relationship>,
}

impl CustomersFrom {
    /// The least permission that Microsoft documents for reading the list.
    #[must_use]
    pub fn permission(self) -> &'static str {
        match self {
            Self::Contracts => READ_CONTRACTS.permission,
            Self::Gdap => READ_RELATIONSHIPS.permission,
        }
    }
}

impl Customer {
    /// The roles that whoever signed in has by all relationships in force.
    #[must_use]
    pub fn roles(&self) -> BTreeSet<RoleId> {
        let active = self.relationships.iter().filter(|one| one.active);
        active.flat_map(|one| &one.roles).copied().collect()
    }

    /// Whether there were relationships and none is left in force.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !self.relationships.is_empty() && self.relationships.iter().all(|one| !one.active)
    }
}

/// <https://learn.microsoft.com/graph/api/resources/contract>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contract {
    customer_id: Uuid,
    default_domain_name: Option<String>,
    display_name: Option<String>,
}

/// The customers of the tenant, each once, in the order of the list; those whose relationships all ended come last.
pub(crate) async fn read(
    client: &Arc<Client>,
    from: CustomersFrom,
) -> Result<Vec<Customer>, BackendError> {
    match from {
        CustomersFrom::Contracts => contracts(client).await,
        CustomersFrom::Gdap => delegating(client).await,
    }
}

async fn contracts(client: &Arc<Client>) -> Result<Vec<Customer>, BackendError> {
    let query = "$select=customerId,defaultDomainName,displayName&$top=999";
    let first = client.graph.url(&["contracts"], query);
    let pages = Pages::<_, Contract>::new(Arc::clone(client), first, &READ_CONTRACTS);
    // there may be several kinds of contract with one customer
    let mut seen = HashSet::new();
    let contracts = pages.all().await?.into_iter();
    let contracts = contracts.filter(|contract| seen.insert(contract.customer_id));
    let customers = contracts.map(|contract| Customer {
        id: tenant(contract.customer_id),
        domain: contract.default_domain_name.filter(|name| is_domain(name)),
        display_name: quotable(&contract.display_name.unwrap_or_default()),
        relationships: Vec::new(),
    });
    Ok(customers.collect())
}

async fn delegating(client: &Arc<Client>) -> Result<Vec<Customer>, BackendError> {
    let path = ["tenantRelationships", "delegatedAdminCustomers"];
    let first = client.graph.url(&path, "$top=300");
    let pages = Pages::<_, Delegating>::new(Arc::clone(client), first, &READ_RELATIONSHIPS);
    let listed = async { Ok(pages.all().await?) };
    let (listed, mut of_customer) = futures::try_join!(listed, relationship::by_customer(client))?;
    let mut customers = Vec::new();
    for one in listed {
        let (_, relationships) = of_customer.remove(&one.tenant_id).unwrap_or_default();
        customers.push(customer(one, relationships));
    }
    // a customer is not listed any more once nothing is in force
    let ended = of_customer
        .into_values()
        .filter_map(|(one, relationships)| Some(customer(one?, relationships)));
    customers.extend(ended.filter(Customer::has_ended));
    Ok(customers)
}

fn customer(one: Delegating, relationships: Vec<Relationship>) -> Customer {
    Customer {
        id: tenant(one.tenant_id),
        domain: None,
        display_name: quotable(&one.display_name.unwrap_or_default()),
        relationships,
    }
}

fn tenant(id: Uuid) -> TenantId {
    TenantId::new(&id.to_string())
}

fn is_domain(name: &str) -> bool {
    let in_domain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    name.contains('.') && name.chars().all(in_domain)
}
