use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Account, AccountKind, Denial, Due, RoleId};

/// An account with what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Planned {
    /// The account as the directory showed it.
    pub account: Account,
    /// What is to become of it.
    pub decision: Decision,
    /// Whether an earlier run left it unsettled.
    pub unsettled: bool,
    /// When someone else changed its password after we committed ours, by the directory's clock.
    pub drifted: Option<Timestamp>,
    /// When it was planned, if that is not the time of the whole plan.
    pub(crate) planned_at: Option<Timestamp>,
}

impl Planned {
    /// `account`, of which `decision` is to become.
    #[must_use]
    pub fn new(account: Account, decision: Decision) -> Self {
        Self {
            account,
            decision,
            unsettled: false,
            drifted: None,
            planned_at: None,
        }
    }
}

/// What is to become of an account, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
#[allow(
    clippy::exhaustive_enums,
    reason = "a plan says one of these three of every account"
)]
pub enum Decision {
    /// It is due, but the caller may not rotate it.
    Deny {
        /// The reason.
        #[serde(flatten)]
        because: Denial,
    },
    /// It gets a new password.
    Rotate {
        /// Why it is due.
        #[serde(flatten)]
        due: Due,
        /// The caller's role that allows it.
        by: RoleId,
    },
    /// It keeps its password.
    Skip {
        /// The reason.
        #[serde(flatten)]
        why: SkipReason,
    },
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deny { because } => because.fmt(f),
            Self::Rotate { due, by } => write!(f, "{due}; allowed by {by}"),
            Self::Skip { why } => why.fmt(f),
        }
    }
}

/// Why an account keeps its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "skip", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SkipReason {
    /// The run rotates no more accounts than it was told to.
    BeyondMaximum {
        /// How many that is.
        max: u64,
    },
    /// The policy lets a run rotate no more accounts of one tenant.
    BeyondTenantMaximum {
        /// How many that is.
        max: u64,
    },
    /// A break-glass account by policy.
    BreakGlass,
    /// It cannot sign in.
    Disabled,
    /// Excluded by policy.
    Excluded {
        /// The selector that names it.
        by: String,
    },
    /// An earlier run left it unsettled, and the directory does not have it any more.
    Gone,
    /// Its password does not live in this directory.
    Kind {
        /// Where it lives. Beside it in a plan stands the account's own `kind`.
        #[serde(rename = "lives_at")]
        kind: AccountKind,
    },
    /// Its password was never changed since it was created, and the policy leaves such accounts alone.
    NeverChanged,
    /// Its password is young enough.
    NotDue {
        /// When it falls due.
        due_at: Timestamp,
    },
    /// The policy names which accounts are in, and this is none of them.
    NotIncluded,
    /// The plan that was reviewed does not rotate it.
    NotReviewed,
    /// The caller's own account.
    OwnAccount,
    /// The directory listed it twice, and its first rotation is under way.
    Repeated,
    /// The account with which Entra Connect synchronises the tenant.
    SyncService,
    /// The directory does not say how old its password is.
    UnknownAge,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeyondMaximum { max } => write!(f, "due, but this run rotates at most {max}"),
            Self::BeyondTenantMaximum { max } => write!(
                f,
                "due, but the policy lets a run rotate at most {max} of a tenant"
            ),
            Self::BreakGlass => f.write_str("break-glass account"),
            Self::Disabled => f.write_str("disabled"),
            Self::Excluded { by } => write!(f, "excluded by \"{by}\""),
            Self::Gone => f.write_str("no longer in the directory"),
            Self::Kind { kind } => write!(
                f,
                "{kind} account: its password does not live in this directory"
            ),
            Self::NeverChanged => f.write_str("never changed, which the policy leaves alone"),
            Self::NotDue { due_at } => write!(f, "not due before {}", due_at.strftime("%Y-%m-%d")),
            Self::NotIncluded => f.write_str("not included by the policy"),
            Self::NotReviewed => f.write_str("due, but the reviewed plan does not rotate it"),
            Self::OwnAccount => f.write_str("the caller's own account"),
            Self::Repeated => f.write_str("listed twice, and its rotation is under way"),
            Self::SyncService => f.write_str("the account of the directory synchronisation"),
            Self::UnknownAge => {
                f.write_str("age unknown: the directory does not say when its password was changed")
            }
        }
    }
}
