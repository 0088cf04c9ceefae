use bytes::Bytes;
use rotation_core::SetPassword;
use serde::Serialize;
use zeroize::Zeroizing;

/// The most bytes that JSON makes of one byte of text: `\u00XX` for a control character.
const WORST_ESCAPE: usize = 6;

/// At least the length of the body without its password.
const FRAME: usize = 128;

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

/// The body that sets a password, in one buffer that never moves and is wiped with its last clone.
///
/// # Errors
/// None in practice: text always serialises.
pub(crate) fn password_body(request: &SetPassword) -> Result<Bytes, serde_json::Error> {
    write(request).map(Bytes::from_owner)
}

fn write(request: &SetPassword) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let password = request.password.expose();
    let mut buffer = Zeroizing::new(Vec::with_capacity(capacity(password)));
    let body = Body {
        password_profile: PasswordProfile {
            password,
            force_change_password_next_sign_in: request.force_change,
        },
    };
    serde_json::to_writer(&mut *buffer, &body)?;
    Ok(buffer)
}

fn capacity(password: &str) -> usize {
    FRAME + WORST_ESCAPE * password.len()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rotation_core::{AccountId, Password};
    use serde_json::json;

    use super::*;

    fn request(password: &str) -> SetPassword {
        let password = Password::new(Zeroizing::new(password.to_owned()));
        SetPassword::new(AccountId::new("a"), Arc::new(password))
    }

    #[test]
    fn is_what_graph_documents_with_the_flag_always_present() {
        for force in [true, false] {
            let mut request = request(r#"a"b\c"#);
            request.force_change = force;
            let body: serde_json::Value =
                serde_json::from_slice(&password_body(&request).unwrap()).unwrap();
            let expected = json!({"passwordProfile": {
                "password": r#"a"b\c"#,
                "forceChangePasswordNextSignIn": force,
            }});
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn the_buffer_never_reallocates() {
        for password in ["", "\u{1}", "ü", "\"", "a"] {
            let password = password.repeat(1000);
            let buffer = write(&request(&password)).unwrap();
            assert_eq!(buffer.capacity(), capacity(&password), "{password:.1}");
        }
    }
}
