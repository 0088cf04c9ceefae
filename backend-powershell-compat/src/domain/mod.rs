//! What a domain of Active Directory says of itself through the module `ActiveDirectory`.
//!
//! The engine judges by the roles of Entra ID, so what decides in a domain is told in their words: a member of the
//! domain's administrative groups is a Global Administrator, an account operator or a caller with the delegated right
//! *Reset password* a User Administrator; it reaches accounts that are not protected
//! (<https://learn.microsoft.com/windows-server/identity/ad-ds/plan/security-best-practices/appendix-c--protected-accounts-and-groups-in-active-directory>).

mod caller;
mod filter;
mod users;

pub(crate) use caller::caller;
pub(crate) use users::{accounts, password_changed};
