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
            format!("{STORE}{TENANT}").replace("sqlite", "openbao"),
            2,
            vec!["the store `openbao` is not built into this binary"],
        ),
        (
            format!("{STORE}{TENANT}").replace("sqlite", "sqlight"),
            2,
            vec!["unknown store `sqlight`", "did you mean `sqlite`?"],
        ),
        (
            format!("{STORE}{TENANT}").replace("\"graph\"", "\"powershell\""),
            7,
            vec!["the backend `powershell` is not built into this binary"],
        ),
        (
            format!("{STORE}{TENANT}").replace("KEY", "age1nonsense"),
            4,
            vec!["recipient 1", "mistyped"],
        ),
        ("[store\n".to_owned(), 1, vec!["expected `]`"]),
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
    ] {
        let shown = error(&text);
        assert!(!shown.contains(secret), "{shown}");
    }
}
