//! What must hold before anything is sent: the store opens, every tenant lets us in, and we may set passwords there.

use rotation_core::{
    Account, AccountId, BackendError, Caller, Capability, Denial, Holdings, PlanTenant, Problem,
    RotationBackend, RuleSet, TenantId, Verify, capability,
};
use uuid::Uuid;

use crate::args::Common;
use crate::config::Config;
use crate::exit::Failure;
use crate::output;
use crate::wiring::Tenant;
use crate::wiring::store::{self, OpenStore, Stores};

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
    pub(crate) tenants: Vec<ReadyTenant>,
}

/// A tenant that let us in.
#[derive(Clone, Debug)]
pub(crate) struct ReadyTenant {
    pub(crate) tenant: Tenant,
    pub(crate) caller: Caller,
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

/// Checks everything, says on stderr what it found, and gives what is needed to go on.
///
/// # Errors
/// [`Exit::Preflight`](crate::exit::Exit::Preflight) if anything does not hold.
pub(crate) async fn check(
    config: &Config,
    tenants: Vec<Tenant>,
    purpose: Purpose,
    common: &Common,
) -> Result<Ready, Failure> {
    let mut findings = Findings {
        quiet: common.quiet,
        untold: None,
        wrong: 0,
    };
    findings.heading("store");
    let stores = Stores::of(config).map_err(Failure::usage)?;
    let store = stores.open().await.map_err(|error| store::problem(&error));
    let store = findings.take(store, |_| format!("{} opens", stores.name()));
    let mut ready = Vec::new();
    for tenant in tenants {
        findings.heading(&tenant.name);
        let caller = tenant.backend.caller().await;
        let caller = caller.map_err(|error| error.problem().clone());
        let signed_in =
            |caller: &Caller| format!("signed in to tenant {} as {}", caller.tenant, caller.id);
        let Some(caller) = findings.take(caller, signed_in) else {
            continue;
        };
        findings.tell(check_tenant(&tenant.name, &caller, &ready));
        if purpose == Purpose::Rotate {
            findings.tell(check_permission(&caller));
            findings.tell(check_role(&caller, config.policy.rules));
            if config.policy.verify == Verify::SignIn {
                findings.tell(Ok(WHAT_SIGN_IN_NEEDS.to_owned()));
            }
        }
        ready.push(ReadyTenant { tenant, caller });
    }
    match store {
        Some(store) if findings.wrong == 0 => Ok(Ready {
            store,
            tenants: ready,
        }),
        _ => Err(Failure::preflight(miette::miette!(
            "the preflight said no, so nothing was sent: see ✗ above"
        ))),
    }
}

/// What came of reading the accounts of the tenant `name`, before anything was sent.
pub(crate) fn unreadable(name: &str, error: &BackendError) -> Failure {
    Failure::preflight(miette::miette!(
        "the accounts of {name} cannot be read, so nothing was sent: {error}"
    ))
}

/// The token must be for the tenant that was configured, and for each tenant once.
fn check_tenant(name: &str, caller: &Caller, before: &[ReadyTenant]) -> Result<String, Problem> {
    if name.parse::<Uuid>().is_ok() && TenantId::new(name) != caller.tenant {
        let message = format!("the token is for tenant {}, expected {name}", caller.tenant);
        return Err(Problem::new(message).with_fix("check `id` and `cloud`"));
    }
    if let Some(twin) = before
        .iter()
        .find(|ready| ready.caller.tenant == caller.tenant)
    {
        let message = format!(
            "the same tenant as {}, which is configured too",
            twin.tenant.name
        );
        return Err(Problem::new(message).with_fix("remove one of the two"));
    }
    Ok("the token is for this tenant".to_owned())
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
fn check_role(caller: &Caller, rules: RuleSet) -> Result<String, Problem> {
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

/// Says what holds and what does not, and counts the latter.
struct Findings {
    quiet: bool,
    /// What the next finding is about, as long as nobody was told.
    untold: Option<String>,
    wrong: usize,
}

impl Findings {
    fn heading(&mut self, name: &str) {
        if self.quiet {
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
            Ok(what) if self.quiet => tracing::debug!(what, "preflight"),
            Ok(what) => output::note(&format!("  ✓ {what}")),
            Err(problem) => {
                self.wrong += 1;
                if let Some(name) = self.untold.take() {
                    output::note(&name);
                }
                output::note(&format!("  ✗ {problem}"));
                if let Some(fix) = &problem.fix {
                    output::note(&format!("    → {fix}"));
                }
            }
        }
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
        let problem = check_tenant(other, &caller(), &[]).unwrap_err();
        assert!(
            problem.message.ends_with(&format!("expected {other}")),
            "{problem}"
        );
        for name in ["11111111-2222-3333-4444-555555555555", "contoso.com"] {
            assert!(check_tenant(name, &caller(), &[]).is_ok(), "{name}");
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
