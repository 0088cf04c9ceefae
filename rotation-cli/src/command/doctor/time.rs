//! What time does: clocks that differ, certificates and passwords that expire.

use std::time::Duration;

use backend_graph::GraphBackend;
use jiff::SignedDuration;
use rotation_core::{Policy, Problem};

use super::checklist::Checklist;
use crate::clock;
use crate::output;
use crate::wiring::Tenant;

/// Clocks that differ by less do no harm: half of what an assertion is good for.
const TOLERATED: Duration = Duration::from_secs(300);

const DAY: u64 = 86_400;

/// So long before a certificate expires it is time for another.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How far this machine's clock is off, if that is too far.
pub(super) async fn clock_off(graph: &GraphBackend) -> Option<Problem> {
    let ahead = graph.clock_ahead().await?;
    let off = ahead.unsigned_abs();
    (off > TOLERATED).then(|| {
        let way = if ahead.is_negative() {
            "behind"
        } else {
            "ahead of"
        };
        let span = output::span(off);
        let message = format!("this machine's clock is {span} {way} that of the directory");
        Problem::new(message).with_fix("set it by a time server")
    })
}

pub(super) fn check_certificate(graph: &GraphBackend, list: &mut Checklist) {
    let Some(until) = graph.certificate_expires() else {
        return;
    };
    let day = until.strftime("%Y-%m-%d");
    if until.duration_since(clock::now()) < SOON {
        let problem = Problem::new(format!("the certificate expires on {day}"));
        let fix = "make a new one, upload it to the app beside this one, and configure it";
        list.advise(&problem.with_fix(fix));
    } else {
        list.right(format!("the certificate is good until {day}"));
    }
}

/// By what, and for how long, a person of the partner may act in a customer's tenant.
pub(super) fn check_relationships(tenant: &Tenant, list: &mut Checklist) {
    let customer = tenant.customer.as_ref().map(|(customer, _)| customer);
    let relationships = customer.map_or(&[][..], |customer| &customer.relationships);
    for one in relationships.iter().filter(|one| one.active) {
        let name = format!("the relationship {} with this customer", one.name);
        let Some(ends) = one.ends.filter(|_| !one.extends) else {
            list.right(format!("{name} is extended by itself"));
            continue;
        };
        let left = ends.duration_since(clock::now());
        if left < SOON {
            let days = (left.as_hours() / 24).max(0);
            let fix = "let it extend itself, or have the customer agree to a new one: Partner Center, Customers, Admin relationships";
            let problem = Problem::new(format!("{name} ends in {days} days"));
            list.advise(&problem.with_fix(fix));
        } else {
            list.right(format!("{name} lasts until {}", ends.strftime("%Y-%m-%d")));
        }
    }
}

/// Roles that end.
pub(super) async fn check_roles(graph: &GraphBackend, list: &mut Checklist) {
    // whether assignments may be read was checked before
    let Ok(ends) = graph.role_ends().await else {
        return;
    };
    for end in ends {
        let (role, day) = (end.role, end.until.strftime("%Y-%m-%d"));
        if end.until.duration_since(clock::now()) < SOON {
            let problem = Problem::new(format!("{role} ends on {day}"));
            let fix =
                "prolong the assignment: `rotation setup --through pim`, with `--for` so long";
            list.advise(&problem.with_fix(fix));
        } else {
            list.right(format!("{role} lasts until {day}"));
        }
    }
}

/// Passwords that expire sooner than they are rotated.
pub(super) async fn check_expiry(graph: &GraphBackend, policy: &Policy, list: &mut Checklist) {
    // whether domains may be read was checked before
    let Ok(domains) = graph.expiring_passwords().await else {
        return;
    };
    if domains.is_empty() {
        list.right("passwords do not expire by themselves");
    }
    let age = policy.max_age.duration();
    for one in domains {
        let (domain, days) = (one.domain, one.days);
        let says = format!("passwords of {domain} expire after {days} days");
        if age.as_secs() / DAY < u64::from(days) {
            list.right(format!("{says}, and are rotated sooner"));
        } else {
            let says = format!("{says}, and are rotated after {} days", age.as_secs() / DAY);
            let fix = "set a shorter `max_age`, or let them never expire: Microsoft 365 admin center, Settings, Security & privacy";
            list.advise(&Problem::new(says).with_fix(fix));
        }
    }
}
