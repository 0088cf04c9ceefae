//! Over TLS, or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rotation_core::StoreError;
use secret_stores::PostgresTls;

use crate::cluster::Cluster;
use crate::workshop::{Workshop, rotate, version};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_who_its_authority_says_it_is() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let shop = Workshop::new(&cluster).await;
    let config = shop.config_for(&format!("localhost:{}", cluster.port));
    let over_tls = |authority: &str| {
        config
            .clone()
            .with_tls(PostgresTls::Authority(authority.as_bytes().to_vec()))
    };
    let (authority, issuer) = authority();
    let (stranger, _) = self::authority();

    let (message, _) = shop.refusal(over_tls(&authority)).await;
    assert!(message.contains("does not support TLS"), "{message}");

    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = server.signed_by(&key, &issuer).unwrap();
    for (name, text) in [
        ("server.crt", certificate.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        let path = cluster.data().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        cluster.hand_over(&path);
    }
    tokio::task::block_in_place(|| {
        cluster.down();
        cluster.configure("ssl = on\n");
        cluster.up();
    });

    let store = shop.open_with(over_tls(&authority)).await.unwrap();
    rotate(&store, &version("hunter2-hunter2")).await;
    let admin = cluster.admin(&shop.name).await;
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = $1";
    let row = admin.query_one(encrypted, &[&shop.name]).await.unwrap();
    assert!(row.get::<_, bool>(0));

    let by_address = shop
        .config_for(&format!("127.0.0.1:{}", cluster.port))
        .with_tls(PostgresTls::Authority(authority.clone().into_bytes()));
    for (what, config) in [
        ("another authority", over_tls(&stranger)),
        (
            "public authorities",
            config.clone().with_tls(PostgresTls::PublicAuthorities),
        ),
        ("another name", by_address),
    ] {
        match shop.open_with(config).await {
            Err(StoreError::Unusable(problem)) => {
                assert!(problem.message.contains("certificate"), "{what}: {problem}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// A certificate in PEM, and what signs others in its name.
fn authority() -> (String, Issuer<'static, KeyPair>) {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    (certificate.pem(), Issuer::new(parameters, key))
}
