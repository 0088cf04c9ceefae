//! `rotation doctor`: everything that a run needs, checked in every tenant, with the fix beside whatever is wrong.

mod accounts;
mod checklist;
mod time;

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use rotation_core::{AssignmentState, BackendError, Caller, CallerKind, Problem, RotationBackend};
use tokio::time::Instant;

use crate::args::{Common, Doctor, Format, Sharded};
use crate::concurrent::in_order;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::preflight::{check_role, check_tenant, configured_twice};
use crate::role;
use crate::wiring::store::{self, Stores};
use crate::wiring::{Tenant, Workshop};
use accounts::Accounts;
use checklist::Checklist;

/// How long after a look we look again, with `--wait`.
const PAUSE: Duration = Duration::from_secs(10);

pub(super) async fn run(common: &Common, args: &Doctor) -> Result<Exit, Failure> {
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    let mut workshop = Workshop::new(&config);
    let mut tenants = workshop.tenants(common, Sharded::default()).await?;
    let until = args.wait.map(|wait| Instant::now() + wait.into());
    let mut lists = look(&config, common, &tenants).await?;
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
            tenants = workshop.tenants(common, Sharded::default()).await?;
        } else {
            tenants
                .iter()
                .for_each(|tenant| tenant.backend.sign_in_anew());
        }
        lists = look(&config, common, &tenants).await?;
    }
    match common.format {
        Format::Json => output::json(&lists)?,
        Format::Table => {
            lists.iter().try_for_each(Checklist::print)?;
            output::line(&conclusion(&lists))?;
        }
    }
    Ok(if lists.iter().any(|list| list.wrongs() > 0) {
        Exit::Preflight
    } else if lists.iter().any(Checklist::has_unreached) {
        Exit::Incomplete
    } else {
        Exit::Done
    })
}

/// The checklists of the store and of each tenant.
async fn look(
    config: &Config,
    common: &Common,
    tenants: &[Tenant],
) -> Result<Vec<Checklist>, Failure> {
    let mut lists = vec![check_store(config).await?];
    let check = async |tenant: Tenant| check_in(common, &tenant).await;
    let at_once = config.engine.tenants_at_once;
    let mut checks = pin!(in_order(tenants.to_vec(), at_once, check));
    let mut names = HashMap::new();
    while let Some((mut list, id)) = checks.next().await {
        if let Some(twin) = id.and_then(|id| names.insert(id, list.name().to_owned())) {
            list.wrong(&configured_twice(&twin));
        }
        lists.push(list);
    }
    Ok(lists)
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
) -> (Checklist, Option<rotation_core::TenantId>) {
    let mut list = Checklist::new(&tenant.name);
    if let Some((customer, partner)) = &tenant.customer {
        list.note(format!(
            "{}, a customer of {partner}",
            customer.display_name
        ));
    }
    if let Some(obstacle) = &tenant.obstacle {
        list.wrong(obstacle);
        return (list, tenant.id());
    }
    let clock_off = time::clock_off(tenant).await;
    if !check_permissions(tenant, clock_off.as_ref(), &mut list).await {
        return (list, None);
    }
    if let Some(off) = &clock_off {
        list.advise(off);
    }
    time::check_certificate(tenant, &mut list);
    time::check_relationships(tenant, &mut list);
    let caller = match tenant.backend.caller().await {
        Ok(caller) => caller,
        Err(error) => {
            list.unless_known(&error);
            return (list, None);
        }
    };
    let as_what = match caller.kind {
        CallerKind::AppOnly => "an app on its own",
        CallerKind::Delegated => "an app for a person",
    };
    list.take(check_tenant(&tenant.name, &caller));
    let who = format!("it is {as_what}, {} in tenant {}", caller.id, caller.tenant);
    list.right(who);
    check_roles(tenant, &caller, &mut list);
    let accounts = Accounts::count(common, tenant, &caller).await;
    match accounts {
        Ok(accounts) => accounts.tell(&mut list),
        Err(error) => list.unless_known(&error),
    }
    time::check_expiry(tenant, &tenant.policy, &mut list).await;
    check_throttle(tenant, &mut list);
    let id = caller.tenant;
    (list, Some(id))
}

/// Whether the tenant let us in.
async fn check_permissions(
    tenant: &Tenant,
    clock_off: Option<&Problem>,
    list: &mut Checklist,
) -> bool {
    let permissions = match tenant.backend.permissions().await {
        Ok(permissions) => permissions,
        Err(error) => {
            let mut problem = problem(&error);
            if let Some(off) = clock_off {
                let fix = problem.fix.unwrap_or_default();
                problem.fix = Some(format!("{}, {fix}", off.message));
            }
            list.wrong(&problem);
            return false;
        }
    };
    list.right("signing in works");
    let leasts: Vec<_> = permissions.checks.iter().map(|check| check.least).collect();
    let mut missing: Vec<(&str, Vec<&str>, String)> = Vec::new();
    for check in permissions.checks {
        let (to, least) = (check.to, check.least);
        match check.held {
            Some(held) if held == least => {
                list.right(format!("may {to}: {held}, the least that does"));
            }
            Some(held) if leasts.contains(&held.as_str()) => {
                list.right(format!("may {to}: {held}"));
            }
            Some(held) => list.note(format!("may {to}: {held}, where {least} would do")),
            None if check.units_only => list.note(format!(
                "cannot {to}, which is needed only where roles are assigned in some: lacks {least}"
            )),
            None => match missing.iter_mut().find(|(known, ..)| *known == least) {
                Some((_, purposes, _)) => purposes.push(to),
                None => missing.push((least, vec![to], check.fix)),
            },
        }
    }
    for (permission, purposes, fix) in missing {
        let lacks = format!("cannot {}: lacks {permission}", purposes.join(", nor "));
        list.missing(permission, &Problem::new(lacks).with_fix(fix));
    }
    let mut unneeded = permissions.unneeded;
    // a partner's list takes one that nothing else does
    unneeded.retain(|name| tenant.lists.is_none_or(|list| list.permission() != *name));
    if !unneeded.is_empty() {
        list.note(format!(
            "needs none of {}, which whoever steals the credential has too: remove them",
            unneeded.join(", ")
        ));
    }
    true
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

fn problem(error: &BackendError) -> Problem {
    error.problem().clone()
}
