//! `rotation doctor`: everything that a run needs, checked in every tenant, with the fix beside whatever is wrong.

mod accounts;
mod checklist;
mod graph;
mod powershell;
mod time;

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use rotation_core::{AssignmentState, Caller, CallerKind};
use tokio::time::Instant;

use crate::args::{Common, Doctor, Format, Sharded};
use crate::concurrent::in_order;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::named::Named;
use crate::output;
use crate::preflight::{check_domain, check_role, check_tenant, configured_twice};
use crate::role;
use crate::wiring::store::{self, Stores};
use crate::wiring::{self, Tenant, Way, Workshop};
use accounts::Accounts;
use checklist::Checklist;

/// How long after a look we look again, with `--wait`.
const PAUSE: Duration = Duration::from_secs(10);

pub(super) async fn run(common: &Common, args: &Doctor) -> Result<Exit, Failure> {
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    let mut workshop = Workshop::new(&config);
    let mut tenants = wiring::tenants_of(&mut workshop, common, Sharded::default()).await?;
    let until = args.wait.map(|wait| Instant::now() + wait.into());
    let (mut lists, mut missing) = look(&config, common, &tenants).await?;
    if until.is_some() {
        lists.iter().for_each(Checklist::tell_wrongs);
    }
    while let Some(left) = until.map(|until| until.saturating_duration_since(Instant::now()))
        && !left.is_zero()
        && lists.iter().any(|list| list.wrongs() > 0)
    {
        let (what, left_for) = (conclusion(&lists), output::span(left));
        output::note(&format!(
            "{what}; looking again until all is well, for {left_for} more"
        ));
        tokio::time::sleep(PAUSE.min(left)).await;
        if config.tenants.iter().any(|one| one.customers.is_some()) {
            // who they are, and what we may do there, can change meanwhile
            tenants = wiring::tenants_of(&mut workshop, common, Sharded::default()).await?;
        }
        for tenant in &tenants {
            if let Some(graph) = tenant.way.graph() {
                graph.sign_in_anew();
            }
        }
        (lists, missing) = look(&config, common, &tenants).await?;
    }
    match common.format {
        Format::Json => output::json(&lists)?,
        Format::Table => {
            lists.iter().try_for_each(Checklist::print)?;
            output::line(&conclusion(&lists))?;
            if lists.iter().any(Checklist::has_missing) {
                output::line(
                    "permissions and roles that are missing: `rotation setup` gives them",
                )?;
            }
        }
    }
    for name in &missing {
        output::note(&format!("no account {name} in any of these tenants"));
    }
    Ok(if lists.iter().any(|list| list.wrongs() > 0) {
        Exit::Preflight
    } else if !missing.is_empty() || lists.iter().any(Checklist::has_unreached) {
        Exit::Incomplete
    } else {
        Exit::Done
    })
}

/// The checklists of the store and of each tenant, and the accounts that the command line names and nobody has.
async fn look(
    config: &Config,
    common: &Common,
    tenants: &[Tenant],
) -> Result<(Vec<Checklist>, Vec<String>), Failure> {
    let named = Named::new(&common.accounts);
    let mut lists = vec![check_store(config).await?];
    {
        let check = async |tenant: Tenant| check_in(common, &tenant, &named).await;
        let at_once = config.engine.tenants_at_once;
        let mut checks = pin!(in_order(tenants.to_vec(), at_once, check));
        let mut names = HashMap::new();
        while let Some((mut list, id)) = checks.next().await {
            if let Some(twin) = id.and_then(|id| names.insert(id, list.name().to_owned())) {
                list.wrong(&configured_twice(&twin));
            }
            lists.push(list);
        }
    }
    Ok((lists, named.missing()))
}

fn conclusion(lists: &[Checklist]) -> String {
    let wrongs: usize = lists.iter().map(Checklist::wrongs).sum();
    let unreached = lists.iter().filter(|list| list.has_unreached()).count();
    match (wrongs, unreached) {
        (0, 0) => "all is well".to_owned(),
        (0, _) => "a run would work, and leave the accounts at ! as they are".to_owned(),
        (1, _) => "1 thing to mend: see ✗".to_owned(),
        (wrongs, _) => format!("{wrongs} things to mend: see ✗"),
    }
}

async fn check_store(config: &Config) -> Result<Checklist, Failure> {
    let mut list = Checklist::new("store");
    let stores = Stores::of(config).map_err(Failure::usage)?;
    match stores.open().await {
        Ok(_) => list.right(format!("{} opens", stores.name())),
        Err(error) => list.wrong(&store::problem(&error)),
    }
    Ok(list)
}

/// The checklist of one tenant, and its GUID if it let us in.
async fn check_in(
    common: &Common,
    tenant: &Tenant,
    named: &Named,
) -> (Checklist, Option<rotation_core::TenantId>) {
    let mut list = Checklist::new(&tenant.name);
    if let Some((customer, partner)) = &tenant.customer {
        let name = &customer.display_name;
        list.note(format!("{name}, a customer of {partner}"));
    }
    if let Some(obstacle) = &tenant.obstacle {
        list.wrong(obstacle);
        return (list, tenant.id());
    }
    let mut let_in = true;
    if let Some(graph) = tenant.way.graph() {
        let_in = graph::check(graph, tenant.lists, &mut list).await;
    }
    if let Some(powershell) = tenant.way.powershell() {
        let_in &= powershell::check(powershell, &mut list).await;
    }
    if !let_in {
        return (list, None);
    }
    time::check_relationships(tenant, &mut list);
    let caller = match tenant.backend.caller().await {
        Ok(caller) => caller,
        Err(error) => {
            list.unless_known(&error);
            return (list, None);
        }
    };
    if matches!(tenant.way, Way::Domain(_)) {
        list.take(check_domain(&caller));
    } else {
        check_caller(tenant, &caller, &mut list);
    }
    let accounts = Accounts::count(common, tenant, &caller, named).await;
    match accounts {
        Ok(accounts) => accounts.tell(tenant, &mut list),
        Err(error) => list.unless_known(&error),
    }
    if let Some(graph) = tenant.way.graph() {
        time::check_roles(graph, &mut list).await;
        time::check_expiry(graph, &tenant.policy, &mut list).await;
    }
    check_throttle(tenant, &mut list);
    let id = caller.tenant;
    (list, Some(id))
}

fn check_caller(tenant: &Tenant, caller: &Caller, list: &mut Checklist) {
    let as_what = match caller.kind {
        CallerKind::AppOnly => "an app on its own",
        CallerKind::Delegated => "an app for a person",
    };
    list.take(check_tenant(&tenant.name, caller));
    let who = format!("it is {as_what}, {} in tenant {}", caller.id, caller.tenant);
    list.right(who);
    check_roles(tenant, caller, list);
}

fn check_roles(tenant: &Tenant, caller: &Caller, list: &mut Checklist) {
    for held in &caller.roles {
        let text = format!("holds {}", role::held(held));
        match held.state {
            AssignmentState::Active => list.right(text),
            AssignmentState::Eligible => {
                list.note(format!("{text}: it counts once it is activated"));
            }
        }
    }
    let role = check_role(caller, tenant.policy.rules);
    list.take(role.map_err(|problem| tenant.by_its_partner(problem)));
}

fn check_throttle(tenant: &Tenant, list: &mut Checklist) {
    let Some(state) = tenant.backend.rate().map(|rate| rate.state()) else {
        return;
    };
    match state.paused {
        Some(pause) => list.note(format!(
            "the directory wants to be left alone for {}",
            output::span(pause)
        )),
        None => list.right("not throttled"),
    }
}
