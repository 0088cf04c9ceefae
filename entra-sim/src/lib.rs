//! A simulator of Entra ID sign-in and Microsoft Graph, strict on purpose.
//!
//! It judges code that rotates passwords and therefore shares nothing with it: its role table,
//! reset matrix, password rules and error answers are written from Microsoft's documentation
//! alone. Where that is silent, a [switch](Switches) says which of the plausible behaviours a
//! tenant shows.
//!
//! ```
//! # async fn example() -> std::io::Result<()> {
//! use entra_sim::{Config, Effect, Fault, Server, Tenant};
//!
//! let server = Server::start(Config::default().tenant(Tenant::demo(1_000))).await?;
//! let tenant = server.tenant();
//! // Sign in at `{base_url}/{id}/oauth2/v2.0/token`, then PATCH `{base_url}/v1.0/users/…`;
//! // the answer to the second PATCH gets lost.
//! server.add_fault(Fault::on_patch(Effect::disconnect_after()).skip(1).once());
//! println!("{} {} {}", server.base_url(), tenant.id(), tenant.client_id());
//! # Ok(())
//! # }
//! ```
//!
//! A request comes in by `front`, passes an `exchange` (faults, records), then `token` or `graph`; a PATCH asks `authorize`
//! (with the table in `matrix`), then `password_rules` (with the lists in `banned`), and changes
//! one account in `directory`.

mod authority;
pub use authority::{Actor, Authority, Refusal};
mod authorize;
mod banned;
mod clock;
mod config;
pub use config::Config;
mod control;
mod directory;
mod endpoint;
pub use endpoint::Endpoint;
mod exchange;
mod fault;
pub use fault::{Effect, Fault};
mod front;
mod graph;
mod handle;
pub use handle::{AppView, TenantHandle, UserView};
mod jwt;
mod late;
mod matrix;
mod partner;
mod password_rules;
mod record;
pub use record::{RequestRecord, Totals};
mod reply;
mod rng;
mod role;
pub use role::Role;
mod role_table;
mod seed;
pub use seed::{App, Authentication, Group, Relationship, Tenant, Unit, User};
mod server;
pub use server::Server;
mod switches;
pub use switches::{Switches, Unserved};
mod throttle;
pub use throttle::{
    Cost, Counted, Neighbour, Overrun, Quota, RetryAfter, Scope, Throttle, Throttles,
};
#[cfg(feature = "tls")]
mod tls;
mod token;
mod wire;
mod world;
