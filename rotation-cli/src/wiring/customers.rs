//! Which tenants there are: those of the configuration, and the customers of those that are partners'.

use std::collections::HashSet;
use std::pin::pin;

use backend_graph::{Customer, GraphBackend};
use futures::StreamExt;
use rotation_core::{BackendError, Problem};
use uuid::Uuid;

use super::candidate::Candidate;
use super::workshop::Workshop;
use crate::concurrent::in_order;
use crate::config::Config;
use crate::exit::Failure;

/// The tenants of the configuration, in its order, without partners that are none to work in.
pub(super) fn configured(config: &Config) -> Vec<Candidate<'_>> {
    let all = config.tenants.iter().enumerate();
    let all = all.filter(|(_, tenant)| tenant.customers.as_ref().is_none_or(|it| !it.only));
    all.map(|(index, tenant)| Candidate::configured(index, tenant))
        .collect()
}

/// Adds the customers of all partners to the `known` tenants, which they come after. A tenant that is configured itself
/// stays as it is configured; a list that cannot be read gives one candidate, in which nothing can be done.
///
/// # Errors
/// If a partner's tenant cannot work as configured.
pub(super) async fn add<'a>(
    known: &mut Vec<Candidate<'a>>,
    workshop: &mut Workshop<'a>,
) -> Result<(), Failure> {
    let mut lists = Vec::new();
    for (index, tenant) in workshop.config.tenants.iter().enumerate() {
        let Some(wanted) = &tenant.customers else {
            continue;
        };
        let mut partner = Candidate::configured(index, tenant);
        let way = workshop.way(&mut partner)?;
        // customers are for partners that Graph reaches
        let Some(graph) = way.graph() else {
            continue;
        };
        let listed = graph.customers(wanted.from()).await;
        // it has signed in, and need not do so again
        let own = known.iter_mut().find(|own| own.index == index);
        if let Some(own) = own {
            own.way = Some(way);
        }
        lists.push((partner, listed));
    }
    if lists.is_empty() {
        return Ok(());
    }
    let mut taken = match ids(known, workshop).await? {
        Ok(ids) => ids,
        Err(error) => {
            let unreadable = lists
                .into_iter()
                .map(|(partner, _)| unread(partner, &error));
            known.extend(unreadable);
            return Ok(());
        }
    };
    for (partner, listed) in lists {
        let (index, tenant) = (partner.index, partner.tenant);
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                known.push(unread(partner, &error));
                continue;
            }
        };
        let wanted = listed.into_iter().filter(|customer| {
            let wanted = tenant.customers.as_ref();
            wanted.is_some_and(|wanted| wanted.take(customer))
        });
        for customer in wanted {
            if taken.insert(customer.id.as_str().to_ascii_lowercase()) {
                // a domain that is another's by now does not make two of one name
                let is_new = |domain: &String| taken.insert(domain.to_ascii_lowercase());
                let domain = customer.domain.clone().filter(is_new);
                known.push(Candidate {
                    name: domain.unwrap_or_else(|| customer.id.to_string()),
                    obstacle: customer.has_ended().then(|| ended(&customer)),
                    customer: Some(customer),
                    ..Candidate::configured(index, tenant)
                });
            }
        }
    }
    Ok(())
}

/// The names and GUIDs of the tenants that are configured, in lower case. Those that are named by a domain are looked up: else a customer could be
/// taken for another tenant than it is, and rotated by its partner's policy instead of its own.
async fn ids(
    known: &[Candidate<'_>],
    workshop: &Workshop<'_>,
) -> Result<Result<HashSet<String>, BackendError>, Failure> {
    let mut ids = HashSet::new();
    let mut by_domain = Vec::new();
    for tenant in known {
        ids.insert(tenant.name.to_ascii_lowercase());
        if tenant.name.parse::<Uuid>().is_err() && !tenant.tenant.is_domain() {
            by_domain.push(workshop.anonymous(tenant)?);
        }
    }
    let ask = async |backend: GraphBackend| backend.tenant_id().await;
    let at_once = workshop.config.engine.tenants_at_once;
    let mut found = pin!(in_order(by_domain, at_once, ask));
    while let Some(found) = found.next().await {
        match found {
            Ok(id) => ids.extend(id.map(|id| id.as_str().to_ascii_lowercase())),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(ids))
}

fn unread<'a>(partner: Candidate<'a>, error: &BackendError) -> Candidate<'a> {
    let mut problem = error.problem().clone();
    problem.message = format!(
        "the customers of {} are not known, so nothing is done in their tenants: {}",
        partner.name, problem.message
    );
    Candidate {
        name: format!("customers of {}", partner.name),
        obstacle: Some(problem),
        is_list: true,
        ..partner
    }
}

fn ended(customer: &Customer) -> Problem {
    let ends = customer.relationships.iter().filter_map(|one| one.ends);
    let when = match ends.max() {
        Some(ends) => format!(" on {}", ends.strftime("%Y-%m-%d")),
        None => String::new(),
    };
    let name = &customer.display_name;
    Problem::new(format!(
        "the relationship with the customer {name} ended{when}"
    ))
    .with_fix(
        "have the customer agree to a new one in Partner Center, or name the customer in `exclude`",
    )
}
