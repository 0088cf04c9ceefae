//! Access tokens: JWTs that only the server that issued them accepts.

use std::io;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The signing key of one server, made at its start.
#[derive(Debug)]
pub(crate) struct Signer {
    key: hmac::Key,
}

impl Signer {
    pub(crate) fn new() -> io::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.map_err(|_| io::Error::other("the system has no randomness to give"))?;
        Ok(Self { key })
    }

    /// A signed token with these claims.
    pub(crate) fn sign<C: Serialize>(&self, claims: &C) -> String {
        // A struct of strings and numbers always serialises.
        let claims = serde_json::to_vec(claims).unwrap_or_default();
        let mut token = URL_SAFE_NO_PAD.encode(br#"{"typ":"JWT","alg":"HS256","kid":"entra-sim"}"#);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let tag = hmac::sign(&self.key, token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut token);
        token
    }

    /// The claims of a token of this server; `None` for anything else.
    pub(crate) fn verify<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let (signed, tag) = token.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.key, signed.as_bytes(), &tag).ok()?;
        let (_, claims) = signed.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// A short tag that shows that `text` came from this server.
    pub(crate) fn tag(&self, text: &str) -> String {
        let tag = hmac::sign(&self.key, text.as_bytes());
        URL_SAFE_NO_PAD.encode(tag.as_ref().get(..12).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_token_is_accepted_by_its_own_server_only() {
        let (here, there) = (Signer::new().unwrap(), Signer::new().unwrap());
        let token = here.sign(&json!({"oid": "x"}));
        assert_eq!(here.verify::<Value>(&token), Some(json!({"oid": "x"})));
        assert_eq!(there.verify::<Value>(&token), None);
    }

    #[test]
    fn a_changed_token_is_refused() {
        let signer = Signer::new().unwrap();
        let token = signer.sign(&json!({"roles": ["a"]}));
        let (head, tail) = token.split_once('.').unwrap();
        let forged = URL_SAFE_NO_PAD.encode(r#"{"roles":["b"]}"#);
        let tag = tail.split_once('.').unwrap().1;
        assert_eq!(
            signer.verify::<Value>(&format!("{head}.{forged}.{tag}")),
            None
        );
        for nonsense in ["", ".", "..", "a.b.c", "Bearer"] {
            assert_eq!(signer.verify::<Value>(nonsense), None, "{nonsense:?}");
        }
    }
}
