//! Keys by which an app proves itself without a secret: certificates of its own, and keys of issuers that it trusts.

use std::io;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Time;

use crate::seed::SeedFederation;

/// A certificate that was uploaded to the app.
#[derive(Clone, Debug)]
pub(crate) struct AppCertificate {
    /// What the header `x5t#S256` of an assertion calls it.
    pub(crate) thumbprint: String,
    /// An RSA public key, as PKCS #1.
    pub(crate) key: Vec<u8>,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

/// A federated identity credential:
/// <https://learn.microsoft.com/graph/api/resources/federatedidentitycredentials-overview>.
#[derive(Clone, Debug)]
pub(crate) struct Federation {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audience: String,
    /// The issuer's RSA public key, as PKCS #1; Entra would fetch it from the issuer.
    pub(crate) key: Vec<u8>,
}

impl AppCertificate {
    pub(crate) fn from_pem(pem: &str) -> io::Result<Self> {
        let der = decoded(pem, "CERTIFICATE")?;
        let certificate = Certificate::from_der(&der).map_err(io::Error::other)?;
        let certificate = &certificate.tbs_certificate;
        let print = digest::digest(&digest::SHA256, &der);
        Ok(Self {
            thumbprint: URL_SAFE_NO_PAD.encode(print),
            key: rsa_key(&certificate.subject_public_key_info)?,
            from: timestamp(certificate.validity.not_before)?,
            until: timestamp(certificate.validity.not_after)?,
        })
    }
}

impl Federation {
    pub(crate) fn new(seed: SeedFederation) -> io::Result<Self> {
        let der = decoded(&seed.public_key_pem, "PUBLIC KEY")?;
        let key = SubjectPublicKeyInfoOwned::from_der(&der).map_err(io::Error::other)?;
        Ok(Self {
            issuer: seed.issuer,
            subject: seed.subject,
            audience: seed.audience,
            key: rsa_key(&key)?,
        })
    }
}

fn rsa_key(key: &SubjectPublicKeyInfoOwned) -> io::Result<Vec<u8>> {
    const RSA_ENCRYPTION: &str = "1.2.840.113549.1.1.1";
    if key.algorithm.oid.to_string() != RSA_ENCRYPTION {
        return Err(io::Error::other("the simulator knows RSA keys only"));
    }
    Ok(key.subject_public_key.raw_bytes().to_vec())
}

fn timestamp(time: Time) -> io::Result<Timestamp> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_err(io::Error::other)
}

/// The first block of this name.
fn decoded(pem: &str, name: &str) -> io::Result<Vec<u8>> {
    let block = pem
        .split_once(&format!("-----BEGIN {name}-----"))
        .and_then(|(_, rest)| rest.split_once(&format!("-----END {name}-----")))
        .map(|(block, _)| block)
        .ok_or_else(|| io::Error::other(format!("no {name} in PEM form")))?;
    let text: String = block.split_ascii_whitespace().collect();
    STANDARD.decode(text).map_err(io::Error::other)
}
