//! `rotation explain`: whether an account may be rotated, by which role, and if not, why not and what would do.

use std::pin::pin;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use rotation_core::{
    Account, AccountQuery, AssignmentState, BackendError, Caller, CallerKind, Capability, Decision,
    Denial, Explanation, Known, Planner, Problem, RoleAssignment, RoleId, Scope, Verdict, explain,
    least_role,
};
use serde::Serialize;

use crate::args::{Common, Explain, Format, Sharded};
use crate::clock;
use crate::concurrent::in_order;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::named::Named;
use crate::output;
use crate::preflight::tell_problem;
use crate::role;
use crate::wiring::{self, Tenant, Way};

pub(super) async fn run(common: &Common, args: &Explain) -> Result<Exit, Failure> {
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    let mut common = common.clone();
    common.accounts.extend_from_slice(&args.accounts);
    let tenants = wiring::tenants(&config, &common, Sharded::default()).await?;
    let all = tenants.len();
    let named = Named::new(&common.accounts);
    let look = async |tenant: Tenant| {
        let found = find(&tenant, wiring::query(&common)).await;
        (tenant, found)
    };
    let mut explained = Vec::new();
    let mut left_out = 0;
    let mut looks = pin!(in_order(tenants, config.engine.tenants_at_once, look));
    while let Some((tenant, found)) = looks.next().await {
        match found {
            Ok((caller, accounts)) => {
                accounts.iter().for_each(|account| named.see(account));
                explained.extend(
                    accounts
                        .iter()
                        .map(|account| Explained::new(&tenant, &caller, account, clock::now())),
                );
            }
            Err(problem) => {
                left_out += 1;
                output::note(&tenant.name);
                tell_problem(&problem);
            }
        }
    }
    match common.format {
        Format::Json => output::json(&explained)?,
        Format::Table => explained.iter().try_for_each(Explained::print)?,
    }
    let missing = named.missing();
    for name in &missing {
        let others = if left_out > 0 {
            " of those that could be asked"
        } else {
            ""
        };
        output::note(&format!("no tenant{others} has an account {name}"));
    }
    Ok(if left_out == all {
        Exit::Preflight
    } else if !missing.is_empty() || explained.iter().any(|one| !one.may_be_rotated) {
        Exit::Incomplete
    } else {
        Exit::Done
    })
}

async fn find(tenant: &Tenant, query: AccountQuery) -> Result<(Caller, Vec<Account>), Problem> {
    let caller = tenant.caller().await?;
    let accounts = tenant.backend.accounts(query).try_collect().await;
    let accounts = accounts.map_err(|error: BackendError| error.problem().clone())?;
    Ok((caller, accounts))
}

/// What there is to say of one account.
#[derive(Debug, Serialize)]
struct Explained {
    tenant: String,
    account: String,
    upn: String,
    kind: String,
    enabled: bool,
    /// Whether it could be rotated now, due or not.
    may_be_rotated: bool,
    /// The caller's role that allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// The one reason why not, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    /// The right to disable it is another one.
    may_be_disabled: Right,
    /// What the account holds, and whether that decides over it.
    holds: Vec<String>,
    caller: CallerShown,
    /// The least that would do, each assigned in the whole tenant.
    least_role: Option<String>,
    least_permission: &'static str,
    /// What a run would do, as far as it is known without the store.
    decision: &'static str,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Right {
    allowed: bool,
    /// By which role, or why not.
    reason: String,
}

#[derive(Debug, Serialize)]
struct CallerShown {
    id: String,
    kind: &'static str,
    /// The permission by which it sets passwords.
    permission: Option<&'static str>,
    roles: Vec<RoleShown>,
}

#[derive(Debug, Serialize)]
struct RoleShown {
    role: String,
    allows: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
}

impl Explained {
    fn new(tenant: &Tenant, caller: &Caller, account: &Account, now: Timestamp) -> Self {
        let policy = &tenant.policy;
        let explanation = explain(caller, account, policy.rules);
        let least = account
            .holdings
            .as_ref()
            .and_then(|holdings| least_role(holdings, policy.rules));
        let permissions = Caller::password_permissions(caller.kind);
        let least_permission = permissions.first().copied().unwrap_or_default();
        let planner = Planner::new(policy.clone(), caller.clone(), now);
        let decision = planner.decide(account, &Known::default());
        let obstacle = obstacle(&explanation, caller, account, least, &tenant.way);
        let obstacle = obstacle.map(|problem| match &explanation.rotate {
            // a role would do, and is to be had from the customer alone
            Capability::Denied { because } if problem.message == because.to_string() => {
                tenant.by_its_partner(problem)
            }
            _ => problem,
        });
        let by = match &explanation.rotate {
            Capability::Allowed { by } if obstacle.is_none() => Some(by.to_string()),
            _ => None,
        };
        let (because, fix) = obstacle.map_or((None, None), |problem| {
            (Some(problem.message.clone()), problem.fix)
        });
        Self {
            tenant: tenant.name.clone(),
            account: account.id.to_string(),
            upn: account.user_name.clone(),
            kind: account.kind.to_string(),
            enabled: account.enabled,
            may_be_rotated: because.is_none(),
            by,
            because,
            fix,
            may_be_disabled: disabling(&explanation, caller),
            holds: holds(account),
            caller: CallerShown::new(caller, &explanation),
            least_role: least.map(|role| role.to_string()),
            least_permission,
            decision: match decision {
                Decision::Rotate { .. } => "rotate",
                Decision::Skip { .. } => "skip",
                Decision::Deny { .. } => "deny",
            },
            reason: decision.to_string(),
        }
    }

    fn print(&self) -> Result<(), Failure> {
        let verdict = if self.may_be_rotated {
            "may be rotated"
        } else {
            "may not be rotated"
        };
        output::line(&format!("{}, {}: {verdict}", self.upn, self.tenant))?;
        let mut lines: Vec<(&str, String)> = Vec::new();
        lines.extend(self.by.iter().map(|by| ("by", by.clone())));
        lines.extend(self.because.iter().map(|why| ("because", why.clone())));
        lines.extend(self.fix.iter().map(|fix| ("fix", fix.clone())));
        let yes = if self.may_be_disabled.allowed {
            "yes"
        } else {
            "no"
        };
        let disable = format!("{yes}: {}", self.may_be_disabled.reason);
        lines.push(("may be disabled", disable));
        let enabled = if self.enabled { "enabled" } else { "disabled" };
        let account = format!("{} account, {enabled}; {}", self.kind, self.account);
        lines.push(("account", account));
        lines.push((
            "holds",
            match self.holds.as_slice() {
                [] => "no role".to_owned(),
                holds => holds.join("; "),
            },
        ));
        let permission = match self.caller.permission {
            Some(held) if held == self.least_permission => format!("{held}, the least that does"),
            Some(held) => format!("{held}; the least that does is {}", self.least_permission),
            None => format!("none; the least that does is {}", self.least_permission),
        };
        lines.push(("caller", format!("{} {}", self.caller.kind, self.caller.id)));
        lines.push(("its permission", permission));
        for (index, role) in self.caller.roles.iter().enumerate() {
            let says = match &role.because {
                None => "allows it".to_owned(),
                Some(because) if self.because.as_ref() == Some(because) => {
                    "does not reach it".to_owned()
                }
                Some(because) => format!("does not: {because}"),
            };
            let label = if index == 0 { "its roles" } else { "" };
            lines.push((label, format!("{}: {says}", role.role)));
        }
        if self.caller.roles.is_empty() {
            lines.push(("its roles", "none".to_owned()));
        }
        lines.push((
            "least role",
            match &self.least_role {
                Some(role) => role.clone(),
                None => "none in the whole tenant: only one scoped to its unit".to_owned(),
            },
        ));
        lines.push((
            "by the policy",
            format!("{}: {}", self.decision, self.reason),
        ));
        for (label, text) in lines {
            output::line(&format!("  {label:16}{text}"))?;
        }
        Ok(())
    }
}

impl CallerShown {
    fn new(caller: &Caller, explanation: &Explanation) -> Self {
        let mut permissions = Caller::password_permissions(caller.kind).iter().copied();
        Self {
            id: caller.id.to_string(),
            kind: match caller.kind {
                CallerKind::AppOnly => "app",
                CallerKind::Delegated => "person",
            },
            permission: permissions.find(|name| caller.permissions.contains(*name)),
            roles: explanation
                .roles
                .iter()
                .map(|role| RoleShown {
                    role: role::held(&role.held),
                    allows: role.verdict == Verdict::Allows
                        && role.held.state == AssignmentState::Active,
                    because: why_not(&role.held, &role.verdict),
                })
                .collect(),
        }
    }
}

/// Why a role does not let its holder rotate the account.
fn why_not(held: &RoleAssignment, verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Allows if held.state == AssignmentState::Active => None,
        Verdict::Allows => Some("it is only eligible; once activated it would".to_owned()),
        Verdict::Denies(because) => Some(because.to_string()),
        Verdict::Unrelated => Some("it sets no passwords".to_owned()),
    }
}

/// The one reason why the account cannot be rotated, with the fix.
fn obstacle(
    explanation: &Explanation,
    caller: &Caller,
    account: &Account,
    least: Option<RoleId>,
    way: &Way,
) -> Option<Problem> {
    if account.id == caller.id {
        let message = "it is the caller's own account, which a run never touches";
        return Some(Problem::new(message).with_fix("rotate it as another caller"));
    }
    if let Some((message, fix)) = elsewhere(account, way) {
        return Some(Problem::new(message).with_fix(fix));
    }
    if !caller.may_set_passwords() {
        let least = Caller::password_permissions(caller.kind);
        let least = least.first().copied().unwrap_or_default();
        let message = format!("the caller lacks the permission to set passwords, {least}");
        let fix = "add it to the app and grant admin consent in this tenant";
        return Some(Problem::new(message).with_fix(fix));
    }
    let Capability::Denied { because } = &explanation.rotate else {
        return None;
    };
    let scoped = |held: &RoleAssignment| held.scope != Scope::Tenant;
    let fix = match because {
        Denial::DirectoryUnreadable => {
            "let the caller read the directory: grant User.Read.All".to_owned()
        }
        Denial::ManagementRestricted => {
            "assign the caller a role at the scope of that restricted unit, or take the account out of it".to_owned()
        }
        Denial::NoRole { eligible: Some(role) } => {
            format!("activate {role} for the caller; for an app, assign it as active")
        }
        Denial::OutOfScope => {
            "add the account to a unit of the caller's role, or assign the role in the whole tenant".to_owned()
        }
        Denial::RolesUnknown => {
            "let the caller read roles: grant RoleManagement.Read.Directory".to_owned()
        }
        _ => match least {
            Some(role) if caller.roles.iter().any(|held| held.role == role && scoped(held)) => {
                format!("assign {role} to the caller in the whole tenant")
            }
            Some(role) => format!("assign {role} to the caller, or leave the account out by the policy"),
            None => "leave the account out by the policy".to_owned(),
        },
    };
    Some(Problem::new(because.to_string()).with_fix(fix))
}

/// Where the account's password lives, if not here.
fn elsewhere(account: &Account, way: &Way) -> Option<(&'static str, &'static str)> {
    use rotation_core::AccountKind::{Federated, Guest, Synced};
    match account.kind {
        Synced if matches!(way, Way::Hybrid { .. }) => None,
        Synced => Some((
            "it is synced from an on-premises directory, where its password lives",
            "rotate it there: by `[tenant.on_premises]`",
        )),
        Federated => Some((
            "its domain is federated: its password lives at another identity provider",
            "rotate it there",
        )),
        Guest => Some((
            "it is a guest: its password lives in another directory",
            "rotate it there",
        )),
        _ => None,
    }
}

fn disabling(explanation: &Explanation, caller: &Caller) -> Right {
    let (allowed, reason) = match &explanation.enable {
        _ if !caller.may_enable_accounts() => (
            false,
            "the caller lacks User.EnableDisableAccount.All with User.Read.All".to_owned(),
        ),
        Capability::Allowed { by } => (true, by.to_string()),
        Capability::Denied { because } => (false, because.to_string()),
    };
    Right { allowed, reason }
}

/// What an account holds that decides who may rotate it.
fn holds(account: &Account) -> Vec<String> {
    let Some(holdings) = &account.holdings else {
        return vec!["what it holds could not be established".to_owned()];
    };
    let mut holds: Vec<_> = holdings.roles.iter().map(role::held).collect();
    for (holds_it, text) in [
        (
            holdings.member_of_role_assignable_group,
            "member of a role-assignable group",
        ),
        (
            holdings.owner_of_role_assignable_group,
            "owner of a role-assignable group",
        ),
        (
            holdings.management_restricted,
            "member of a restricted management administrative unit",
        ),
    ] {
        holds.extend(holds_it.then(|| text.to_owned()));
    }
    holds
}
