//! Client assertions: a JWT that the app signed with the key of a certificate, or that another issuer signed for it.
//!
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>,
//! <https://learn.microsoft.com/entra/workload-id/workload-identity-federation>

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{AadSts, FederationMismatch, TokenForm};
use crate::directory::{Directory, Federation, ServicePrincipal};
use crate::world::World;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far clocks may differ, in seconds.
const SKEW: i64 = 300;

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(rename = "x5t#S256")]
    thumbprint: Option<String>,
}

#[derive(Deserialize)]
struct Assertion {
    aud: Audience,
    exp: i64,
    iss: String,
    jti: Option<String>,
    nbf: Option<i64>,
    sub: String,
}

/// GitLab gives a list if asked for more than one audience, and Kubernetes always.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn contains(&self, wanted: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(audience) => wanted(audience),
            Self::Many(audiences) => audiences.iter().any(|audience| wanted(audience)),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::One(audience) => audience.clone(),
            Self::Many(audiences) => audiences.join(", "),
        }
    }
}

/// The parts of a JWT.
struct Token<'a> {
    signed: &'a str,
    header: Header,
    claims: Assertion,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self {
            signed,
            header: part(header)?,
            claims: part(claims)?,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    fn signed_by(&self, key: &[u8], algorithm: &'static RsaParameters) -> bool {
        let key = UnparsedPublicKey::new(algorithm, key);
        key.verify(self.signed.as_bytes(), &self.signature).is_ok()
    }

    fn is_in_time(&self, now: i64) -> bool {
        let begun = self.claims.nbf.is_none_or(|nbf| nbf - SKEW <= now);
        begun && now < self.claims.exp.saturating_add(SKEW)
    }
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// Whether the assertion of `form` proves that its sender is `app`.
pub(super) fn check(
    world: &World,
    directory: &Directory,
    app: &ServicePrincipal,
    form: &TokenForm,
) -> Result<(), AadSts> {
    let kind = TokenForm::require(&form.client_assertion_type, "client_assertion_type")?;
    let text = TokenForm::require(&form.client_assertion, "client_assertion")?;
    let token = Token::parse(text)
        .filter(|_| kind == JWT_BEARER)
        .ok_or(AadSts::AssertionMalformed)?;
    let now = world.clock.now().as_second();
    // Other issuers are addresses; an app that signs for itself says its client id.
    if token.claims.iss.starts_with("https://") {
        of_another(&token, app)?;
    } else {
        of_the_app(&token, world, directory, app)?;
    }
    if token.is_in_time(now) {
        Ok(())
    } else {
        Err(AadSts::AssertionTime)
    }
}

fn of_the_app(
    token: &Token<'_>,
    world: &World,
    directory: &Directory,
    app: &ServicePrincipal,
) -> Result<(), AadSts> {
    let claims = &token.claims;
    let client_id = app.client_id.to_string();
    if claims.iss != client_id || claims.sub != client_id {
        return Err(AadSts::AssertionSubject);
    }
    // Documented as required: <https://learn.microsoft.com/entra/identity-platform/certificate-credentials#claims-payload>.
    if claims.jti.as_deref().is_none_or(str::is_empty) || claims.nbf.is_none() {
        return Err(AadSts::AssertionMalformed);
    }
    if !claims
        .aud
        .contains(|audience| is_ours(audience, world, directory))
    {
        return Err(AadSts::AssertionAudience);
    }
    let refused = |reason| AadSts::AssertionSignature { reason };
    let thumbprint = token.header.thumbprint.as_deref();
    let certificate = app
        .certificates
        .iter()
        .find(|known| Some(known.thumbprint.as_str()) == thumbprint)
        .ok_or_else(|| refused("The key was not found."))?;
    if token.header.alg != "PS256" || !token.signed_by(&certificate.key, &RSA_PSS_2048_8192_SHA256)
    {
        return Err(refused("The signature does not match the key."));
    }
    let now = world.clock.now();
    if now < certificate.from || certificate.until < now {
        return Err(refused("The key used is expired."));
    }
    Ok(())
}

/// The token endpoint of the tenant, by whichever of its names.
fn is_ours(audience: &str, world: &World, directory: &Directory) -> bool {
    let tenant = audience
        .strip_prefix(world.base_url.as_str())
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|rest| rest.strip_suffix("/oauth2/v2.0/token"));
    let found = tenant.and_then(|tenant| world.tenant(tenant));
    found.is_some_and(|found| found.id == directory.id)
}

fn of_another(token: &Token<'_>, app: &ServicePrincipal) -> Result<(), AadSts> {
    let federation = registered(&token.claims, &app.federations)?;
    let signed = token.signed_by(&federation.key, &RSA_PKCS1_2048_8192_SHA256);
    if token.header.alg == "RS256" && signed {
        Ok(())
    } else {
        // No page says which code this is.
        Err(AadSts::AssertionSignature {
            reason: "The signature does not match a key of the issuer.",
        })
    }
}

/// The federated identity credential that the token matches, case and all.
fn registered<'a>(
    claims: &Assertion,
    federations: &'a [Federation],
) -> Result<&'a Federation, AadSts> {
    let none = |what, found: &str| AadSts::Federation {
        what,
        found: found.to_owned(),
    };
    if federations.is_empty() {
        return Err(none(FederationMismatch::Any, &claims.sub));
    }
    let mut rest: Vec<&Federation> = federations.iter().collect();
    rest.retain(|one| one.issuer == claims.iss);
    if rest.is_empty() {
        return Err(none(FederationMismatch::Issuer, &claims.iss));
    }
    rest.retain(|one| claims.aud.contains(|audience| audience == one.audience));
    if rest.is_empty() {
        return Err(none(FederationMismatch::Audience, &claims.aud.shown()));
    }
    let matching = rest.iter().find(|one| one.subject == claims.sub);
    matching.copied().ok_or_else(|| {
        let but_for_case = |one: &&Federation| one.subject.eq_ignore_ascii_case(&claims.sub);
        let what = if rest.iter().any(but_for_case) {
            FederationMismatch::SubjectCase
        } else {
            FederationMismatch::Subject
        };
        none(what, &claims.sub)
    })
}
