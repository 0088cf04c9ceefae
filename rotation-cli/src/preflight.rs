//! What must hold before anything is sent: the store opens, a tenant lets us in, and we may set passwords there. Where
//! that does not hold for one tenant, the others go on without it.

use std::collections::HashMap;
use std::pin::pin;

use futures::StreamExt;
use rotation_core::{
    Account, AccountId, BackendError, Caller, Capability, Denial, Holdings, PlanTenant, Problem,
    RoleId, RuleSet, TenantId, Verify, capability,
};
use uuid::Uuid;

use crate::args::Common;
use crate::concurrent::in_order;
use crate::config::Config;
use crate::exit::Failure;
use crate::obstructed::Obstructed;
use crate::output;
use crate::wiring::store::{self, OpenStore, Stores};
use crate::wiring::{Tenant, Way};

/// There is no asking beforehand: the directory says it of each sign-in.
/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc>
const WHAT_SIGN_IN_NEEDS: &str = "verifies by signing in, where the tenant lets this app take a user name and a \
    password; where it does not, the change time decides";

/// What a command is going to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It only reads.
    Plan,
    /// It sets passwords.
    Rotate,
}

/// Everything a command needs, known to work.
pub(crate) struct Ready {
    pub(crate) store: OpenStore,
    /// At least one, unless none was asked for.
    pub(crate) tenants: Vec<ReadyTenant>,
    /// The others.
    pub(crate) obstructed: Vec<Obstructed>,
}

/// A tenant that let us in.
#[derive(Clone, Debug)]
pub(crate) struct ReadyTenant {
    pub(crate) tenant: Tenant,
    pub(crate) caller: Caller,
}

impl ReadyTenant {
    /// It let us in and no further.
    fn obstructed(&self, problems: Vec<Problem>) -> Obstructed {
        Obstructed::inside(&self.tenant, &self.caller.tenant, problems)
    }
}

impl Ready {
    /// What a plan is bound to.
    pub(crate) fn plan_tenants(&self) -> Vec<PlanTenant> {
        let tenants = self.tenants.iter();
        tenants
            .map(|ready| PlanTenant {
                tenant: ready.caller.tenant.clone(),
                caller: ready.caller.id.clone(),
            })
            .collect()
    }
}

/// Checks everything, all tenants at the same time, says on stderr what it found, and gives what is needed to go on.
///
/// # Errors
/// [`Exit::Preflight`](crate::exit::Exit::Preflight) if the store does not open, a tenant is configured twice, or none of
/// them can be worked in.
pub(crate) async fn check(
    config: &Config,
    tenants: Vec<Tenant>,
    purpose: Purpose,
    common: &Common,
) -> Result<Ready, Failure> {
    let (all, mut findings) = (tenants.len(), Findings::new(common, tenants.len()));
    findings.heading("store");
    let stores = Stores::of(config).map_err(Failure::usage)?;
    let store = stores.open().await.map_err(|error| store::problem(&error));
    let store = findings.take(store, |_| format!("{} opens", stores.name()));

    let sign_in = async |tenant: Tenant| {
        let caller = tenant.caller().await;
        (tenant, caller)
    };
    let mut callers = pin!(in_order(tenants, config.engine.tenants_at_once, sign_in));
    let (mut ready, mut obstructed) = (Vec::new(), Vec::new());
    let mut names = HashMap::new();
    let mut twins = false;
    while let Some((tenant, caller)) = callers.next().await {
        findings.heading(&tenant.name);
        let signed_in =
            |caller: &Caller| format!("signed in to tenant {} as {}", caller.tenant, caller.id);
        let Some(caller) = findings.take(caller, signed_in) else {
            obstructed.push(Obstructed::outside(&tenant, findings.problems()));
            continue;
        };
        let is_domain = matches!(tenant.way, Way::Domain(_));
        if !is_domain {
            findings.tell(check_tenant(&tenant.name, &caller));
        }
        if let Some(twin) = names.insert(caller.tenant.clone(), tenant.name.clone()) {
            twins = true;
            findings.tell(Err(configured_twice(&twin)));
        }
        if purpose == Purpose::Rotate && is_domain {
            findings.tell(check_domain(&caller));
        } else if purpose == Purpose::Rotate {
            findings.tell(check_permission(&caller));
            let role = check_role(&caller, tenant.policy.rules);
            findings.tell(role.map_err(|problem| tenant.by_its_partner(problem)));
            if tenant.policy.verify == Verify::SignIn {
                findings.tell(Ok(WHAT_SIGN_IN_NEEDS.to_owned()));
            }
        }
        let problems = findings.problems();
        let tenant = ReadyTenant { tenant, caller };
        if problems.is_empty() {
            ready.push(tenant);
        } else {
            obstructed.push(tenant.obstructed(problems));
        }
    }
    let Some(store) = store else {
        return Err(refused());
    };
    if twins || (ready.is_empty() && all > 0) {
        return Err(refused());
    }
    findings.conclude(ready.len(), all);
    Ok(Ready {
        store,
        tenants: ready,
        obstructed,
    })
}

/// What there is to say once everything that is wrong was said.
pub(crate) fn refused() -> Failure {
    Failure::preflight(miette::miette!(
        "the preflight said no, so nothing was sent: see ✗ above"
    ))
}

/// Says that the accounts of `tenant` cannot be read, before anything was sent.
pub(crate) fn unreadable(tenant: &ReadyTenant, error: &BackendError) -> Obstructed {
    let name = &tenant.tenant.name;
    let message =
        format!("the accounts of {name} cannot be read, so nothing was sent there: {error}");
    let mut problem = error.problem().clone();
    problem.message = message;
    output::note(name);
    tell_problem(&problem);
    tenant.obstructed(vec![problem])
}

/// The token must be for the tenant that was configured.
pub(crate) fn check_tenant(name: &str, caller: &Caller) -> Result<String, Problem> {
    if name.parse::<Uuid>().is_ok() && TenantId::new(name) != caller.tenant {
        let message = format!("the token is for tenant {}, expected {name}", caller.tenant);
        return Err(Problem::new(message).with_fix("check `id` and `cloud`"));
    }
    Ok("the token is for this tenant".to_owned())
}

/// Two runs over one tenant under one id would not be told apart, so this is no matter of one tenant.
pub(crate) fn configured_twice(twin: &str) -> Problem {
    Problem::new(format!(
        "the same tenant as {twin}, which is configured too"
    ))
    .with_fix("remove one of the two")
}

/// In a domain nobody tells what a caller may do, but which groups it is in.
pub(crate) fn check_domain(caller: &Caller) -> Result<String, Problem> {
    if caller.roles.is_empty() {
        let message = "the account that asks is in no group that resets passwords in the domain, and nothing says that the right was \
                       delegated to it";
        return Err(Problem::new(message).with_fix(
            "delegate *Reset password* over the accounts to it and set `delegated = true`, or name another `login`",
        ));
    }
    let holds = |role| caller.roles.iter().any(|held| held.role == role);
    Ok(if holds(RoleId::GLOBAL_ADMINISTRATOR) {
        "the account that asks is an administrator of the domain".to_owned()
    } else {
        "the account that asks may reset the passwords of ordinary accounts".to_owned()
    })
}

fn check_permission(caller: &Caller) -> Result<String, Problem> {
    let known = Caller::password_permissions(caller.kind);
    let mut held = known
        .iter()
        .filter(|name| caller.permissions.contains(**name));
    if caller.may_set_passwords() {
        let held = held.next().copied().unwrap_or_default();
        return Ok(format!("may set passwords by permission {held}"));
    }
    let least = known.first().copied().unwrap_or_default();
    Err(
        Problem::new(format!("lacks the permission to set passwords, {least}")).with_fix(format!(
            "add the application permission {least} to the app and grant admin consent"
        )),
    )
}

/// An ordinary account stands for those that the caller should reach. One that is outside of its administrative units
/// still tells that it has a role.
pub(crate) fn check_role(caller: &Caller, rules: RuleSet) -> Result<String, Problem> {
    let ordinary =
        Account::new(AccountId::new("an ordinary account"), "").holding(Holdings::default());
    match capability(caller, &ordinary, rules) {
        Capability::Allowed { by } => Ok(format!("may rotate ordinary accounts as {by}")),
        Capability::Denied {
            because: because @ Denial::NoRole { .. },
        } => Err(Problem::new(because.to_string()).with_fix(
            "assign the app's service principal User Administrator or, to rotate administrators, Privileged \
             Authentication Administrator",
        )),
        Capability::Denied { .. } => Ok("may rotate the accounts of its administrative units".to_owned()),
    }
}

/// Says what holds and what does not, and keeps the latter.
struct Findings {
    /// Only what does not hold is said.
    terse: bool,
    quiet: bool,
    /// What the next finding is about, as long as nobody was told.
    untold: Option<String>,
    problems: Vec<Problem>,
}

impl Findings {
    /// With more tenants than this nobody reads what holds for each.
    const MOST_TENANTS: usize = 10;

    fn new(common: &Common, tenants: usize) -> Self {
        let many = tenants > Self::MOST_TENANTS && common.verbose == 0;
        Self {
            terse: common.quiet || many,
            quiet: common.quiet,
            untold: None,
            problems: Vec::new(),
        }
    }

    fn heading(&mut self, name: &str) {
        self.problems.clear();
        if self.terse {
            self.untold = Some(name.to_owned());
        } else {
            output::note(name);
        }
    }

    fn take<T>(&mut self, found: Result<T, Problem>, say: impl FnOnce(&T) -> String) -> Option<T> {
        match found {
            Ok(value) => {
                self.tell(Ok(say(&value)));
                Some(value)
            }
            Err(problem) => {
                self.tell(Err(problem));
                None
            }
        }
    }

    fn tell(&mut self, found: Result<String, Problem>) {
        match found {
            Ok(what) if self.terse => tracing::debug!(what, "preflight"),
            Ok(what) => output::note(&format!("  ✓ {what}")),
            Err(problem) => {
                if let Some(name) = self.untold.take() {
                    output::note(&name);
                }
                tell_problem(&problem);
                self.problems.push(problem);
            }
        }
    }

    /// What does not hold since the last heading.
    fn problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.problems)
    }

    /// Says how many tenants can be worked in, unless that was seen.
    fn conclude(&self, ready: usize, all: usize) {
        if ready < all || (self.terse && !self.quiet) {
            let others = if ready < all {
                ", the others are left out"
            } else {
                ""
            };
            output::note(&format!("✓ {ready} of {all} tenants{others}"));
        }
    }
}

/// Says on stderr what is wrong, and what to do about it.
pub(crate) fn tell_problem(problem: &Problem) {
    output::note(&format!("  ✗ {problem}"));
    if let Some(fix) = &problem.fix {
        output::note(&format!("    → {fix}"));
    }
}

#[cfg(test)]
mod tests {
    use rotation_core::{RoleAssignment, RoleId};

    use super::*;

    fn caller() -> Caller {
        Caller::app_only(
            TenantId::new("11111111-2222-3333-4444-555555555555"),
            AccountId::new("app"),
        )
    }

    #[test]
    fn a_token_of_another_tenant_is_refused() {
        let other = "22222222-2222-3333-4444-555555555555";
        let problem = check_tenant(other, &caller()).unwrap_err();
        assert!(
            problem.message.ends_with(&format!("expected {other}")),
            "{problem}"
        );
        for name in ["11111111-2222-3333-4444-555555555555", "contoso.com"] {
            assert!(check_tenant(name, &caller()).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_caller_needs_a_permission_and_an_active_role() {
        let mut caller = caller();
        assert!(check_permission(&caller).is_err());
        assert!(check_role(&caller, RuleSet::Strict).is_err());
        caller.permissions.insert("User.ReadWrite.All".to_owned());
        caller
            .roles
            .push(RoleAssignment::active(RoleId::USER_ADMINISTRATOR));
        assert!(
            check_permission(&caller)
                .unwrap()
                .contains("User.ReadWrite.All")
        );
        assert!(
            check_role(&caller, RuleSet::Strict)
                .unwrap()
                .contains("User Administrator")
        );
    }
}
