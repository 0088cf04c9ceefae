//! Microsoft's matrix, written as the page has it: rows are what the account holds, columns are roles of the caller.

use super::{Denial, Refused, covers};
use crate::{Holdings, RoleAssignment, RoleId, Scope};

/// A row of the table: what the account holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    AnyOtherRole,
    AuthenticationAdministrator,
    DirectoryReaders,
    GroupsAdministrator,
    GuestInviter,
    HelpdeskAdministrator,
    MessageCenterReader,
    PasswordAdministrator,
    ReportsReader,
    RoleScopedToRestrictedUnit,
    UsageSummaryReportsReader,
    UserAdministrator,
    UserExperienceSuccessManager,
}

/// A column of the table: how far a role of the caller reaches.
enum Reach {
    /// Accounts all of whose roles are listed, without ties to a role-assignable group.
    Rows(&'static [Row]),
    /// Every account.
    Everyone,
}

pub(super) const AUTHENTICATION: RoleId =
    RoleId::literal(0xc4e3_9bd9_1100_46d3_8c65_fb16_0da0_071f);
const GROUPS: RoleId = RoleId::literal(0xfdd7_a751_b60b_444a_984c_0265_2fe8_fa1c);
const GUEST_INVITER: RoleId = RoleId::literal(0x95e7_9109_95c0_4d8e_aee3_d01a_ccf2_d47b);
pub(super) const HELPDESK: RoleId = RoleId::literal(0x7298_27e3_9c14_49f7_bb1b_9608_f156_bbb8);
const MESSAGE_CENTER_READER: RoleId = RoleId::literal(0x790c_1fb9_7f7d_4f88_86a1_ef1f_95c0_5c1b);
const PARTNER_TIER_1: RoleId = RoleId::literal(0x4ba3_9ca4_527c_499a_b93d_d9b4_92c5_0246);
const PARTNER_TIER_2: RoleId = RoleId::literal(0xe00e_864a_17c5_4a4b_9c06_f5b9_5a8d_5bd8);
pub(super) const PASSWORD: RoleId = RoleId::literal(0x9667_07d0_3269_4727_9be2_8c3a_10f1_9b9d);
const REPORTS_READER: RoleId = RoleId::literal(0x4a5d_8f65_41da_4de4_8968_e035_b653_39cf);
const SECURITY_ADMINISTRATOR: RoleId = RoleId::literal(0x194a_e4cb_b126_40b2_bd5b_6091_b380_977d);
const SECURITY_OPERATOR: RoleId = RoleId::literal(0x5f22_22b1_57c3_48ba_8ad5_d475_9f1f_de6f);
const SOC_RESPONDER: RoleId = RoleId::literal(0x58f9_30cc_fcf4_4152_852c_1d7d_bf50_2139);
const USAGE_SUMMARY_REPORTS_READER: RoleId =
    RoleId::literal(0x7593_4031_6c7e_415a_99d7_48db_d49e_875e);
const USER_EXPERIENCE_SUCCESS_MANAGER: RoleId =
    RoleId::literal(0x2746_0883_1df1_4691_b032_3b79_643e_5e63);

fn row(target: &RoleAssignment) -> Row {
    if matches!(
        target.scope,
        Scope::Unit {
            restricted: true,
            ..
        }
    ) {
        return Row::RoleScopedToRestrictedUnit;
    }
    match target.role {
        AUTHENTICATION => Row::AuthenticationAdministrator,
        RoleId::DIRECTORY_READERS => Row::DirectoryReaders,
        GROUPS => Row::GroupsAdministrator,
        GUEST_INVITER => Row::GuestInviter,
        HELPDESK => Row::HelpdeskAdministrator,
        MESSAGE_CENTER_READER => Row::MessageCenterReader,
        PASSWORD => Row::PasswordAdministrator,
        REPORTS_READER => Row::ReportsReader,
        RoleId::USER_ADMINISTRATOR => Row::UserAdministrator,
        USAGE_SUMMARY_REPORTS_READER => Row::UsageSummaryReportsReader,
        USER_EXPERIENCE_SUCCESS_MANAGER => Row::UserExperienceSuccessManager,
        _ => Row::AnyOtherRole,
    }
}

fn tenant_wide(caller: RoleId) -> Option<Reach> {
    use Row::{
        AuthenticationAdministrator, DirectoryReaders, GroupsAdministrator, GuestInviter,
        HelpdeskAdministrator, MessageCenterReader, PasswordAdministrator, ReportsReader,
        UsageSummaryReportsReader, UserAdministrator, UserExperienceSuccessManager,
    };
    let rows: &[Row] = match caller {
        RoleId::GLOBAL_ADMINISTRATOR
        | RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR
        | PARTNER_TIER_2 => {
            return Some(Reach::Everyone);
        }
        PASSWORD => &[DirectoryReaders, GuestInviter, PasswordAdministrator],
        HELPDESK => &[
            DirectoryReaders,
            GuestInviter,
            HelpdeskAdministrator,
            MessageCenterReader,
            PasswordAdministrator,
            ReportsReader,
            UsageSummaryReportsReader,
            UserExperienceSuccessManager,
        ],
        AUTHENTICATION => &[
            AuthenticationAdministrator,
            DirectoryReaders,
            GuestInviter,
            MessageCenterReader,
            PasswordAdministrator,
            ReportsReader,
            UsageSummaryReportsReader,
            UserExperienceSuccessManager,
        ],
        RoleId::USER_ADMINISTRATOR => &[
            DirectoryReaders,
            GroupsAdministrator,
            GuestInviter,
            HelpdeskAdministrator,
            MessageCenterReader,
            PasswordAdministrator,
            ReportsReader,
            UserAdministrator,
            UsageSummaryReportsReader,
            UserExperienceSuccessManager,
        ],
        // a sentence below the table since mid-2026, and the deprecated partner role: accounts without any role only
        PARTNER_TIER_1 | SECURITY_ADMINISTRATOR | SECURITY_OPERATOR | SOC_RESPONDER => &[],
        _ => return None,
    };
    Some(Reach::Rows(rows))
}

/// Roles that can be assigned at the scope of an administrative unit reach its members without an administrator role
/// (<https://learn.microsoft.com/entra/identity/role-based-access-control/manage-roles-portal>). Global Administrator
/// cannot be assigned so.
fn unit_scoped(caller: RoleId) -> Option<Reach> {
    match caller {
        AUTHENTICATION | HELPDESK | PASSWORD | RoleId::USER_ADMINISTRATOR => Some(Reach::Rows(&[])),
        RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR => Some(Reach::Everyone),
        _ => None,
    }
}

pub(super) fn sets_passwords(role: RoleId) -> bool {
    tenant_wide(role).is_some()
}

/// Whether the role enables and disables accounts, which is a sensitive action: those of this table have the same cells
/// as for passwords
/// (<https://learn.microsoft.com/entra/identity/role-based-access-control/privileged-roles-permissions#who-can-perform-sensitive-actions>).
pub(super) fn enables_accounts(role: RoleId) -> bool {
    matches!(
        role,
        AUTHENTICATION
            | RoleId::USER_ADMINISTRATOR
            | RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR
            | RoleId::GLOBAL_ADMINISTRATOR
    )
}

/// Whether the caller's role `held` reaches an account with `holdings`.
pub(super) fn verdict(held: &RoleAssignment, holdings: &Holdings) -> Result<(), Refused> {
    let reach = match held.scope {
        Scope::Tenant => tenant_wide(held.role),
        Scope::Unit { .. } => unit_scoped(held.role),
        Scope::Object => None,
    };
    let reach = reach.ok_or(Refused::NotACaller)?;
    let in_scope = held.scope == Scope::Tenant || covers(held, holdings);
    let by_restricted_unit = matches!(
        held.scope,
        Scope::Unit {
            restricted: true,
            ..
        }
    ) && in_scope;
    let because = if holdings.management_restricted && !by_restricted_unit {
        Denial::ManagementRestricted
    } else if !in_scope {
        Denial::OutOfScope
    } else if let Some(stuck) = global_administrator(holdings).filter(|_| by_restricted_unit) {
        stuck
    } else {
        match reach {
            Reach::Everyone => return Ok(()),
            Reach::Rows(rows) => return within(rows, holdings).map_err(Refused::Because),
        }
    };
    Err(Refused::Because(because))
}

/// In a restricted unit nobody reaches a Global Administrator, not even by a role scoped to it, until taken out of it
/// (<https://learn.microsoft.com/entra/identity/role-based-access-control/admin-units-restricted-management>).
fn global_administrator(holdings: &Holdings) -> Option<Denial> {
    let mut held = holdings.roles.iter();
    let held = held.find(|held| held.role == RoleId::GLOBAL_ADMINISTRATOR)?;
    Some(Denial::TargetRole {
        role: held.role,
        state: held.state,
    })
}

/// Every role of the account must be among `rows`. Eligible roles count: whether the service counts them is not
/// documented, and counting them refuses too much, never too little.
fn within(rows: &[Row], holdings: &Holdings) -> Result<(), Denial> {
    if let Some(beyond) = holdings
        .roles
        .iter()
        .find(|target| !rows.contains(&row(target)))
    {
        return Err(Denial::TargetRole {
            role: beyond.role,
            state: beyond.state,
        });
    }
    if holdings.member_of_role_assignable_group || holdings.owner_of_role_assignable_group {
        return Err(Denial::RoleAssignableGroup);
    }
    Ok(())
}
