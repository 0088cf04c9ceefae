//! What is decided before anything is sent: permission, whose account it is, then capability.

use rotation_core::{
    Account, AssignmentState, Caller, Capability, Denial, RoleId, RuleSet, capability,
};

/// Every reason that a walk must meet. Roles that could not be established are a matter of reading, not of authority.
pub(crate) const REASONS: [&str; 10] = [
    "directory unreadable",
    "no permission",
    "no role",
    "only an eligible role",
    "out of scope",
    "own account",
    "restricted unit",
    "role-assignable group",
    "target's active role",
    "target's eligible role",
];

/// The role by which it is allowed, or why not.
pub(crate) fn decide(
    caller: &Caller,
    account: &Account,
    rules: RuleSet,
) -> Result<RoleId, &'static str> {
    if !caller.may_set_passwords() {
        return Err("no permission");
    }
    // the planner skips it
    if caller.id == account.id {
        return Err("own account");
    }
    match capability(caller, account, rules) {
        Capability::Allowed { by } => Ok(by),
        Capability::Denied { because } => Err(match because {
            Denial::DirectoryUnreadable => "directory unreadable",
            Denial::ManagementRestricted => "restricted unit",
            Denial::NoRole { eligible: None } => "no role",
            Denial::NoRole { eligible: Some(_) } => "only an eligible role",
            Denial::OutOfScope => "out of scope",
            Denial::RoleAssignableGroup => "role-assignable group",
            Denial::TargetRole {
                state: AssignmentState::Active,
                ..
            } => "target's active role",
            Denial::TargetRole {
                state: AssignmentState::Eligible,
                ..
            } => "target's eligible role",
            other => panic!("{other:?} is no matter of authority"),
        }),
    }
}

pub(crate) fn documented(caller: &Caller, account: &Account) -> bool {
    decide(caller, account, RuleSet::Documented).is_ok()
}
