//! What there is to check of a tenant that Microsoft Graph reaches.

use backend_graph::{CustomersFrom, GraphBackend};
use rotation_core::Problem;

use super::checklist::Checklist;
use super::time;

/// Whether the tenant let us in. `lists` is the list of a partner's customers that is read there.
pub(super) async fn check(
    graph: &GraphBackend,
    lists: Option<CustomersFrom>,
    list: &mut Checklist,
) -> bool {
    let clock_off = time::clock_off(graph).await;
    if !check_permissions(graph, lists, clock_off.as_ref(), list).await {
        return false;
    }
    if let Some(off) = &clock_off {
        list.advise(off);
    }
    time::check_certificate(graph, list);
    true
}

/// Whether the permissions could be looked at.
async fn check_permissions(
    graph: &GraphBackend,
    lists: Option<CustomersFrom>,
    clock_off: Option<&Problem>,
    list: &mut Checklist,
) -> bool {
    let permissions = match graph.permissions().await {
        Ok(permissions) => permissions,
        Err(error) => {
            let mut problem = error.problem().clone();
            if let Some(off) = clock_off {
                let fix = problem.fix.unwrap_or_default();
                problem.fix = Some(format!("{}, {fix}", off.message));
            }
            list.wrong(&problem);
            return false;
        }
    };
    list.right("signing in works");
    let mut missing: Vec<(&str, Vec<&str>, String)> = Vec::new();
    for check in permissions.checks {
        let (to, least) = (check.to, check.least);
        match check.held {
            Some(held) if held == least => {
                list.right(format!("may {to}: {held}, the least that does"));
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
        list.missing(permission, &purposes, &Problem::new(lacks).with_fix(fix));
    }
    let mut unneeded = permissions.unneeded;
    // a partner's list takes one that nothing else does
    unneeded.retain(|name| lists.is_none_or(|list| list.permission() != *name));
    if !unneeded.is_empty() {
        list.note(format!(
            "needs none of {}, which whoever steals the credential has too: remove them",
            unneeded.join(", ")
        ));
    }
    true
}
