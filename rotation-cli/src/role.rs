//! Roles in words.

use rotation_core::{AssignmentState, RoleAssignment, Scope};

/// A role as it is held: "User Administrator (eligible, in unit …)".
pub(crate) fn held(held: &RoleAssignment) -> String {
    let state = match held.state {
        AssignmentState::Active => "active",
        AssignmentState::Eligible => "eligible",
    };
    let scope = match &held.scope {
        Scope::Tenant => String::new(),
        Scope::Unit { id, restricted } => {
            let restricted = if *restricted { "restricted " } else { "" };
            format!(", in {restricted}unit {id}")
        }
        _ => ", for one object".to_owned(),
    };
    format!("{} ({state}{scope})", held.role)
}
