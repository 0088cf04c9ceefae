//! The parameters of a token request, from its form and its Basic header.

use std::fmt;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::AadSts;
use crate::endpoint::decode;

/// A token request as sent.
#[derive(Default)]
pub(crate) struct TokenForm {
    pub(crate) grant_type: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<String>,
    pub(crate) client_assertion: Option<String>,
    pub(crate) client_assertion_type: Option<String>,
    pub(crate) device_code: Option<String>,
    pub(crate) refresh_token: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) client_info: bool,
}

impl fmt::Debug for TokenForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenForm")
            .field("grant_type", &self.grant_type)
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl TokenForm {
    /// The form of a request.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let authorization = headers.get(header::AUTHORIZATION);
        Self::parse(body, authorization.and_then(|value| value.to_str().ok()))
    }

    /// Reads the form; client id and secret may come in a Basic header instead.
    fn parse(body: &[u8], authorization: Option<&str>) -> Self {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            let value = Some(value.into_owned());
            match &*name {
                "grant_type" => form.grant_type = value,
                "client_id" => form.client_id = value,
                "client_secret" => form.client_secret = value,
                "client_assertion" => form.client_assertion = value,
                "client_assertion_type" => form.client_assertion_type = value,
                "device_code" => form.device_code = value,
                "refresh_token" => form.refresh_token = value,
                "scope" => form.scope = value,
                "username" => form.username = value,
                "password" => form.password = value,
                "client_info" => form.client_info = value.as_deref() == Some("1"),
                _ => {}
            }
        }
        if let Some((id, secret)) = authorization.and_then(basic) {
            form.client_id.get_or_insert(id);
            form.client_secret.get_or_insert(secret);
        }
        form
    }

    pub(crate) fn require<'a>(
        value: &'a Option<String>,
        name: &'static str,
    ) -> Result<&'a str, AadSts> {
        value
            .as_deref()
            .filter(|value| !value.is_empty())
            .ok_or(AadSts::MissingParameter { name })
    }
}

/// Both halves are form-encoded before they are joined (RFC 6749, section 2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decode = |text: &str| decode(&text.replace('+', " "));
    Some((decode(id), decode(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_basic_header_with_encoded_halves() {
        let header = format!("Basic {}", STANDARD.encode("app:a%3Ab%2Bc=d"));
        let form = TokenForm::parse(b"grant_type=client_credentials", Some(&header));
        assert_eq!(form.client_id.as_deref(), Some("app"));
        assert_eq!(form.client_secret.as_deref(), Some("a:b+c=d"));
    }

    #[test]
    fn debug_shows_neither_secret_nor_password() {
        let form = TokenForm::parse(
            b"client_secret=s3cr3t&client_assertion=s3cr3t&password=hunter2&username=u",
            None,
        );
        let shown = format!("{form:?}");
        assert!(
            !shown.contains("s3cr3t") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
