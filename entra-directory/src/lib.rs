//! What Microsoft Graph tells of a tenant: its accounts and what protects them, and who we are in it; and what Entra ID means by
//! its codes when it lets nobody in.
//!
//! Whoever can carry a read to Graph, over HTTP or through a module of PowerShell, is a [`GraphReader`]. What is asked of Graph
//! for the sake of a rotation, and what is concluded from the answers, is here and is the same for all of them.
//!
//! ```text
//! caller ◄─┬─ claims
//!          └─ roles ◄─ groups, units ◄─┐
//! accounts ◄─ listing ◄─┬─ directory ◄─┴─ domains        all of them ◄─ page ◄─ GraphReader
//!                       └─ users
//! ```

mod caller;
mod claims;
mod directory;
mod domains;
mod groups;
mod listing;
pub mod need;
mod page;
mod path;
mod reader;
mod roles;
mod sign_in;
mod units;
mod users;

pub use caller::caller;
pub use claims::Claims;
pub use domains::{PasswordExpiry, password_expiry};
pub use groups::{member_apps, members, owners};
pub use listing::accounts;
pub use need::Need;
pub use page::Pages;
pub use path::user_path;
pub use reader::{GraphReader, ReadError};
pub use sign_in::{Remedy, SignInError};
pub use users::{on_premises_security_id, password_changed};
