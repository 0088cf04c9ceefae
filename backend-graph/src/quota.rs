use std::time::Duration;

use rotation_core::{Quota, Quotas};

/// The quotas of writes of Graph's identity and access service
/// (<https://learn.microsoft.com/graph/throttling-limits#identity-and-access-service-limits>). Those of reads are so much wider
/// that a rotation does not meet them: a page of 999 accounts costs 1 of the 3,500 to 8,000 units in 10 s.
pub(crate) const QUOTAS: Quotas = Quotas {
    app_in_tenant: Some(quota(3_000, 150)),
    app: Some(quota(35_000, 300)),
    tenant: Some(quota(18_000, 300)),
};

const fn quota(requests: u32, seconds: u64) -> Quota {
    Quota {
        requests,
        period: Duration::from_secs(seconds),
    }
}
