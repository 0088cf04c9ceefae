use std::fmt;
use std::time::Duration;

use rotation_core::RoleId;
use uuid::Uuid;

use crate::error::ConfigError;

/// What an app is to hold in a tenant so that it can rotate passwords there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Wanted {
    /// The application (client) id of the app: a GUID.
    pub client_id: String,
    /// The directory role, in the whole tenant.
    pub role: RoleId,
    /// How it comes to hold the role.
    pub through: Through,
    /// Whether the tenant has Privileged Identity Management, which takes permissions of its own to read.
    pub pim: bool,
}

/// How an app comes to hold a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Through {
    /// The role is assigned to its service principal.
    #[default]
    Direct,
    /// The service principal is a member of a role-assignable group, which takes Entra ID P1
    /// (<https://learn.microsoft.com/entra/identity/role-based-access-control/groups-concept>).
    Group,
    /// Privileged Identity Management makes an active assignment, which takes Entra ID P2 or Governance
    /// (<https://learn.microsoft.com/entra/id-governance/privileged-identity-management/pim-how-to-add-role-to-user>).
    Pim {
        /// Why, for whoever reviews the assignment. Taking it away needs none.
        justification: String,
        /// For how long; `None`: without an end, if the role's settings allow it.
        lasts: Option<Duration>,
    },
}

/// One thing that may have to be done, in the order in which they are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Bringing the app into the tenant.
    ServicePrincipal,
    /// Granting it this application permission of Microsoft Graph.
    Permission(String),
    /// Creating the group that holds the role.
    Group,
    /// Assigning the role: to the service principal or the group.
    Role,
    /// Letting the role last longer that Privileged Identity Management has assigned.
    Prolong,
    /// Putting the service principal into the group.
    Member,
}

impl Wanted {
    /// User Administrator, the least role that rotates ordinary accounts, assigned directly; in a tenant with PIM.
    #[must_use]
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            role: RoleId::USER_ADMINISTRATOR,
            through: Through::Direct,
            pim: true,
        }
    }

    /// The same with another role.
    #[must_use]
    pub fn with_role(self, role: RoleId) -> Self {
        Self { role, ..self }
    }

    /// The same with the role held in another way.
    #[must_use]
    pub fn through(self, through: Through) -> Self {
        Self { through, ..self }
    }

    /// The same in a tenant with or without Privileged Identity Management.
    #[must_use]
    pub fn with_pim(self, pim: bool) -> Self {
        Self { pim, ..self }
    }

    /// The display name of the group that holds the role. One group serves all apps that rotate passwords by this role.
    #[must_use]
    pub fn group_name(&self) -> String {
        format!("Password rotation: {}", self.role)
    }

    /// That nothing else than a GUID gets into a filter or a link.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.client_id.parse::<Uuid>() {
            Ok(_) => Ok(()),
            Err(_) => Err(ConfigError::field(
                "client_id",
                format!("`{}`", self.client_id),
                "the GUID that the portal calls Application (client) ID",
            )),
        }
    }

    /// What doing `step` comes to, in words.
    #[must_use]
    pub fn adding(&self, step: &Step) -> String {
        let (role, group) = (self.role, self.group_name());
        match step {
            Step::ServicePrincipal => {
                format!("create the service principal of app {}", self.client_id)
            }
            Step::Permission(name) => format!("grant the application permission {name}"),
            Step::Group => format!("create the role-assignable group \"{group}\""),
            Step::Role => match &self.through {
                Through::Direct => format!("assign {role} to the service principal"),
                Through::Group => format!("assign {role} to the group \"{group}\""),
                Through::Pim { lasts, .. } => format!(
                    "assign {role} to the service principal by an active assignment in PIM, {}",
                    Lasting(*lasts)
                ),
            },
            Step::Prolong => {
                let lasts = match self.through {
                    Through::Pim { lasts, .. } => lasts,
                    Through::Direct | Through::Group => None,
                };
                let lasting = Lasting(lasts);
                format!(
                    "let {role} of the service principal last longer in PIM, {lasting} from now"
                )
            }
            Step::Member => format!("put the service principal into the group \"{group}\""),
        }
    }

    /// What undoing `step` comes to, in words.
    #[must_use]
    pub fn removing(&self, step: &Step) -> String {
        let (role, group) = (self.role, self.group_name());
        match step {
            Step::ServicePrincipal => {
                format!("delete the service principal of app {}", self.client_id)
            }
            Step::Permission(name) => format!("take away the application permission {name}"),
            Step::Group => format!("delete the group \"{group}\""),
            Step::Role | Step::Prolong => match &self.through {
                Through::Group => format!("take {role} away from the group \"{group}\""),
                Through::Direct | Through::Pim { .. } => {
                    format!("take {role} away from the service principal")
                }
            },
            Step::Member => format!("take the service principal out of the group \"{group}\""),
        }
    }
}

/// For how long an assignment lasts, in words.
struct Lasting(Option<Duration>);

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(length) = self.0 else {
            return f.write_str("without an end");
        };
        f.write_str("for")?;
        let mut rest = length.as_secs();
        for (unit, name) in [
            (DAY, "day"),
            (60 * 60, "hour"),
            (60, "minute"),
            (1, "second"),
        ] {
            let (number, plural) = (rest / unit, if rest / unit == 1 { "" } else { "s" });
            if number > 0 {
                write!(f, " {number} {name}{plural}")?;
            }
            rest %= unit;
        }
        Ok(())
    }
}

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

/// A length of time as Graph takes it: ISO 8601.
pub(super) fn iso(length: Duration) -> String {
    match (length.as_secs() / DAY, length.as_secs() % DAY) {
        (days, 0) => format!("P{days}D"),
        _ => format!("PT{}S", length.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_written_as_graph_takes_it_and_said_in_days() {
        for (seconds, written, said) in [
            (180 * DAY, "P180D", "for 180 days"),
            (5 * 60 * 60, "PT18000S", "for 5 hours"),
            // two years of 365.25 days
            (63_115_200, "PT63115200S", "for 730 days 12 hours"),
            (DAY + 61, "PT86461S", "for 1 day 1 minute 1 second"),
        ] {
            let length = Duration::from_secs(seconds);
            assert_eq!(iso(length), written);
            assert_eq!(Lasting(Some(length)).to_string(), said);
        }
    }
}
