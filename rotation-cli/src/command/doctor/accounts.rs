use std::cmp::Reverse;
use std::collections::BTreeMap;

use futures::TryStreamExt;
use rotation_core::{
    Account, AccountKind, AssignmentState, BackendError, Caller, Capability, Decision, Denial,
    Known, Planner, Problem, RoleId, RuleSet, SkipReason, Treatment, capability, least_role,
};

use super::checklist::Checklist;
use crate::args::Common;
use crate::clock;
use crate::named::Named;
use crate::output;
use crate::wiring::{self, Tenant, Way};

/// How many accounts a caller reaches, and why not the others. Takes memory for reasons, not for accounts.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    all: u64,
    reached: u64,
    /// How many of these are synced from on-premises.
    synced: u64,
    /// By the role that would do, and the reason.
    unreached: BTreeMap<Option<RoleId>, BTreeMap<String, u64>>,
    /// By the policy's reason.
    left_out: BTreeMap<String, u64>,
}

impl Accounts {
    /// Looks at every account that the command line asks for.
    pub(super) async fn count(
        common: &Common,
        tenant: &Tenant,
        caller: &Caller,
        named: &Named,
    ) -> Result<Self, BackendError> {
        let planner = Planner::new(tenant.policy.clone(), caller.clone(), clock::now());
        let mut accounts = tenant.backend.accounts(wiring::query(common));
        let mut counted = Self::default();
        while let Some(account) = accounts.try_next().await? {
            named.see(&account);
            let decision = planner.decide(&account, &Known::default());
            // one that is not due now will be
            let reach = match decision {
                Decision::Skip {
                    why: SkipReason::NotDue { .. },
                } => capability(caller, &account, tenant.policy.rules),
                Decision::Skip { why } => {
                    counted.all += 1;
                    *counted.left_out.entry(why.to_string()).or_default() += 1;
                    continue;
                }
                Decision::Rotate { by, .. } => Capability::Allowed { by },
                Decision::Deny { because } => Capability::Denied { because },
            };
            counted.add(&account, reach, tenant.policy.rules);
        }
        Ok(counted)
    }

    fn add(&mut self, account: &Account, reach: Capability, rules: RuleSet) {
        self.all += 1;
        match reach {
            Capability::Allowed { .. } => {
                self.reached += 1;
                self.synced += u64::from(account.kind == AccountKind::Synced);
            }
            Capability::Denied { because } => {
                let holdings = account.holdings.as_ref();
                let role = holdings.and_then(|held| least_role(held, rules));
                let reasons = self.unreached.entry(role).or_default();
                *reasons.entry(words(&because)).or_default() += 1;
            }
        }
    }

    pub(super) fn tell(&self, tenant: &Tenant, list: &mut Checklist) {
        let unreached: u64 = self.unreached.values().flat_map(BTreeMap::values).sum();
        let of = self.reached + unreached;
        if of == 0 {
            list.note("the policy rotates no account here");
        } else {
            list.right(format!(
                "reaches {} of {}",
                self.reached,
                output::accounts(of)
            ));
        }
        for (role, reasons) in &self.unreached {
            let number: u64 = reasons.values().sum();
            let mut reasons: Vec<_> = reasons.iter().collect();
            reasons.sort_by_key(|(_, number)| Reverse(**number));
            let reasons: Vec<_> = reasons
                .into_iter()
                .map(|(reason, number)| format!("{number} {reason}"))
                .collect();
            let (accounts, need) = match number {
                1 => (output::accounts(1), "needs"),
                _ => (output::accounts(number), "need"),
            };
            let (needs, assign) = match role {
                Some(role) => (role.to_string(), format!("assign {role} to the caller")),
                None => (
                    "a role scoped to the unit".to_owned(),
                    "assign the caller a role at the scope of the unit".to_owned(),
                ),
            };
            let reasons = reasons.join(", ");
            let (message, assign) = if matches!(tenant.way, Way::Domain(_)) {
                let message = format!("{accounts} cannot be reached: {reasons}");
                (
                    message,
                    "have an administrator of the domain ask".to_owned(),
                )
            } else {
                (format!("{accounts} {need} {needs}: {reasons}"), assign)
            };
            let fix = format!("{assign}, or name them in the policy's `exclude`");
            list.unreached(&Problem::new(message).with_fix(fix));
        }
        for (reason, number) in &self.left_out {
            list.note(format!(
                "leaves out {}: {reason}",
                output::accounts(*number)
            ));
        }
        self.tell_of_synced(tenant, list);
        list.note(format!("{} in all", output::accounts(self.all)));
    }

    /// Where the passwords of synced accounts would be set.
    fn tell_of_synced(&self, tenant: &Tenant, list: &mut Checklist) {
        let problem = match &tenant.way {
            Way::Graph(_) if self.synced > 0 => Problem::new(format!(
                "{} of these {} synced from on-premises, where a sync overwrites what Graph sets unless passwords are written back",
                self.synced,
                if self.synced == 1 { "is" } else { "are" }
            ))
            .with_fix("add `[tenant.on_premises]`, or leave them out by `synced = \"skip\"`"),
            Way::Hybrid { .. } if tenant.policy.synced == Treatment::Skip => {
                Problem::new("`on_premises` does nothing while the policy skips synced accounts")
                    .with_fix("set `synced = \"rotate\"`, or remove `[tenant.on_premises]`")
            }
            _ => return,
        };
        list.advise(&problem);
    }
}

/// A reason behind a number, in few words.
fn words(because: &Denial) -> String {
    match because {
        Denial::TargetRole {
            role,
            state: AssignmentState::Active,
        } => role.to_string(),
        Denial::TargetRole { role, .. } => format!("eligible for {role}"),
        Denial::RoleAssignableGroup => "of a role-assignable group".to_owned(),
        Denial::ManagementRestricted => "in a restricted management administrative unit".to_owned(),
        other => other.to_string(),
    }
}
