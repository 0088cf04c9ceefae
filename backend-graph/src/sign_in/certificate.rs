use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use p12_keystore::KeyStore;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::time::Time;
use zeroize::Zeroizing;

use crate::sign_in::pem::{Block, blocks};

/// `rsaEncryption` (RFC 8017, appendix A.1).
const RSA: &str = "1.2.840.113549.1.1.1";

/// For how many seconds an assertion is good: Microsoft recommends 5 to 10 minutes.
const LIFETIME: i64 = 600;

/// A certificate of the app with its private key, to sign in with
/// (<https://learn.microsoft.com/entra/identity-platform/certificate-credentials>). Clones share the key, which
/// is wiped with the last of them.
#[derive(Clone)]
pub struct ClientCertificate {
    key: Arc<RsaKeyPair>,
    /// The SHA-256 of the certificate, by which the app knows it.
    thumbprint: String,
    from: Timestamp,
    until: Timestamp,
}

/// Why a certificate cannot be used to sign in. It never shows anything of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The private key needs a passphrase.
    #[error("the private key is encrypted, expected one without a passphrase")]
    EncryptedKey,
    /// It is too late.
    #[error("the certificate expired on {}", date(*until))]
    Expired {
        /// The end of its validity.
        until: Timestamp,
    },
    /// No `CERTIFICATE` in PEM form.
    #[error("found no certificate, expected a block `BEGIN CERTIFICATE` in PEM form")]
    NoCertificate,
    /// No private key in PEM form.
    #[error("found no private key, expected a block `BEGIN PRIVATE KEY` in PEM form")]
    NoKey,
    /// Microsoft Entra ID accepts RSA certificates only.
    #[error("the certificate's key is not RSA, expected an RSA key of 2048 bits or more")]
    NotRsa,
    /// The two belong to different pairs.
    #[error("the private key does not belong to the certificate")]
    OtherKey,
    /// It is too early.
    #[error("the certificate is not valid before {}", date(*from))]
    TooEarly {
        /// The begin of its validity.
        from: Timestamp,
    },
    /// The passphrase does not open the PKCS #12 file, or it is none.
    #[error(
        "the PKCS #12 file (.pfx) cannot be opened: its passphrase is another, or it is damaged"
    )]
    Unopened,
    /// The block of a certificate holds something else.
    #[error("the certificate cannot be read: expected X.509 in PEM form")]
    UnreadableCertificate,
    /// The block of a private key holds something else.
    #[error(
        "the private key cannot be read: expected an RSA key of 2048 bits or more, as PKCS #8 or PKCS #1"
    )]
    UnreadableKey,
}

impl CertificateError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::EncryptedKey => {
                "write the key without a passphrase: `openssl pkey -in key.pem -out plain.pem`; and let only this job read it"
            }
            Self::Expired { .. } => "make a new certificate, upload it to the app and configure it",
            Self::NoCertificate | Self::NoKey => {
                "name one PEM file with both, or the certificate by `file` and the key by `key_file`"
            }
            Self::NotRsa | Self::UnreadableKey | Self::UnreadableCertificate => {
                "make an RSA pair: `openssl req -x509 -newkey rsa:3072 -noenc -days 365 -subj /CN=rotation -keyout key.pem -out cert.pem`"
            }
            Self::OtherKey => "configure the key that the certificate was made with",
            Self::Unopened => {
                "check the passphrase; one of Azure Key Vault has none. What is encrypted in an unusual way can be rewritten: `openssl pkcs12 -in app.pfx -noenc -out app.pem`"
            }
            Self::TooEarly { .. } => "wait until then, or check this machine's clock",
        }
    }
}

impl ClientCertificate {
    /// The certificate and the private key in `pem`, in any order; of several certificates the one that the key belongs to.
    ///
    /// # Errors
    /// [`CertificateError`] unless both are there, belong together, are RSA and the key is not encrypted. Whether the
    /// certificate is valid now is asked when it is used.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        let blocks = blocks(pem);
        let is_key = |block: &&Block<'_>| block.label.ends_with("PRIVATE KEY");
        let certificates: Vec<Candidate> = blocks
            .iter()
            .filter(|block| block.label == "CERTIFICATE")
            .map(|block| Candidate::read(&block.der))
            .collect::<Result<_, _>>()?;
        if certificates.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = blocks.iter().find(is_key).ok_or(CertificateError::NoKey)?;
        Self::of(key, certificates)
    }

    /// The certificate and the private key in `file`, in the form of PKCS #12, which Windows calls PFX. The library that opens
    /// it leaves copies of the key in memory that was freed; PEM does not.
    ///
    /// # Errors
    /// As for [`from_pem`](Self::from_pem), and [`CertificateError::Unopened`] unless `passphrase` opens it.
    pub fn from_pkcs12(file: &[u8], passphrase: &SecretString) -> Result<Self, CertificateError> {
        let opened = KeyStore::from_pkcs12(file, passphrase.expose_secret());
        let opened = opened.map_err(|_| CertificateError::Unopened)?;
        let (_, chain) = opened.private_key_chain().ok_or(CertificateError::NoKey)?;
        let key = Block {
            label: "PRIVATE KEY",
            encrypted: false,
            der: Zeroizing::new(chain.key().to_vec()),
        };
        let certificates = chain.chain().iter();
        let certificates = certificates.map(|certificate| Candidate::read(certificate.as_der()));
        Self::of(&key, certificates.collect::<Result<_, _>>()?)
    }

    fn of(key: &Block<'_>, certificates: Vec<Candidate>) -> Result<Self, CertificateError> {
        if certificates.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        if certificates.iter().all(|candidate| candidate.key.is_none()) {
            return Err(CertificateError::NotRsa);
        }
        let key = rsa_key(key)?;
        let public = key.public_key().as_ref();
        let own = certificates
            .into_iter()
            .find(|candidate| candidate.key.as_deref() == Some(public))
            .ok_or(CertificateError::OtherKey)?;
        Ok(Self {
            key: Arc::new(key),
            thumbprint: own.thumbprint,
            from: own.from,
            until: own.until,
        })
    }

    /// The end of its validity.
    pub(crate) fn until(&self) -> Timestamp {
        self.until
    }

    /// # Errors
    /// If the certificate is not valid `now`, which Entra would refuse without saying so.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), CertificateError> {
        if now < self.from {
            return Err(CertificateError::TooEarly { from: self.from });
        }
        if self.until < now {
            return Err(CertificateError::Expired { until: self.until });
        }
        Ok(())
    }

    /// A client assertion: says to the token endpoint `audience` that we are the app `client_id`. Not `None` in practice:
    /// the key was accepted before.
    ///
    /// The padding is PSS and the thumbprint SHA-256, as documented; their predecessors need SHA-1.
    pub(crate) fn assertion(
        &self,
        client_id: &str,
        audience: &str,
        now: Timestamp,
    ) -> Option<Zeroizing<String>> {
        let now = now.as_second();
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": Uuid::new_v4(),
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
        });
        let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = Zeroizing::new(format!("{}.{}", part(&header), part(&claims)));
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key
            .sign(&RSA_PSS_SHA256, &random, signed.as_bytes(), &mut signature)
            .ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Some(Zeroizing::new(format!("{}.{signature}", *signed)))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("thumbprint", &self.thumbprint)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// A certificate that may be the one of the key.
struct Candidate {
    /// Its RSA public key as PKCS #1; `None` for another kind.
    key: Option<Vec<u8>>,
    thumbprint: String,
    from: Timestamp,
    until: Timestamp,
}

impl Candidate {
    fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Certificate::from_der(der);
        let certificate = certificate.map_err(|_| CertificateError::UnreadableCertificate)?;
        let certificate = certificate.tbs_certificate;
        let key = certificate.subject_public_key_info;
        let is_rsa = key.algorithm.oid.to_string() == RSA;
        Ok(Self {
            key: is_rsa.then(|| key.subject_public_key.raw_bytes().to_vec()),
            thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, der)),
            from: timestamp(certificate.validity.not_before),
            until: timestamp(certificate.validity.not_after),
        })
    }
}

fn rsa_key(block: &Block<'_>) -> Result<RsaKeyPair, CertificateError> {
    let key = match block.label {
        _ if block.encrypted => return Err(CertificateError::EncryptedKey),
        "ENCRYPTED PRIVATE KEY" => return Err(CertificateError::EncryptedKey),
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(&block.der),
        _ => RsaKeyPair::from_pkcs8(&block.der),
    };
    key.map_err(|_| CertificateError::UnreadableKey)
}

/// X.509 can say years that nothing else can.
fn timestamp(time: Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;
