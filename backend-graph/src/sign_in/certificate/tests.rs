use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};

use super::*;

fn key() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

fn certificate(key: &KeyPair) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2024, 1, 2);
    params.not_after = date_time_ymd(2025, 1, 2);
    params.self_signed(key).unwrap().pem()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_and_how_to_mend_it() {
    let (rsa, other) = (key(), key());
    let elliptic = KeyPair::generate().unwrap();
    let (pem, key_pem) = (certificate(&rsa), rsa.serialize_pem());
    let encrypted = key_pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                         DEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----";
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    for (pem, words) in [
        (String::new(), "found no certificate"),
        (key_pem.clone(), "found no certificate"),
        (pem.clone(), "found no private key"),
        (format!("{pem}{encrypted}"), "is encrypted"),
        (format!("{pem}{old_encrypted}"), "is encrypted"),
        (
            format!("{pem}{}", other.serialize_pem()),
            "does not belong to the certificate",
        ),
        (
            format!("{}{}", certificate(&elliptic), elliptic.serialize_pem()),
            "is not RSA",
        ),
        (
            format!("{pem}{}", elliptic.serialize_pem()),
            "the private key cannot be read",
        ),
        (
            format!("{broken}{key_pem}"),
            "the certificate cannot be read",
        ),
    ] {
        let error = ClientCertificate::from_pem(&pem).unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(!error.fix().is_empty());
    }
}

#[test]
fn of_a_chain_the_certificate_of_the_key_is_taken() {
    let (own, issuer) = (key(), key());
    let (leaf, root) = (certificate(&own), certificate(&issuer));
    let one = ClientCertificate::from_pem(&format!("{leaf}{}", own.serialize_pem())).unwrap();
    let chain = format!("{}{root}{leaf}", own.serialize_pem());
    let chain = ClientCertificate::from_pem(&chain).unwrap();
    assert_eq!(chain.thumbprint, one.thumbprint);
}

#[test]
fn it_is_good_between_its_two_dates() {
    let key = key();
    let pem = format!("{}{}", certificate(&key), key.serialize_pem());
    let certificate = ClientCertificate::from_pem(&pem).unwrap();
    assert_eq!(certificate.check(time("2024-07-01T00:00:00Z")), Ok(()));
    for (now, message) in [
        (
            "2024-01-01T00:00:00Z",
            "the certificate is not valid before 2024-01-02 00:00 UTC",
        ),
        (
            "2025-01-03T00:00:00Z",
            "the certificate expired on 2025-01-02 00:00 UTC",
        ),
    ] {
        let error = certificate.check(time(now)).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn an_assertion_is_as_documented_and_never_the_same_twice() {
    let key = key();
    let pem = format!("{}{}", certificate(&key), key.serialize_pem());
    let certificate = ClientCertificate::from_pem(&pem).unwrap();
    let now = time("2024-07-01T00:00:00Z");
    let make = || {
        certificate
            .assertion("client", "https://a.example/t", now)
            .unwrap()
    };
    let (assertion, again) = (make(), make());
    assert_ne!(*assertion, *again);

    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, certificate.key.public_key());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(signed.as_bytes(), &signature).unwrap();

    let parts: Vec<Value> = signed
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    let [header, claims] = parts.try_into().unwrap();
    let thumbprint = &certificate.thumbprint;
    assert_eq!(
        header,
        json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint})
    );
    let now = now.as_second();
    for (name, value) in [
        ("aud", json!("https://a.example/t")),
        ("iss", json!("client")),
        ("sub", json!("client")),
        ("nbf", json!(now)),
        ("exp", json!(now + 600)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
}

#[test]
fn debug_shows_nothing_of_the_key() {
    let key = key();
    let pem = format!("{}{}", certificate(&key), key.serialize_pem());
    let shown = format!("{:?}", ClientCertificate::from_pem(&pem).unwrap());
    let line = key.serialize_pem().lines().nth(5).unwrap().to_owned();
    assert!(shown.contains("thumbprint") && !shown.contains(&line));
    assert!(shown.len() < 200, "{shown}");
}

/// What OpenSSL writes by default and what Windows and older OpenSSL wrote, all with the same certificate.
#[test]
fn a_pfx_is_opened_with_its_passphrase_alone() {
    // as Azure Key Vault exports it
    let bare = include_bytes!("../../../tests/pfx/no_passphrase.pfx");
    let expected = ClientCertificate::from_pkcs12(bare, &"".into()).unwrap();
    for (name, file) in [
        (
            "aes",
            include_bytes!("../../../tests/pfx/aes.pfx").as_slice(),
        ),
        (
            "3des",
            include_bytes!("../../../tests/pfx/3des.pfx").as_slice(),
        ),
    ] {
        let opened = ClientCertificate::from_pkcs12(file, &"open sesame".into()).unwrap();
        assert_eq!(opened.thumbprint, expected.thumbprint, "{name}");
        for wrong in ["", "open Sesame"] {
            let error = ClientCertificate::from_pkcs12(file, &wrong.into()).unwrap_err();
            assert_eq!(error, CertificateError::Unopened, "{name} {wrong}");
        }
        for length in [0, 1, 100, file.len() / 2, file.len() - 1] {
            let error = ClientCertificate::from_pkcs12(&file[..length], &"open sesame".into());
            assert_eq!(
                error.unwrap_err(),
                CertificateError::Unopened,
                "{name} {length}"
            );
        }
    }
}
