//! The time, for what this program itself dates.

use jiff::Timestamp;
use rotation_core::{Clock, SystemClock};

/// The time now.
pub(crate) fn now() -> Timestamp {
    let clock: SystemClock = Default::default();
    clock.now()
}
