//! What a tenant contains when its server starts.
//!
//! Everything refers to everything else by name (a user by UPN, a unit by display name); the
//! names are resolved once, when the server starts.

mod app;
pub use app::App;
pub(crate) use app::SeedFederation;
mod demo;
mod group;
pub use group::Group;
mod relationship;
pub use relationship::Relationship;
mod tenant;
pub use tenant::{Authentication, Tenant};
mod unit;
pub use unit::Unit;
mod user;
pub use user::User;
pub(crate) use user::{InitialPassword, Origin};

use crate::role::Role;

/// A role with the administrative unit that limits it; `None` is the whole tenant.
pub(crate) type ScopedRole = (Role, Option<String>);
