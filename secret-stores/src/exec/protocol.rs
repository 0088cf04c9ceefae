//! What is asked of the program and what it answers, each in a line of JSON; `docs/exec-store.md` specifies both.

use std::sync::Arc;

use rotation_core::{AccountId, NewVersion, Password, RunId, TenantId, VersionId, VersionKey};
use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

/// The version of the protocol that is spoken here.
pub(super) const PROTOCOL: u32 = 1;

/// What a line holds besides strings, generously.
const FRAME: usize = 512;

/// The most bytes that JSON makes of one.
const ESCAPED: usize = 6;

/// What a program is asked to do.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    Commit(&'a VersionKey),
    Discard(&'a VersionKey),
    Forget(&'a VersionKey),
    Hello,
    Reveal(&'a VersionKey),
    Stage(&'a NewVersion),
}

/// A line to the program.
#[derive(Serialize)]
struct Line<'a> {
    op: &'static str,
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<u32>,
    #[serde(flatten)]
    key: Option<Key<'a>>,
    #[serde(flatten)]
    new: Option<New<'a>>,
}

#[derive(Serialize)]
struct Key<'a> {
    tenant: &'a TenantId,
    account: &'a AccountId,
    version: VersionId,
}

#[derive(Serialize)]
struct New<'a> {
    user_name: &'a str,
    run: RunId,
    password: Exposed<'a>,
}

/// The one place where a password is written out.
struct Exposed<'a>(&'a Password);

impl Serialize for Exposed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'a> Request<'a> {
    pub(super) fn op(self) -> &'static str {
        match self {
            Self::Commit(_) => "commit",
            Self::Discard(_) => "discard",
            Self::Forget(_) => "forget",
            Self::Hello => "hello",
            Self::Reveal(_) => "reveal",
            Self::Stage(_) => "stage",
        }
    }

    pub(super) fn key(self) -> Option<&'a VersionKey> {
        match self {
            Self::Hello => None,
            Self::Stage(new) => Some(&new.key),
            Self::Commit(key) | Self::Discard(key) | Self::Forget(key) | Self::Reveal(key) => {
                Some(key)
            }
        }
    }

    pub(super) fn new_version(self) -> Option<&'a NewVersion> {
        match self {
            Self::Stage(new) => Some(new),
            _ => None,
        }
    }

    /// The password that it hands over.
    pub(super) fn secret(self) -> Option<Arc<Password>> {
        self.new_version().map(|new| Arc::clone(&new.password))
    }

    /// The line that asks for it, with its line feed.
    pub(super) fn line(self, id: u64) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let (key, new) = (self.key(), self.new_version());
        let line = Line {
            op: self.op(),
            id,
            protocol: matches!(self, Self::Hello).then_some(PROTOCOL),
            key: key.map(|key| Key {
                tenant: &key.account.tenant,
                account: &key.account.account,
                version: key.version,
            }),
            new: new.map(|new| New {
                user_name: &new.user_name,
                run: new.run,
                password: Exposed(&new.password),
            }),
        };
        // With room for all from the start: growing would leave a copy of the password behind.
        let strings = key.map_or(0, |key| {
            key.account.tenant.as_str().len() + key.account.account.as_str().len()
        }) + new.map_or(0, |new| new.user_name.len() + new.password.expose().len());
        let mut bytes = Zeroizing::new(Vec::with_capacity(FRAME + ESCAPED * strings));
        serde_json::to_writer(&mut *bytes, &line)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// A line from the program. Fields that are not known are left to later versions of the protocol.
#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) ok: bool,
    #[serde(default)]
    pub(super) retry: bool,
    /// Whatever the program wrote there may hold a password, until it is known not to.
    #[serde(default)]
    pub(super) error: Option<SecretString>,
    #[serde(default)]
    pub(super) password: Option<SecretString>,
    #[serde(default)]
    pub(super) protocol: Option<u32>,
    #[serde(default)]
    pub(super) reveal: bool,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rotation_core::AccountKey;

    use super::*;

    fn version(password: &str) -> NewVersion {
        let account = AccountKey {
            tenant: TenantId::new("t"),
            account: AccountId::new("a"),
        };
        let password = Arc::new(Password::new(Zeroizing::new(password.to_owned())));
        let run = RunId::from_bytes([1; 16]);
        let mut new = NewVersion::new(account, "a\"@t", run, Timestamp::UNIX_EPOCH, password);
        new.key.version = VersionId::from_bytes([2; 16]);
        new
    }

    #[test]
    fn lines_are_as_documented() {
        let new = version("p\\w\n");
        let text = |request: Request<'_>| {
            let line = request.line(7).unwrap();
            String::from_utf8(line.to_vec()).unwrap()
        };
        assert_eq!(
            text(Request::Hello),
            "{\"op\":\"hello\",\"id\":7,\"protocol\":1}\n"
        );
        assert_eq!(
            text(Request::Commit(&new.key)),
            concat!(
                r#"{"op":"commit","id":7,"tenant":"t","account":"a","#,
                r#""version":"02020202-0202-0202-0202-020202020202"}"#,
                "\n"
            )
        );
        assert_eq!(
            text(Request::Stage(&new)),
            concat!(
                r#"{"op":"stage","id":7,"tenant":"t","account":"a","#,
                r#""version":"02020202-0202-0202-0202-020202020202","#,
                r#""user_name":"a\"@t","run":"01010101-0101-0101-0101-010101010101","#,
                r#""password":"p\\w\n"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_buffer_of_a_line_never_grows() {
        let new = version(&"\u{1}".repeat(256));
        let line = Request::Stage(&new).line(u64::MAX).unwrap();
        let room = FRAME + ESCAPED * ("t".len() + "a".len() + "a\"@t".len() + 256);
        assert!(line.len() <= room);
        assert_eq!(line.capacity(), room);
    }
}
