//! Whether somebody may change an account so, and what Graph answers if not.

use uuid::Uuid;

use super::GraphError;
use crate::authorize::{self, Acting, Denial, Target};
use crate::directory::{Account, Directory, Holdings};

/// Who asks, as the token says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) principal: Uuid,
    pub(crate) app_only: bool,
    /// `roles` of an app-only token, `scp` of a delegated one.
    pub(crate) permissions: &'a [String],
    /// What it holds, if that is not in the directory, as it is of a partner.
    pub(crate) of_partner: Option<&'a Holdings>,
}

/// Which properties a PATCH touches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touched {
    pub(crate) password: bool,
    pub(crate) enabled: bool,
}

/// The account with this object id or UPN, if every part of the change is allowed; one that is not refuses the whole.
pub(crate) fn account<'a>(
    directory: &'a Directory,
    asking: Asking<'_>,
    touched: Touched,
    key: &str,
) -> Result<&'a Account, GraphError> {
    let account = directory.account_by_key(key);
    let access = directory.access();
    let acting = Acting {
        principal: asking.principal,
        app_only: asking.app_only,
        permissions: asking.permissions,
        holdings: asking
            .of_partner
            .or_else(|| access.holdings(asking.principal)),
    };
    // An id that does not exist is nobody's: what an ordinary account would answer goes first,
    // so that a caller without rights learns nothing from a 404.
    let target = Target {
        principal: account.map_or_else(Uuid::nil, |account| account.id),
        holdings: account.and_then(|account| access.holdings(account.id)),
    };
    let switches = &directory.switches;
    let password = touched
        .password
        .then(|| authorize::password(acting, target, switches));
    let enabled = touched
        .enabled
        .then(|| authorize::account_enabled(acting, target, switches));
    for verdict in [password, enabled].into_iter().flatten() {
        verdict.map_err(|denial| match denial {
            Denial::Permission | Denial::Role => GraphError::denied(),
            Denial::RestrictedUnit => GraphError::restricted_unit(),
        })?;
    }
    account.ok_or_else(|| GraphError::not_found(key))
}
