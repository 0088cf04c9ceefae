//! How many requests are let through: a model without HTTP, which the server asks and which a test may drive on a clock of
//! its own.
//!
//! Microsoft documents quotas of [writes and of resource units](https://learn.microsoft.com/graph/throttling-limits) in three
//! [scopes](Scope), and says that they are token buckets; what it does not document, and what other services do, can be
//! chosen: windows, limits that change, other apps in the same tenant, headers that are absent or odd.
//!
//! ```
//! use std::time::Duration;
//! use entra_sim::{Cost, Quota, Throttle, Throttles};
//! use jiff::Timestamp;
//! use uuid::Uuid;
//!
//! let quota = Quota::new(100, Duration::from_secs(10)).sliding_window();
//! let throttles = Throttles::new(Throttle::app_in_tenant(quota), Timestamp::UNIX_EPOCH);
//! let (app, tenant) = (Uuid::from_u128(1), Uuid::from_u128(2));
//! let write = || throttles.admit(app, tenant, Cost::WRITE, Timestamp::UNIX_EPOCH);
//! assert_eq!((0..150).filter(|_| write().is_ok()).count(), 100);
//! assert_eq!(write().unwrap_err().retry_after, Some(Duration::from_secs(10)));
//! ```

mod cost;
pub use cost::Cost;
mod fixed_window;
mod limits;
pub use limits::Throttle;
mod meter;
mod neighbour;
pub use neighbour::Neighbour;
mod quota;
pub use quota::Quota;
mod retry_after;
pub use retry_after::RetryAfter;
mod sliding_window;
mod throttles;
pub use throttles::{Counted, Overrun, Scope, Throttles};
mod token_bucket;
