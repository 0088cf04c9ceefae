//! An administrative unit to be created with the tenant.

use uuid::Uuid;

/// An administrative unit. Users are named by UPN.
#[derive(Clone, Debug)]
pub struct Unit {
    pub(crate) id: Option<Uuid>,
    pub(crate) display_name: String,
    pub(crate) restricted: bool,
    pub(crate) members: Vec<String>,
}

impl Unit {
    /// An ordinary administrative unit.
    pub fn new(display_name: impl Into<String>) -> Self {
        Self {
            id: None,
            display_name: display_name.into(),
            restricted: false,
            members: Vec::new(),
        }
    }

    /// A restricted management administrative unit: tenant-wide roles do not reach its members.
    pub fn restricted(display_name: impl Into<String>) -> Self {
        Self {
            restricted: true,
            ..Self::new(display_name)
        }
    }

    /// Sets the object id, which is otherwise made up.
    #[must_use]
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Adds a member.
    #[must_use]
    pub fn member(mut self, upn: impl Into<String>) -> Self {
        self.members.push(upn.into());
        self
    }
}
