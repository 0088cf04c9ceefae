//! What a worker is asked and what it answers, each in a line of JSON.
//!
//! ```text
//! → {"id":3,"op":"set","account":"…","force_change":false,"secret":true}
//! → "UGFzc3dvcmQ="                                            its secret, in base64, in a line of its own
//! ←                                                          an empty line ends whatever somebody else began
//! ← @rotation:5f1c… {"id":3,"ok":{"status":204}}             the mark of this worker, drawn at random
//! ```
//!
//! - Both ways are ASCII alone, other characters escaped, so that no code page of a console can change them and UTF-16
//!   is the same with NULs in between.
//! - A secret is never part of what PowerShell parses as JSON: `ConvertFrom-Json` is a cmdlet, and module logging
//!   records the arguments of cmdlets
//!   (<https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_logging_windows>).
//! - Without its mark a line is somebody else's: a module that prints JSON answers nothing.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

/// The version of the protocol that is spoken here.
pub(crate) const PROTOCOL: u32 = 1;

/// What a worker is asked to do.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// The base64 text of the caller's own claims.
    Claims,
    /// Signs in; the secret is the credential's, if it has one.
    Connect(SignInWords),
    /// Who we are in a domain or in a tenant of the `AzureAD` module.
    Caller,
    /// Reads from Graph, below its root.
    Get {
        /// As `v1.0/users?$top=999`.
        uri: String,
    },
    /// The handshake, before any module is loaded.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// What each line of this worker's answers begins with.
        mark: String,
    },
    /// Loads the module.
    Load {
        /// Its name.
        module: &'static str,
        /// The only major version we know.
        major: u32,
        /// The least version of it.
        minimum: &'static str,
    },
    /// Who is protected in a domain: the members of its administrative groups.
    Protected,
    /// Sets one password, which is the secret.
    Set {
        /// The object id.
        account: String,
        /// Whether its user must choose another one.
        force_change: bool,
    },
    /// The accounts of a domain or of a tenant of the `AzureAD` module, in parts.
    Users {
        /// Filters of LDAP for a domain; object ids or user names for a tenant, of which none is all.
        queries: Vec<String>,
    },
}

/// How to sign in, in the words of the worker.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct SignInWords {
    /// `certificate`, `client-secret`, `access-token`, `managed-identity`, `interactive` or `windows`.
    pub(crate) method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thumbprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<&'static str>,
    /// The user of a password, or of a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// The domain controller that everything is asked of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    /// Where accounts are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) search_base: Option<String>,
    /// What a person is asked to consent to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) scopes: Vec<&'static str>,
}

impl Ask {
    /// Whether items come in parts before the answer.
    pub(crate) fn has_parts(&self) -> bool {
        matches!(self, Self::Protected | Self::Users { .. })
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: u64,
    #[serde(flatten)]
    ask: &'a Ask,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    secret: bool,
}

/// The lines that ask for `ask`, `secret` in one of its own.
///
/// # Errors
/// Those of writing JSON.
pub(crate) fn lines(
    id: u64,
    ask: &Ask,
    secret: Option<&str>,
) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let is_secret = secret.is_some();
    let line = serde_json::to_string(&Line {
        id,
        ask,
        secret: is_secret,
    })?;
    let line = ascii(&line);
    // With room for all from the start: growing would leave a copy of the secret behind.
    let encoded = secret.map_or(0, |secret| secret.len().div_ceil(3) * 4 + 3);
    let mut bytes = Zeroizing::new(Vec::with_capacity(line.len() + 1 + encoded));
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    if let Some(secret) = secret {
        let secret = Zeroizing::new(STANDARD.encode(secret));
        bytes.push(b'"');
        bytes.extend_from_slice(secret.as_bytes());
        bytes.extend_from_slice(b"\"\n");
    }
    Ok(bytes)
}

/// JSON with everything else than ASCII escaped.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // A String takes everything.
                write!(text, "\\u{unit:04x}").ok();
            }
        }
    }
    text
}

/// A line of a worker. One request is answered by any number of parts and then by one yes or no.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    /// How many bytes it was told in.
    #[serde(skip)]
    pub(crate) length: usize,
    #[serde(flatten)]
    pub(crate) says: Says,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Says {
    /// Some of the items asked for.
    Part(Vec<Value>),
    /// Done.
    Ok(Value),
    /// Not done, or not known to be.
    Error(Record),
}

/// A PowerShell error record, as it is
/// (<https://learn.microsoft.com/dotnet/api/system.management.automation.errorrecord>).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    /// `CategoryInfo.Category`.
    pub(crate) category: String,
    /// `FullyQualifiedErrorId`.
    pub(crate) id: String,
    /// The types of the exception and of what is inside it, the outermost first.
    pub(crate) types: Vec<String>,
    /// Their messages and the details, which may repeat what was sent.
    pub(crate) message: String,
    /// Whether the cmdlet that changes a password was called: before, nothing was sent. What does not say so may have been.
    #[serde(default = "may_be_sent")]
    pub(crate) sent: bool,
    /// Whether it had succeeded, and something after it failed.
    pub(crate) set: bool,
    /// Whether some of its words hold a secret, so that none is repeated.
    #[serde(skip)]
    pub(crate) is_withheld: bool,
}

fn may_be_sent() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ask: &Ask, secret: Option<&str>) -> String {
        String::from_utf8(lines(7, ask, secret).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn lines_are_ascii_and_the_secret_is_in_one_of_its_own() {
        let set = Ask::Set {
            account: "a-1".to_owned(),
            force_change: false,
        };
        assert_eq!(
            text(&set, Some("hunter2é")),
            concat!(
                r#"{"id":7,"op":"set","account":"a-1","force_change":false,"secret":true}"#,
                "\n\"aHVudGVyMsOp\"\n"
            )
        );
        let named = ["O'Brien\"`$(calc);\n\u{e9}\u{1f600}@contoso.com".to_owned()];
        let users = Ask::Users {
            queries: named.to_vec(),
        };
        assert_eq!(
            text(&users, None),
            concat!(
                r#"{"id":7,"op":"users","queries":["O'Brien\"`$(calc);\n\u00e9\ud83d\ude00@contoso.com"]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_buffer_of_a_secret_never_grows() {
        let set = Ask::Set {
            account: "a-1".to_owned(),
            force_change: true,
        };
        for length in 0..300 {
            let bytes = lines(u64::MAX, &set, Some(&"x".repeat(length))).unwrap();
            assert_eq!(bytes.len(), bytes.capacity(), "{length}");
        }
    }

    #[test]
    fn an_answer_is_a_part_a_yes_or_an_error() {
        let says = |line: &str| serde_json::from_str::<Answer>(line).map(|answer| answer.says);
        assert!(
            matches!(says(r#"{"id":1,"part":[1,2]}"#), Ok(Says::Part(items)) if items.len() == 2)
        );
        assert!(matches!(says(r#"{"id":1,"ok":{}}"#), Ok(Says::Ok(_))));
        let error = says(r#"{"id":1,"error":{"id":"X,Y","sent":true,"new":1}}"#);
        assert!(matches!(error, Ok(Says::Error(record)) if record.sent && record.id == "X,Y"));
        for (record, sent) in [("{}", true), (r#"{"sent":false}"#, false)] {
            let error = says(&format!(r#"{{"id":1,"error":{record}}}"#));
            assert!(matches!(error, Ok(Says::Error(record)) if record.sent == sent));
        }
        for line in [
            r#"{"id":1}"#,
            r#"{"ok":{}}"#,
            "{}",
            "[]",
            r#"{"id":"1","ok":{}}"#,
        ] {
            assert!(says(line).is_err(), "{line}");
        }
    }
}
