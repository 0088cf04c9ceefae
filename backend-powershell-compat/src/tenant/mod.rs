//! What a tenant says of itself through the session of a module for Microsoft Graph: the worker hands requests and
//! answers on, and all that is concluded from them is concluded here.

mod claims;
mod get;
mod groups;
mod listing;
mod roles;
mod units;
mod users;

pub(crate) use claims::caller;
pub(crate) use get::Graph;
pub(crate) use listing::accounts;
pub(crate) use users::password_changed;
