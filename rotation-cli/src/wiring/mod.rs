//! From the configuration to a store and one engine per tenant. Nothing is sent yet.

mod at;
mod candidate;
mod credential;
mod customers;
mod powershell;
mod secret;
pub(crate) mod setup;
pub(crate) mod store;
mod tenant;
mod way;
mod workshop;

use rotation_core::AccountQuery;

use crate::args::{Common, Sharded};
use crate::config::{self, Config, nearest};
use crate::exit::Failure;
use crate::output;
pub(crate) use candidate::Candidate;
pub(crate) use tenant::Tenant;
pub(crate) use way::Way;
pub(crate) use workshop::Workshop;

/// Of more tenants than this nobody wants to read the names.
const MOST_NAMES: usize = 20;

/// The tenants that the command line asks for: all that are configured, and the customers of those that are partners', unless
/// it names some or a shard. Partners are asked for their customers.
///
/// # Errors
/// If one that it names is none of them, or if one cannot work as configured.
pub(crate) async fn tenants(
    config: &Config,
    common: &Common,
    sharded: Sharded,
) -> Result<Vec<Tenant>, Failure> {
    tenants_of(&mut Workshop::new(config), common, sharded).await
}

/// As [`tenants`]. What is asked for again is made anew, and nobody signs in again for it who did before.
///
/// # Errors
/// As there.
pub(crate) async fn tenants_of(
    workshop: &mut Workshop<'_>,
    common: &Common,
    sharded: Sharded,
) -> Result<Vec<Tenant>, Failure> {
    let asked = asked_of(workshop, common, sharded).await?;
    let tenants = asked.into_iter().enumerate();
    tenants
        .map(|(place, mut asked)| {
            let way = workshop.way(&mut asked)?;
            Ok(Tenant::new(place, asked, way))
        })
        .collect()
}

/// The same as they are configured or listed, each with its place. That there is none in a shard is said, and no error.
///
/// # Errors
/// If one that it names is none of them.
pub(crate) async fn asked<'a>(
    config: &'a Config,
    common: &Common,
    sharded: Sharded,
) -> Result<Vec<Candidate<'a>>, Failure> {
    asked_of(&mut Workshop::new(config), common, sharded).await
}

async fn asked_of<'a>(
    workshop: &mut Workshop<'a>,
    common: &Common,
    sharded: Sharded,
) -> Result<Vec<Candidate<'a>>, Failure> {
    let names = &common.tenants;
    let mut known = customers::configured(workshop.config);
    let is_known = |known: &[Candidate<'_>], name: &String| {
        known.iter().any(|candidate| candidate.goes_by(name))
    };
    let all_are_known = !names.is_empty() && names.iter().all(|name| is_known(&known, name));
    // whoever names tenants that are configured need not wait for a list
    if sharded.shard.is_some() || !all_are_known {
        customers::add(&mut known, workshop).await?;
    }
    if let Some(name) = names.iter().find(|name| !is_known(&known, name)) {
        return Err(unknown(name, &known));
    }
    let number = known.len();
    // of a list that could not be read each shard may have a part
    let (lists, mut tenants): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|candidate| candidate.is_list);
    if let Some(shard) = sharded.shard {
        tenants = shard.pick(tenants, |candidate| &candidate.name);
    }
    if names.is_empty() {
        tenants.extend(lists);
    } else {
        tenants.retain(|candidate| names.iter().any(|name| candidate.goes_by(name)));
    }
    if let (Some(shard), true) = (sharded.shard, tenants.is_empty()) {
        output::note(&format!(
            "shard {shard} has none of these {number} tenants: nothing to do"
        ));
    }
    Ok(tenants)
}

/// The tenants of the configuration that the command line asks for, without anybody's customers.
///
/// # Errors
/// If one that it names is not in the configuration.
pub(crate) fn configured<'a>(
    config: &'a Config,
    common: &Common,
) -> Result<Vec<(usize, &'a config::Tenant)>, Failure> {
    let names = &common.tenants;
    let known: Vec<_> = config
        .tenants
        .iter()
        .enumerate()
        .map(|(index, tenant)| Candidate::configured(index, tenant))
        .collect();
    let is_known = |name: &&String| known.iter().any(|one| one.goes_by(name));
    if let Some(name) = names.iter().find(|name| !is_known(name)) {
        return Err(unknown(name, &known));
    }
    let is_asked = |one: &Candidate<'_>| names.is_empty() || names.iter().any(|it| one.goes_by(it));
    let asked = known.iter().filter(|one| is_asked(one));
    Ok(asked.map(|one| (one.index, one.tenant)).collect())
}

/// The accounts that the command line asks for.
pub(crate) fn query(common: &Common) -> AccountQuery {
    if common.accounts.is_empty() {
        AccountQuery::All
    } else {
        AccountQuery::Named(common.accounts.clone())
    }
}

/// Nothing that is `known` goes by `name`.
fn unknown(name: &str, known: &[Candidate<'_>]) -> Failure {
    if let Some(unread) = known.iter().find(|candidate| candidate.is_list) {
        return unread.refused();
    }
    let names = || known.iter().map(|candidate| candidate.name.as_str());
    let help = match nearest(name, names()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.len() > MOST_NAMES => format!("there are {} others", known.len()),
        None => format!("configured: {}", names().collect::<Vec<_>>().join(", ")),
    };
    Failure::usage(miette::miette!(
        help = help,
        "the configuration has no tenant `{name}`"
    ))
}
