use super::*;

const CLIENT: &str = "11111111-2222-3333-4444-555555555555";

fn tenant(id: &str, sign_in: SignInWith) -> PowerShellConfig {
    PowerShellConfig::new(Directory::Tenant(Tenant::new(id, sign_in)))
}

fn domain(server: &str) -> PowerShellConfig {
    PowerShellConfig::new(Directory::Domain(Domain::new(server)))
}

fn secret(client_id: &str, secret: &str) -> SignInWith {
    SignInWith::ClientSecret {
        client_id: client_id.to_owned(),
        secret: secret.into(),
    }
}

fn certificate(thumbprint: &str) -> SignInWith {
    SignInWith::Certificate {
        client_id: CLIENT.to_owned(),
        thumbprint: thumbprint.to_owned(),
    }
}

#[test]
fn a_wrong_field_is_named_with_what_was_found() {
    let sound = || tenant("contoso.com", secret(CLIENT, "s"));
    for (config, message) in [
        (
            tenant("contoso", SignInWith::Interactive),
            "tenant: found `contoso`",
        ),
        (
            tenant("a.b;calc", SignInWith::Interactive),
            "tenant: found `a.b;calc`",
        ),
        (tenant("a.b", secret("x", "s")), "client_id: found `x`"),
        (
            tenant("a.b", secret(CLIENT, " ")),
            "sign_in: found an empty client secret",
        ),
        (tenant("a.b", certificate("abc")), "thumbprint: found `abc`"),
        (domain(""), "server: found ``"),
        (domain("dc1;x"), "server: found `dc1;x`"),
        (sound().with_workers(0), "workers: found 0"),
        (sound().with_workers(17), "workers: found 17"),
        (
            sound().with_request_timeout(Duration::ZERO),
            "request_timeout: found 0ns",
        ),
        (
            sound().with_dialect(Dialect::ActiveDirectory),
            "dialect: found active-directory",
        ),
        (
            sound().with_dialect(Dialect::AzureAd),
            "sign_in: found another way",
        ),
        (
            domain("dc1").with_dialect(Dialect::AzureAd),
            "dialect: found azuread",
        ),
    ] {
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    assert_eq!(sound().check(), Ok(()));
    assert_eq!(domain("dc1.contoso.com").check(), Ok(()));
    assert_eq!(tenant("a.b", certificate(&"Ab".repeat(20))).check(), Ok(()));
}

#[test]
fn no_secret_is_shown() {
    let login = Domain::new("dc1").with_login("C\\admin", "hunter2".into());
    for config in [
        tenant("a.b", secret(CLIENT, "hunter2")),
        tenant("a.b", SignInWith::AccessToken("hunter2".into())),
        PowerShellConfig::new(Directory::Domain(login)),
    ] {
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
