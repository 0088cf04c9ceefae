use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use rotation_core::RoleId;
use serde::Deserialize;
use uuid::Uuid;

use super::request::Ids;
use super::wanted::{Step, Through, Wanted};
use crate::permission::Permissions;

/// What an app holds in a tenant of what it is wanted to hold there, as it was when it was read.
#[derive(Debug)]
pub struct Present {
    pub(super) wanted: Wanted,
    pub(super) graph: Uuid,
    /// The application permissions that Microsoft Graph has here, by name.
    pub(super) app_roles: HashMap<String, Uuid>,
    pub(super) principal: Option<Uuid>,
    /// Whether the app is registered in this very tenant.
    pub(super) home: bool,
    pub(super) granted: Vec<Granted>,
    pub(super) role: Option<RoleRow>,
    /// When that ends, if it does and is to last.
    pub(super) role_ends: Option<Timestamp>,
    pub(super) read_at: Timestamp,
    /// Whether it holds roles besides the one that is wanted.
    pub(super) other_roles: bool,
    pub(super) group: Option<Group>,
}

/// A permission that was granted to the app.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) assignment: String,
    /// `None`: one of another API than Microsoft Graph, or one that has no name any more.
    pub(super) permission: Option<String>,
}

/// The group that holds the role.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) id: Uuid,
    pub(super) member: bool,
    /// Whether it holds other roles, too.
    pub(super) holds_more: bool,
    /// Whether somebody or something else is in it, too.
    pub(super) shared: bool,
    /// Whether somebody owns it who is not the one that acts.
    pub(super) owned: bool,
}

impl Group {
    pub(super) fn new(id: Uuid) -> Self {
        Self {
            id,
            member: false,
            holds_more: false,
            shared: false,
            owned: false,
        }
    }

    /// Why doing `step` would give somebody more than is wanted, and what to do about that. Who owns a group can put
    /// themselves into it.
    fn forbids(self, step: &Step) -> Option<(&'static str, &'static str)> {
        let gives_the_role = *step == Step::Role;
        match self {
            Self {
                holds_more: true, ..
            } if gives_the_role || *step == Step::Member => Some((
                "the group holds other roles too, which the app would come to hold",
                "take them away from the group, or rename it: then another one is created",
            )),
            Self { shared: true, .. } if gives_the_role => Some((
                "there are others in the group, who would come to hold the role",
                "take them out of the group, or rename it: then another one is created",
            )),
            Self { owned: true, .. } if gives_the_role => Some((
                "the group has owners, who could put themselves into it and come to hold the role",
                "take them away from the group, or rename it: then another one is created",
            )),
            _ => None,
        }
    }
}

/// <https://learn.microsoft.com/graph/api/resources/unifiedroleassignment>
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoleRow {
    pub(super) id: String,
    pub(super) role_definition_id: RoleId,
    pub(super) directory_scope_id: Option<String>,
}

impl Present {
    /// What is still to be done.
    #[must_use]
    pub fn missing(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.principal.is_none() {
            steps.push(Step::ServicePrincipal);
        }
        let missing = Permissions::missing_from(&self.permissions(), self.wanted.pim);
        steps.extend(missing.into_iter().map(Step::Permission));
        if self.wanted.through == Through::Group && self.group.is_none() {
            steps.push(Step::Group);
        }
        if self.role.is_none() {
            steps.push(Step::Role);
        } else if self.is_to_last_longer() {
            steps.push(Step::Prolong);
        }
        if self.wanted.through == Through::Group && !self.group.is_some_and(|group| group.member) {
            steps.push(Step::Member);
        }
        steps
    }

    /// Whether the role ends that is wanted without an end, or less than half of the time is left that is wanted: it would be
    /// prolonged each time if it were prolonged as soon as any of it was gone.
    fn is_to_last_longer(&self) -> bool {
        let (Some(ends), Through::Pim { lasts, .. }) = (self.role_ends, &self.wanted.through)
        else {
            return false;
        };
        let left = Duration::try_from(ends.duration_since(self.read_at)).unwrap_or_default();
        lasts.is_none_or(|lasts| left < lasts / 2)
    }

    /// What to know before that is done, in words: which group is used that is there already.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let missing = self.missing();
        let uses = |step: &&Step| matches!(step, Step::Role | Step::Member);
        let Some(step) = missing.iter().find(uses).filter(|_| self.group.is_some()) else {
            return Vec::new();
        };
        let name = self.wanted.group_name();
        vec![match self.forbids(step) {
            Some((why, _)) => {
                format!("the group \"{name}\" is there already, and cannot be used: {why}")
            }
            None => format!("the group \"{name}\" is there already, and is used"),
        }]
    }

    /// Why `step` must not be done, and what to do about that.
    pub(super) fn forbids(&self, step: &Step) -> Option<(&'static str, &'static str)> {
        self.group.and_then(|group| group.forbids(step))
    }

    /// What can be undone, last things first: what setting up does, and nothing that somebody else may rely on. The service
    /// principal stays where the app is registered, and where it holds something else; a group stays in which there is anybody
    /// else.
    #[must_use]
    pub fn removable(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let held_alone = match self.group {
            Some(group) => {
                if group.member {
                    steps.push(Step::Member);
                }
                !group.shared && !group.holds_more
            }
            None => self.wanted.through != Through::Group,
        };
        let has_role = self
            .role
            .as_ref()
            .is_some_and(|row| row.is(self.wanted.role));
        if has_role && held_alone {
            steps.push(Step::Role);
        }
        if self.group.is_some() && held_alone {
            steps.push(Step::Group);
        }
        let ours = Permissions::least(self.wanted.pim);
        let is_ours = |name: &String| ours.contains(name);
        let granted = self.permissions();
        steps.extend(granted.into_iter().filter(is_ours).map(Step::Permission));
        if self.principal.is_some() && !self.home && self.others().is_empty() {
            steps.push(Step::ServicePrincipal);
        }
        steps
    }

    /// What stays after everything was undone, and why, in words.
    #[must_use]
    pub fn stays(&self) -> Vec<String> {
        let mut stays = Vec::new();
        let why = match self.group {
            Some(Group { shared: true, .. }) => Some("there are others in it"),
            Some(Group {
                holds_more: true, ..
            }) => Some("it holds other roles too"),
            _ => None,
        };
        stays.extend(why.map(|why| {
            let name = self.wanted.group_name();
            format!("the group \"{name}\" stays, with its role: {why}")
        }));
        if self.principal.is_some() {
            let others = self.others();
            if self.home {
                stays.push("the service principal stays: the app is registered here".to_owned());
            } else if !others.is_empty() {
                stays.push(format!(
                    "the service principal stays: it holds {} too",
                    others.join(", ")
                ));
            }
        }
        stays
    }

    /// What the app holds that setting up did not give it.
    fn others(&self) -> Vec<String> {
        let ours = Permissions::least(self.wanted.pim);
        let other = |granted: &Granted| match &granted.permission {
            Some(name) => (!ours.contains(name)).then(|| name.clone()),
            None => Some("a permission of another API".to_owned()),
        };
        let mut others: Vec<_> = self.granted.iter().filter_map(other).collect();
        if self.other_roles {
            others.push("another role".to_owned());
        }
        others
    }

    fn permissions(&self) -> BTreeSet<String> {
        let granted = self.granted.iter();
        granted
            .filter_map(|granted| granted.permission.clone())
            .collect()
    }

    pub(super) fn ids(&self) -> Ids {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        Ids {
            principal: text(self.principal),
            graph: self.graph.to_string(),
            group: text(self.group.map(|group| group.id)),
        }
    }

    /// The id that the tenant's Microsoft Graph gives a permission.
    pub(super) fn app_role(&self, permission: &str) -> Option<Uuid> {
        self.app_roles.get(permission).copied()
    }

    /// The assignment by which the app holds a permission.
    pub(super) fn assignment_of(&self, permission: &str) -> Option<&str> {
        let mut granted = self.granted.iter();
        let granted = granted.find(|one| one.permission.as_deref() == Some(permission))?;
        Some(&granted.assignment)
    }

    /// The assignment by which the app or its group holds the role.
    pub(super) fn role_assignment(&self) -> Option<&str> {
        self.role.as_ref().map(|row| row.id.as_str())
    }
}

impl RoleRow {
    fn in_the_whole_tenant(&self) -> bool {
        self.directory_scope_id.as_deref() == Some("/")
    }

    pub(super) fn is(&self, role: RoleId) -> bool {
        self.in_the_whole_tenant() && self.role_definition_id == role
    }

    /// Whether it lets its holder do all that `role` would
    /// (<https://learn.microsoft.com/entra/identity/role-based-access-control/privileged-roles-permissions>, "who can reset
    /// passwords").
    pub(super) fn covers(&self, role: RoleId) -> bool {
        let all = RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR;
        self.is(RoleId::GLOBAL_ADMINISTRATOR) || self.is(all) || self.is(role)
    }
}
