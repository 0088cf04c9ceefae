use super::*;

const KEY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn error(text: &str) -> String {
    let document = Document::of(&text.replace("KEY", KEY));
    let report = miette::Report::new(Config::of(document).expect_err(text));
    let plain = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none());
    let mut shown = String::new();
    plain
        .with_wrap_lines(false)
        .render_report(&mut shown, report.as_ref())
        .unwrap();
    shown
}

const STORE: &str = "[store]\nkind = \"sqlite\"\npath = \"rotation.db\"\nrecipients = [\"KEY\"]\n";
const TENANT: &str = "[[tenant]]\nid = \"contoso.onmicrosoft.com\"\nbackend = \"graph\"\n\
    client_id = \"11111111-2222-3333-4444-555555555555\"\ncredential = { kind = \"client-secret\", env = \"S\" }\n";

const COPY: &str = "[[store.copy]]\nname = \"second\"\nkind = \"sqlite\"\npath = \"copy.db\"\nrecipients = [\"KEY\"]\n";

#[cfg(all(feature = "exec", feature = "openbao", feature = "postgres"))]
#[test]
fn every_kind_of_store_has_its_own_keys() {
    let openbao = "[store]\nkind = \"openbao\"\naddress = \"https://bao:8200\"\nauth = { kind = \"token\", env = \"T\" }\n";
    let postgres = "[store]\nkind = \"postgres\"\nurl = \"postgres://u@db/r\"\npassword = { env = \"P\" }\nrecipients = [\"KEY\"]\n";
    let exec = "[store]\nkind = \"exec\"\nprogram = [\"./keep.py\"]\npath = \"states.db\"\ntimeout = \"30s\"\n";
    for good in [openbao, postgres, exec] {
        let text = format!("{good}lease = \"30s\"\n{COPY}{TENANT}").replace("KEY", KEY);
        if let Err(error) = Config::of(Document::of(&text)) {
            panic!("{good}: {error}");
        }
    }
    for (text, line, parts) in [
        (
            openbao.replace("address", "adress"),
            3,
            vec!["unknown field `adress`", "did you mean `address`?"],
        ),
        (
            openbao.replace("\"token\"", "\"tokn\""),
            4,
            vec!["unknown variant `tokn`", "did you mean `token`?"],
        ),
        (
            openbao.replace("{ kind = \"token\", env = \"T\" }", "\"hunter2\""),
            4,
            vec!["a string, expected a table with `kind`"],
        ),
        (
            postgres.replace("recipients = [\"KEY\"]\n", ""),
            1,
            vec!["missing field `recipients`"],
        ),
        (
            postgres.replace("{ env = \"P\" }", "\"hunter2\""),
            4,
            vec!["a string, expected a table with either `env` or `file`"],
        ),
        (
            exec.replace("[\"./keep.py\"]", "\"./keep.py\""),
            3,
            vec!["a string, expected a list, [\"…\"]"],
        ),
        (
            exec.replace("30s", "half a minute"),
            5,
            vec!["\"half a minute\" is not a length of time"],
        ),
        (
            exec.replace("timeout", "recipients"),
            5,
            vec!["unknown field `recipients`"],
        ),
    ] {
        let shown = error(&format!("{text}{TENANT}"));
        assert!(shown.contains(&format!("rotation.toml:{line}:")), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        for part in parts {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}

#[test]
fn a_mistake_is_shown_in_its_line_with_what_was_meant() {
    for (text, line, parts) in [
        (
            format!("[policy]\nmax_agee = \"1d\"\n{STORE}{TENANT}"),
            2,
            vec!["unknown field `max_agee`", "did you mean `max_age`?"],
        ),
        (
            format!("[policy]\nmax_age = \"90 dayz\"\n{STORE}{TENANT}"),
            2,
            vec!["\"90 dayz\" is not a length of time such as \"90d\""],
        ),
        (
            format!("[policy]\nrules = \"stirct\"\n{STORE}{TENANT}"),
            2,
            vec!["unknown variant `stirct`", "did you mean `strict`?"],
        ),
        (
            format!("[policy]\nlength = 12\nmin_digit = 13\n{STORE}{TENANT}"),
            2,
            vec!["no password satisfies both", "`length`"],
        ),
        (
            format!(
                "{STORE}{TENANT}cloud = {{ authority = \"https://a\", grahp = \"https://b\" }}\n"
            ),
            10,
            vec!["unknown field `grahp`", "did you mean `graph`?"],
        ),
        (
            format!("{STORE}{TENANT}{TENANT}"),
            11,
            vec!["tenant `contoso.onmicrosoft.com` is configured twice"],
        ),
        (
            format!("{STORE}{TENANT}").replace("sqlite", "sqlight"),
            2,
            vec!["unknown store `sqlight`", "did you mean `sqlite`?"],
        ),
        (
            format!("{STORE}{TENANT}").replace("\"graph\"", "\"powershel\""),
            7,
            vec!["unknown backend `powershel`", "did you mean `powershell`?"],
        ),
        (
            format!("{STORE}{TENANT}").replace("KEY", "age1nonsense"),
            4,
            vec!["recipient 1", "mistyped"],
        ),
        ("[store\n".to_owned(), 1, vec!["expected `]`"]),
        (
            format!("[policy]\ndrift = \"rotat\"\n{STORE}{TENANT}"),
            2,
            vec!["unknown variant `rotat`", "did you mean `rotate`?"],
        ),
        (
            format!("[policy]\nverify = \"signin\"\n{STORE}{TENANT}"),
            2,
            vec!["unknown variant `signin`", "did you mean `sign-in`?"],
        ),
        (
            format!("[audit]\nenable = false\n{STORE}{TENANT}"),
            2,
            vec!["unknown field `enable`", "did you mean `enabled`?"],
        ),
        (
            format!("[setup]\nclient = \"x\"\n{STORE}{TENANT}"),
            2,
            vec!["unknown field `client`", "`client_id`"],
        ),
        (
            format!(
                "[setup]\ncredential = {{ kind = \"device-code\", env = \"X\" }}\n{STORE}{TENANT}"
            ),
            2,
            vec!["a credential of kind `device-code` has no key `env`"],
        ),
        (
            format!("[engine]\ntenant_at_once = 3\n{STORE}{TENANT}"),
            2,
            vec![
                "unknown field `tenant_at_once`",
                "did you mean `tenants_at_once`?",
            ],
        ),
        (
            format!("[engine]\nbatch = true\n{STORE}{TENANT}"),
            2,
            vec!["wanted string"],
        ),
        (
            format!("[engine]\nbatch = \"allways\"\n{STORE}{TENANT}"),
            2,
            vec!["unknown variant `allways`", "did you mean `always`?"],
        ),
        (
            format!("[engine]\nbatch = \"auto\"\ntenants_at_once = 0\n{STORE}{TENANT}"),
            3,
            vec!["tenants_at_once of 0, expected 1 to 4096"],
        ),
        (
            format!("[engine]\nrequests_at_once = 5000\n{STORE}{TENANT}"),
            2,
            vec!["requests_at_once of 5000, expected 1 to 4096"],
        ),
        (
            format!("[engine]\nrequests_at_once = -1\n{STORE}{TENANT}"),
            2,
            vec!["`-1`, expected"],
        ),
        (
            format!("[policy]\nmax_per_tenant = -1\n{STORE}{TENANT}"),
            2,
            vec!["`-1`, expected"],
        ),
        (
            format!("{STORE}lease = \"60 dayz\"\n{TENANT}"),
            5,
            vec!["\"60 dayz\" is not a length of time"],
        ),
        (
            format!("{STORE}lease = \"2h\"\n{TENANT}"),
            5,
            vec!["a lease of 2h, expected 1s to 1h", "60s suits"],
        ),
        (
            format!("{STORE}leas = \"60s\"\n{TENANT}"),
            5,
            vec!["unknown field `leas`", "did you mean `lease`?"],
        ),
        (
            format!("{STORE}{TENANT}").replace("kind = \"sqlite\"\npath", "path"),
            1,
            vec!["missing field `kind`", "kind = \"sqlite\""],
        ),
        (
            format!("{STORE}copy = 5\n{TENANT}"),
            5,
            vec!["invalid type: integer `5`, expected a list"],
        ),
        (
            format!("{STORE}{COPY}{TENANT}").replace("name = \"second\"\n", ""),
            5,
            vec!["missing field `name`", "which copy lags"],
        ),
        (
            format!("{STORE}{COPY}{COPY}{TENANT}"),
            11,
            vec!["two copies are named `second`", "a name of its own"],
        ),
        (
            format!("{STORE}{COPY}{TENANT}")
                .replace("\"sqlite\"\npath = \"copy", "\"sqlight\"\npath = \"copy"),
            7,
            vec!["unknown store `sqlight`", "did you mean `sqlite`?"],
        ),
        (
            format!("{STORE}{COPY}{TENANT}").replace("path = \"copy", "pth = \"copy"),
            8,
            vec!["unknown field `pth`", "did you mean `path`?"],
        ),
        (
            format!("{STORE}{COPY}lease = \"60s\"\n{TENANT}"),
            10,
            vec!["unknown field `lease`"],
        ),
    ] {
        let shown = error(&text);
        assert!(shown.contains(&format!("rotation.toml:{line}:")), "{shown}");
        for part in parts {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}

#[test]
fn a_configuration_without_a_tenant_says_so() {
    let shown = error(STORE);
    assert!(
        shown.contains("no tenant: expected at least one `[[tenant]]`"),
        "{shown}"
    );
}

#[test]
fn a_secret_put_there_by_mistake_is_not_repeated() {
    let private = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    for (text, secret) in [
        (format!("{STORE}{TENANT}").replace("KEY", private), private),
        (
            format!("{STORE}{TENANT}").replace("[\"KEY\"]", &format!("\"{private}\"")),
            private,
        ),
        (
            format!("{STORE}{TENANT}").replace("env = \"S\"", "secret = \"hunter2\""),
            "hunter2",
        ),
        (
            format!("{STORE}{TENANT}")
                .replace("{ kind = \"client-secret\", env = \"S\" }", "\"hunter2\""),
            "hunter2",
        ),
        (
            format!("[setup]\ncredential = \"hunter2\"\n{STORE}{TENANT}"),
            "hunter2",
        ),
    ] {
        let shown = error(&text);
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn every_kind_of_credential_has_its_own_keys() {
    let with = |credential: &str| {
        format!("{STORE}{TENANT}").replace("{ kind = \"client-secret\", env = \"S\" }", credential)
    };
    for good in [
        "{ kind = \"certificate\", file = \"both.pem\" }",
        "{ kind = \"certificate\", file = \"cert.pem\", key_file = \"key.pem\" }",
        "{ kind = \"certificate\", env = \"C\" }",
        "{ kind = \"federated\", file = \"/token\" }",
        "{ kind = \"federated\", env = \"T\" }",
        "{ kind = \"federated\", github = true }",
        "{ kind = \"managed-identity\" }",
        "{ kind = \"azure-cli\" }",
        "{ kind = \"device-code\" }",
        "{ kind = \"certificate\", file = \"app.pfx\", passphrase_env = \"P\" }",
        "{ kind = \"federated\", azure_pipelines = \"11111111-2222-3333-4444-555555555555\" }",
        "{ kind = \"managed-identity\", client_id = \"11111111-2222-3333-4444-555555555555\" }",
    ] {
        if let Err(error) = Config::of(Document::of(&with(good).replace("KEY", KEY))) {
            panic!("{good}: {error}");
        }
    }
    let without = format!("{STORE}{TENANT}").replace("credential = { kind", "# { kind");
    assert!(Config::of(Document::of(&without.replace("KEY", KEY))).is_ok());

    for (credential, words) in [
        (
            "{ kind = \"certficate\", file = \"x\" }",
            "did you mean `certificate`?",
        ),
        ("{ env = \"S\" }", "missing field `kind`"),
        (
            "{ kind = \"client-secret\", key_file = \"x\" }",
            "a credential of kind `client-secret` has no key `key_file`, expected `env`, `file`",
        ),
        (
            "{ kind = \"certificate\" }",
            "a certificate stands in one place: expected either `file`",
        ),
        (
            "{ kind = \"certificate\", file = \"x\", env = \"Y\" }",
            "a certificate stands in one place",
        ),
        (
            "{ kind = \"certificate\", env = \"x\", key_file = \"Y\" }",
            "`key_file` goes with `file`",
        ),
        (
            "{ kind = \"federated\" }",
            "a federated token comes from one place",
        ),
        (
            "{ kind = \"federated\", file = \"x\", github = true }",
            "a federated token comes from one place",
        ),
        (
            "{ kind = \"federated\", github = false }",
            "`github` is either `true` or not there",
        ),
        (
            "{ kind = \"federated\", github = \"yes\" }",
            "expected a boolean",
        ),
        (
            "{ kind = \"device-code\", env = \"S\" }",
            "a credential of kind `device-code` has no key `env`, expected nothing but `kind`",
        ),
        (
            "{ kind = \"certificate\", env = \"C\", passphrase_env = \"P\" }",
            "a passphrase opens a PKCS #12 file (.pfx): expected its name as `file`",
        ),
        (
            "{ kind = \"certificate\", file = \"a\", passphrase_env = \"P\", passphrase_file = \"f\" }",
            "a passphrase stands in one place",
        ),
        (
            "{ kind = \"federated\", file = \"x\", azure_pipelines = \"y\" }",
            "a federated token comes from one place",
        ),
        (
            "{ kind = \"managed-identity\", env = \"S\" }",
            "a credential of kind `managed-identity` has no key `env`, expected `client_id`",
        ),
    ] {
        let shown = error(&with(credential));
        assert!(shown.contains(words), "{credential}: {shown}");
        assert!(shown.contains("rotation.toml:9"), "{credential}: {shown}");
    }
}

#[test]
fn a_tenant_may_have_a_policy_of_its_own_which_spares_whatever_all_spare() {
    let text = format!(
        "[policy]\nmax_age = \"30d\"\nlength = 20\nbreak_glass = [\"a@x.example\"]\nexclude = [\"kind:guest\"]\n{STORE}{TENANT}\
         [tenant.policy]\nlength = 40\nexclude = [\"b@x.example\"]\n{}",
        TENANT.replace("contoso", "fabrikam")
    );
    let config = Config::of(Document::of(&text.replace("KEY", KEY))).unwrap();
    let [own, common] = config.tenants.as_slice() else {
        panic!("two tenants");
    };
    assert_eq!(common.policy, config.policy);
    assert_eq!((own.policy.length, config.policy.length), (40, 20));
    assert_eq!(own.policy.max_age, config.policy.max_age);
    assert_eq!(own.policy.break_glass, config.policy.break_glass);
    let spared: Vec<_> = own.policy.exclude.iter().map(ToString::to_string).collect();
    assert_eq!(spared, ["b@x.example", "kind:guest"]);
    // a plan is bound to all of them
    assert_ne!(config.policies(), config.policy.fingerprint());

    for (own, line, words) in [
        ("lenght = 40", 11, "did you mean `length`?"),
        ("length = 4", 11, "length"),
        ("length = \"x\"", 11, "invalid type"),
        ("canary = -1", 11, "invalid value"),
    ] {
        let shown = error(&format!("{STORE}{TENANT}[tenant.policy]\n{own}\n"));
        assert!(shown.contains(words), "{own}: {shown}");
        assert!(
            shown.contains(&format!("rotation.toml:{line}")),
            "{own}: {shown}"
        );
    }
}

#[test]
fn customers_are_listed_for_whoever_may_act_there() {
    let powershell = TENANT.replace("\"graph\"", "\"powershell\"");
    let shown = error(&format!(
        "{STORE}{powershell}[tenant.customers]\nfrom = \"contracts\"\n"
    ));
    assert!(
        shown.contains("is for tenants with `backend = \"graph\"`"),
        "{shown}"
    );
    let with = |credential: &str, customers: &str| {
        let tenant = TENANT.replace("{ kind = \"client-secret\", env = \"S\" }", credential);
        format!("{STORE}{tenant}[tenant.customers]\n{customers}\n")
    };
    let secret = "{ kind = \"client-secret\", env = \"S\" }";
    let person = "{ kind = \"device-code\" }";
    for (credential, customers) in [
        (secret, "from = \"contracts\""),
        (
            secret,
            "from = \"contracts\"\ninclude = [\"*\"]\nexclude = [\"a\"]\nonly = true",
        ),
        (person, "from = \"gdap\""),
    ] {
        let text = with(credential, customers).replace("KEY", KEY);
        if let Err(error) = Config::of(Document::of(&text)) {
            panic!("{credential} {customers}: {error}");
        }
    }
    for (credential, customers, line, words) in [
        (
            secret,
            "from = \"gdap\"",
            11,
            "expected `credential = { kind = \"device-code\" }`",
        ),
        (
            person,
            "from = \"contracts\"",
            11,
            "is for an app on its own",
        ),
        (
            "{ kind = \"azure-cli\" }",
            "from = \"contracts\"",
            11,
            "from = \"gdap\"",
        ),
        (
            "{ kind = \"managed-identity\" }",
            "from = \"contracts\"",
            11,
            "signs in to its own tenant alone",
        ),
        (
            secret,
            "from = \"contract\"",
            11,
            "did you mean `contracts`?",
        ),
        (
            secret,
            "from = \"contracts\"\nexlude = []",
            12,
            "did you mean `exclude`?",
        ),
        (
            secret,
            "from = \"contracts\"\nexclude = [\" \"]",
            12,
            "an empty pattern in `exclude`",
        ),
        (secret, "only = true", 10, "missing field `from`"),
    ] {
        let shown = error(&with(credential, customers));
        assert!(shown.contains(words), "{customers}: {shown}");
        assert!(
            shown.contains(&format!("rotation.toml:{line}:")),
            "{customers}: {shown}"
        );
    }
}

#[test]
fn what_is_for_powershell_is_for_powershell_alone() {
    let graph = format!("{STORE}{TENANT}");
    let powershell = graph.replace("\"graph\"", "\"powershell\"");
    let with = |credential: &str, own: &str| {
        let text = powershell.replace("{ kind = \"client-secret\", env = \"S\" }", credential);
        format!("{text}[tenant.powershell]\n{own}\n")
    };
    let domain = "server = \"dc1.contoso.com\"\nlogin = { user = \"CONTOSO\\\\svc\", env = \"P\" }";
    let of_domain = |own: &str| {
        let text = with("X", own).replace("credential = X\n", "");
        text.replace("client_id = \"11111111-2222-3333-4444-555555555555\"\n", "")
    };
    for good in [
        powershell.clone(),
        with(
            "{ kind = \"certificate\", thumbprint = \"AB\" }",
            "workers = 4",
        ),
        with(
            "{ kind = \"interactive\" }",
            "dialect = \"microsoft.entra\"",
        ),
        with(
            "{ kind = \"access-token\", env = \"T\" }",
            "program = \"pwsh\"",
        ),
        of_domain(domain),
    ] {
        if let Err(error) = Config::of(Document::of(&good.replace("KEY", KEY))) {
            panic!("{good}: {error}");
        }
    }
    for (text, words) in [
        (
            format!("{graph}[tenant.powershell]\nworkers = 2\n"),
            "`powershell` is for tenants with `backend = \"powershell\"`",
        ),
        (
            graph
                .replace("client-secret", "interactive")
                .replace(", env = \"S\"", ""),
            "is for `backend = \"powershell\"`",
        ),
        (
            with("{ kind = \"federated\", env = \"T\" }", ""),
            "a credential of kind `federated` is for `backend = \"graph\"`",
        ),
        (
            with("{ kind = \"certificate\", file = \"app.pem\" }", ""),
            "has no key `file`, expected `thumbprint`",
        ),
        (
            with("{ kind = \"certificate\" }", ""),
            "expected its `thumbprint`",
        ),
        (
            with("{ kind = \"interactive\" }", domain)
                .replace("client_id = \"11111111-2222-3333-4444-555555555555\"\n", ""),
            "expected no `credential`",
        ),
        (
            with("{ kind = \"interactive\" }", domain),
            "a domain has no app: expected no `client_id`",
        ),
        (
            of_domain("search_base = \"OU=Staff,DC=contoso,DC=com\""),
            "`search_base` is for a domain: expected `server`",
        ),
        (
            of_domain("delegated = true"),
            "`delegated` is for a domain: expected `server`",
        ),
        (
            with("{ kind = \"interactive\" }", "dialct = \"x\""),
            "did you mean `dialect`?",
        ),
        (
            with("{ kind = \"interactive\" }", "").replace(
                "[tenant.powershell]",
                "cloud = { authority = \"https://a\", graph = \"https://b\" }\n[tenant.powershell]",
            ),
            "PowerShell's modules know the clouds by name",
        ),
    ] {
        let shown = error(&text);
        assert!(shown.contains(words), "{text}: {shown}");
    }
}
