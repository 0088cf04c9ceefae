use bytes::Bytes;
use rotation_core::SetPassword;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use crate::address::GraphUrl;

/// The most bytes that JSON makes of one byte of text: `\u00XX` for a control character.
const WORST_ESCAPE: usize = 6;

/// At least the length of the body without its password.
const FRAME: usize = 128;

/// At least the length of a batch without its items, and of an item without its address and body.
const BATCH_FRAME: usize = 32;
const ITEM_FRAME: usize = 128;

/// `PATCH /users/{id}`: <https://learn.microsoft.com/graph/api/user-update>, example 3.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    password_profile: PasswordProfile<'a>,
}

/// <https://learn.microsoft.com/graph/api/resources/passwordprofile>. The flag is always sent: what its absence means
/// is not documented.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PasswordProfile<'a> {
    password: &'a str,
    force_change_password_next_sign_in: bool,
}

/// `POST /$batch`: <https://learn.microsoft.com/graph/json-batching>.
#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<Item<'a>>,
}

/// Items depend on none, so Graph carries them out side by side.
#[derive(Serialize)]
struct Item<'a> {
    #[serde(serialize_with = "as_text")]
    id: usize,
    method: &'static str,
    url: &'a str,
    headers: Headers,
    body: Body<'a>,
}

#[derive(Serialize)]
struct Headers {
    #[serde(rename = "Content-Type")]
    content_type: &'static str,
}

/// One item of a batch: at which address to set which password.
pub(crate) type Change<'a> = (&'a GraphUrl, &'a SetPassword);

impl<'a> Body<'a> {
    fn new(request: &'a SetPassword) -> Self {
        Self {
            password_profile: PasswordProfile {
                password: request.password.expose(),
                force_change_password_next_sign_in: request.force_change,
            },
        }
    }
}

/// The body that sets a password, in one buffer that never moves and is wiped with its last clone.
///
/// # Errors
/// None in practice: text always serialises.
pub(crate) fn password_body(request: &SetPassword) -> Result<Bytes, serde_json::Error> {
    write(&Body::new(request), capacity(request)).map(Bytes::from_owner)
}

/// The body of a batch that sets a password with each of its items, whose ids are 1, 2, 3 and so on; in one such buffer
/// too.
///
/// # Errors
/// None in practice, as above.
pub(crate) fn batch_body(changes: &[Change<'_>]) -> Result<Bytes, serde_json::Error> {
    write(&batch(changes), batch_capacity(changes)).map(Bytes::from_owner)
}

fn batch<'a>(changes: &[Change<'a>]) -> Batch<'a> {
    let requests = changes.iter().zip(1..).map(|((url, request), id)| Item {
        id,
        method: "PATCH",
        url: url.in_batch(),
        headers: Headers {
            content_type: "application/json",
        },
        body: Body::new(request),
    });
    Batch {
        requests: requests.collect(),
    }
}

fn write(body: &impl Serialize, capacity: usize) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let mut buffer = Zeroizing::new(Vec::with_capacity(capacity));
    serde_json::to_writer(&mut *buffer, body)?;
    Ok(buffer)
}

fn capacity(request: &SetPassword) -> usize {
    FRAME + WORST_ESCAPE * request.password.expose().len()
}

/// An address is percent-encoded, which leaves JSON nothing to escape.
fn batch_capacity(changes: &[Change<'_>]) -> usize {
    let items = changes
        .iter()
        .map(|(url, request)| ITEM_FRAME + url.in_batch().len() + capacity(request));
    BATCH_FRAME + items.sum::<usize>()
}

fn as_text<S: Serializer>(id: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reqwest::Url;
    use rotation_core::{AccountId, Password};
    use serde_json::{Value, json};

    use super::*;
    use crate::address::GraphRoot;

    fn request(account: &str, password: &str) -> SetPassword {
        let password = Password::new(Zeroizing::new(password.to_owned()));
        SetPassword::new(AccountId::new(account), Arc::new(password))
    }

    fn urls(requests: &[SetPassword]) -> Vec<GraphUrl> {
        let root = GraphRoot::new(Url::parse("https://graph.microsoft.com").unwrap());
        let accounts = requests.iter().map(|request| request.account.as_str());
        accounts.map(|account| root.user(account)).collect()
    }

    #[test]
    fn is_what_graph_documents_with_the_flag_always_present() {
        for force in [true, false] {
            let mut request = request("a", r#"a"b\c"#);
            request.force_change = force;
            let body: Value = serde_json::from_slice(&password_body(&request).unwrap()).unwrap();
            let expected = json!({"passwordProfile": {
                "password": r#"a"b\c"#,
                "forceChangePasswordNextSignIn": force,
            }});
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn a_batch_is_what_graph_documents_too() {
        let mut requests = [
            request("a", "p1"),
            request("$b'c", r#"p"2"#),
            request("é/\"", "p3"),
        ];
        requests[1].force_change = true;
        let urls = urls(&requests);
        let changes: Vec<Change<'_>> = urls.iter().zip(&requests).collect();
        let body: Value = serde_json::from_slice(&batch_body(&changes).unwrap()).unwrap();
        let item = |id: &str, url: &str, password: &str, force: bool| {
            json!({
                "id": id,
                "method": "PATCH",
                "url": url,
                "headers": {"Content-Type": "application/json"},
                "body": {"passwordProfile": {
                    "password": password,
                    "forceChangePasswordNextSignIn": force,
                }},
            })
        };
        let expected = json!({"requests": [
            item("1", "/users/a", "p1", false),
            item("2", "/users('$b''c')", r#"p"2"#, true),
            item("3", "/users/%C3%A9%2F%22", "p3", false),
        ]});
        assert_eq!(body, expected);
    }

    #[test]
    fn the_buffer_never_reallocates() {
        for text in ["", "\u{1}", "ü", "\"", "\\", "a"] {
            // an account id is text of the directory's
            let mut request = request(&format!("${text}\n'"), &text.repeat(1000));
            request.force_change = true;
            let buffer = write(&Body::new(&request), capacity(&request)).unwrap();
            assert_eq!(buffer.capacity(), capacity(&request), "{text:?}");

            let requests = vec![request; 20];
            let urls = urls(&requests);
            let changes: Vec<Change<'_>> = urls.iter().zip(&requests).collect();
            let buffer = write(&batch(&changes), batch_capacity(&changes)).unwrap();
            assert_eq!(buffer.capacity(), batch_capacity(&changes), "{text:?}");
        }
    }
}
