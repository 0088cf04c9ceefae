use std::time::Duration;

/// How fast a controller lets changes through, for people to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RateState {
    /// Changes a second that the directory bears, as far as it has been learned; `None` while it has shown no limit.
    /// Where the limit is shared with other tenants, that of all of them.
    pub limit: Option<f64>,
    /// The share of the quota that is used, as far as it is known.
    pub usage: Option<f64>,
    /// For how much longer the directory wants to be left alone.
    pub paused: Option<Duration>,
}
