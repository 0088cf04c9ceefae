//! A plan on disk: one JSON document, one account a line, closed by the counts and a digest of all before them.
//!
//! It is written and read line by line. The writer holds none of it, the reader only which accounts to rotate. The digest is no signature: it tells an
//! edited plan from the one that was reviewed, not a forged one.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, Write};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Decision, Planned};
use crate::{AccountId, AccountKey, AccountKind, TenantId};

const FORMAT: &str = "rotation-plan";
const VERSION: u32 = 1;

/// What a plan was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlanHeader {
    format: String,
    version: u32,
    /// When it was made.
    pub created: Timestamp,
    /// The [fingerprint](crate::Policy::fingerprint) of the policy.
    pub policy: String,
    /// The tenants, each with the caller that it was made for.
    pub tenants: Vec<PlanTenant>,
}

/// A tenant of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "part of a versioned format")]
pub struct PlanTenant {
    /// The tenant's GUID.
    pub tenant: TenantId,
    /// The object id of the caller.
    pub caller: AccountId,
}

impl PlanHeader {
    /// The header of a new plan.
    #[must_use]
    pub fn new(created: Timestamp, policy: String, tenants: Vec<PlanTenant>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            created,
            policy,
            tenants,
        }
    }
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanEntry {
    /// The tenant's GUID.
    pub tenant: TenantId,
    /// The object id.
    pub account: AccountId,
    /// The user principal name.
    pub upn: String,
    /// Where its password lives.
    pub kind: AccountKind,
    /// What is to become of it.
    #[serde(flatten)]
    pub decision: Decision,
    /// The same in words.
    #[serde(default, skip_deserializing)]
    pub reason: String,
}

impl PlanEntry {
    /// The line for an account of `tenant`.
    #[must_use]
    pub fn new(tenant: TenantId, planned: &Planned) -> Self {
        Self {
            tenant,
            account: planned.account.id.clone(),
            upn: planned.account.user_name.clone(),
            kind: planned.account.kind,
            decision: planned.decision.clone(),
            reason: planned.decision.to_string(),
        }
    }
}

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// It was changed since it was written.
    #[error("line {line}: {found}, so this is not the plan that was reviewed")]
    Changed {
        /// Where, from 1.
        line: usize,
        /// What gave it away.
        found: String,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It was made for something else.
    #[error("made for {what} {expected}, but this is {found}")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// The plan's.
        expected: String,
        /// Ours.
        found: String,
    },
    /// Not a plan, or of another version of this program.
    #[error("not a plan that this program can read: {0}")]
    Unreadable(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    rotate: u64,
    skip: u64,
    deny: u64,
    digest: String,
}

/// Writes a plan as it is made.
#[derive(Debug)]
pub struct PlanWriter<W> {
    out: W,
    digest: Sha256,
    counts: [u64; 3],
}

impl<W: Write> PlanWriter<W> {
    /// Begins a plan.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn new(out: W, header: &PlanHeader) -> io::Result<Self> {
        let mut writer = Self {
            out,
            digest: Sha256::new(),
            counts: [0; 3],
        };
        let header = serde_json::to_string(header)?;
        let open = header.strip_suffix('}').unwrap_or(&header);
        writer.write(&format!("{open},\"accounts\":["))?;
        Ok(writer)
    }

    /// Adds an account.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn entry(&mut self, entry: &PlanEntry) -> io::Result<()> {
        let comma = if self.counts.iter().sum::<u64>() == 0 {
            ""
        } else {
            ","
        };
        count(&mut self.counts, &entry.decision);
        let line = format!("{comma}\n{}", serde_json::to_string(entry)?);
        self.write(&line)
    }

    /// Ends the plan, and hands `out` back. A plan that was not ended cannot be read.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.write("\n")?;
        let [rotate, skip, deny] = self.counts;
        let digest = format!("sha256:{:x}", self.digest.finalize());
        let trailer = serde_json::to_string(&Trailer {
            rotate,
            skip,
            deny,
            digest,
        })?;
        writeln!(
            self.out,
            "],{}",
            trailer.strip_prefix('{').unwrap_or(&trailer)
        )?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.digest.update(text);
        self.out.write_all(text.as_bytes())
    }
}

/// A plan that was read back whole and unchanged.
#[derive(Debug)]
pub struct ReviewedPlan {
    header: PlanHeader,
    rotate: HashMap<TenantId, HashSet<AccountId>>,
}

impl ReviewedPlan {
    /// Reads a plan, and makes sure that it is whole and unchanged. Keeps only which accounts to rotate.
    ///
    /// # Errors
    /// - [`PlanError::Io`] if `from` cannot be read.
    /// - [`PlanError::Unreadable`] if it is no plan, or one of another version.
    /// - [`PlanError::Changed`] if it is not as it was written.
    pub fn read(from: impl BufRead) -> Result<Self, PlanError> {
        let mut digest = Sha256::new();
        let mut lines = Lines { from, line: 0 };
        let first = lines.next()?.unwrap_or_default();
        let header = header(&first)?;
        digest.update(&first);
        let tenants = header
            .tenants
            .iter()
            .map(|planned| (planned.tenant.clone(), HashSet::new()));
        let mut rotate: HashMap<TenantId, HashSet<AccountId>> = tenants.collect();
        let mut counts = [0_u64; 3];
        loop {
            let line = lines
                .next()?
                .ok_or_else(|| lines.changed("the end is missing"))?;
            if let Some(trailer) = line.strip_prefix("],") {
                let trailer: Trailer =
                    serde_json::from_str(&format!("{{{trailer}")).map_err(|error| {
                        lines.changed(&format!("the closing line is malformed ({error})"))
                    })?;
                if trailer.digest != format!("sha256:{:x}", digest.finalize()) {
                    return Err(lines.changed("the digest does not fit what stands above it"));
                }
                if [trailer.rotate, trailer.skip, trailer.deny] != counts {
                    return Err(lines.changed("the counts do not fit what stands above them"));
                }
                if lines.next()?.is_some() {
                    return Err(lines.changed("something follows the end"));
                }
                return Ok(Self { header, rotate });
            }
            digest.update(&line);
            let json = line.trim_end().trim_end_matches(',');
            let entry: PlanEntry = serde_json::from_str(json)
                .map_err(|error| lines.changed(&format!("expected one account ({error})")))?;
            let Some(of_tenant) = rotate.get_mut(&entry.tenant) else {
                return Err(
                    lines.changed(&format!("tenant {} is not in the first line", entry.tenant))
                );
            };
            count(&mut counts, &entry.decision);
            if matches!(entry.decision, Decision::Rotate { .. }) {
                of_tenant.insert(entry.account);
            }
        }
    }

    /// What it was made for.
    #[must_use]
    pub fn header(&self) -> &PlanHeader {
        &self.header
    }

    /// How many accounts it rotates.
    #[must_use]
    pub fn rotations(&self) -> usize {
        self.rotate.values().map(HashSet::len).sum()
    }

    /// Whether it rotates `account`.
    #[must_use]
    pub fn rotates(&self, account: &AccountKey) -> bool {
        self.rotate
            .get(&account.tenant)
            .is_some_and(|accounts| accounts.contains(&account.account))
    }

    /// Makes sure that it was made for this policy and these tenants.
    ///
    /// # Errors
    /// [`PlanError::Mismatch`] names what differs.
    pub fn check(&self, policy: &str, tenants: &[PlanTenant]) -> Result<(), PlanError> {
        if self.header.policy != policy {
            let (expected, found) = (self.header.policy.clone(), policy.to_owned());
            return Err(PlanError::Mismatch {
                what: "the policy",
                expected,
                found,
            });
        }
        for planned in &self.header.tenants {
            if !tenants.contains(planned) {
                let name =
                    |tenant: &PlanTenant| format!("{} (caller {})", tenant.tenant, tenant.caller);
                let found = tenants.iter().map(name).collect::<Vec<_>>().join(", ");
                return Err(PlanError::Mismatch {
                    what: "tenant",
                    expected: name(planned),
                    found,
                });
            }
        }
        Ok(())
    }
}

/// Counts what is rotated, skipped and denied, in this order.
fn count([rotate, skip, deny]: &mut [u64; 3], decision: &Decision) {
    *match decision {
        Decision::Rotate { .. } => rotate,
        Decision::Skip { .. } => skip,
        Decision::Deny { .. } => deny,
    } += 1;
}

fn header(line: &str) -> Result<PlanHeader, PlanError> {
    #[derive(Deserialize)]
    struct Format {
        format: Option<String>,
        version: Option<u32>,
    }
    let unreadable = |found: String| PlanError::Unreadable(found);
    let Some(open) = line.trim_end().strip_suffix(",\"accounts\":[") else {
        return Err(unreadable(
            "its first line is not the one that `rotation plan` writes".to_owned(),
        ));
    };
    let json = format!("{open}}}");
    match serde_json::from_str(&json) {
        Ok(Format {
            format: Some(format),
            version: Some(VERSION),
        }) if format == FORMAT => serde_json::from_str(&json)
            .map_err(|error| unreadable(format!("its first line is malformed ({error})"))),
        Ok(Format {
            format: Some(format),
            version: Some(version),
        }) if format == FORMAT => Err(unreadable(format!(
            "it has version {version}, expected {VERSION}"
        ))),
        _ => Err(unreadable(format!(
            "its first line does not say \"format\":\"{FORMAT}\""
        ))),
    }
}

/// Lines with their ends, counted, and of bounded length: a plan is hostile until parsed.
struct Lines<R> {
    from: R,
    line: usize,
}

impl<R: BufRead> Lines<R> {
    /// Ten thousand tenants fit in the first line.
    const LONGEST: u64 = 1 << 20;

    fn next(&mut self) -> Result<Option<String>, PlanError> {
        let mut bytes = Vec::new();
        self.line += 1;
        io::Read::take(&mut self.from, Self::LONGEST).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.len() as u64 == Self::LONGEST {
            return Err(self.unexpected("the line is too long"));
        }
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| self.unexpected("this is not text"))
    }

    /// In the first line it is not our file; later it is no longer our file.
    fn unexpected(&self, found: &str) -> PlanError {
        if self.line == 1 {
            PlanError::Unreadable(found.to_owned())
        } else {
            self.changed(found)
        }
    }

    fn changed(&self, found: &str) -> PlanError {
        PlanError::Changed {
            line: self.line,
            found: found.to_owned(),
        }
    }
}
