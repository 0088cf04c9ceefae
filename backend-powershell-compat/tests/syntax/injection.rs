//! No value can change what an emitted script does.

use backend_powershell_compat::Environment;
use backend_powershell_compat::script::{GrantScript, Module, ScriptError};
use proptest::prelude::*;
use rotation_core::{RoleId, TenantId};
use uuid::Uuid;

use crate::script::Script;

fn render(module: Module, tenant: &str, permission: &str) -> Result<String, ScriptError> {
    GrantScript::new(module, RoleId::USER_ADMINISTRATOR)
        .permissions([permission])
        .tenant(&TenantId::new(tenant), Uuid::nil(), Environment::Global)
        .render()
}

/// Everything in a script but the text of its strings in single quotes; and that text, as PowerShell reads it.
fn taken_apart(text: &str) -> (Vec<String>, Vec<String>) {
    let script = Script::parse(text);
    assert!(!script.root().has_error(), "{text}");
    let (mut shape, mut values) = (Vec::new(), Vec::new());
    for node in script.nodes() {
        if node.kind() == "verbatim_string_characters" {
            shape.push("a string".to_owned());
            let quoted = script.text(node);
            let inner = quoted
                .strip_prefix('\'')
                .and_then(|q| q.strip_suffix('\''))
                .unwrap();
            values.push(inner.replace("''", "'"));
        } else if node.child_count() == 0 {
            shape.push(format!("{} {}", node.kind(), script.text(node)));
        } else {
            shape.push(node.kind().to_owned());
        }
    }
    (shape, values)
}

/// Text that has been used to break out of a string somewhere, between text of any kind.
fn hostile() -> impl Strategy<Value = String> {
    let weapon = prop::sample::select(vec![
        "'",
        "''",
        "'''",
        "\"",
        "`",
        "`'",
        "$",
        "$(",
        ")",
        "$(calc)",
        "${x}",
        "@'",
        "'@",
        "@\"",
        "#",
        "<#",
        "#>",
        ";",
        "; Remove-Item -Recurse /",
        "|",
        "&",
        "{",
        "}",
        "\\",
        "\\'",
        "--%",
        " -Force",
        "%27",
        "\n",
        "\r\n",
        "\0",
        "\t",
        "\u{85}",
        "\u{2028}",
        "\u{2018}",
        "\u{2019}",
        "\u{201a}",
        "\u{201b}",
        "\u{201c}",
        "\u{201d}",
        "\u{201e}",
        "\u{2013}",
        "\u{2014}",
        "\u{a0}",
        "\u{feff}",
        "\u{202e}",
        "Ò",
        "’; calc #",
        "contoso.com",
    ]);
    let part = prop_oneof![
        6 => weapon.prop_map(str::to_owned),
        2 => "[ -~]{0,8}",
        1 => any::<String>(),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn printable(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_can_change_what_a_script_does(
        module in prop::sample::select(Module::ALL.to_vec()),
        tenant in hostile(),
        permission in hostile(),
    ) {
        let known = TenantId::new(&tenant);
        let rendered = render(module, &tenant, &permission);
        if !printable(known.as_str()) || !printable(&permission) {
            let refused = matches!(rendered, Err(ScriptError::Value { .. }));
            prop_assert!(refused, "{rendered:?}");
            return Ok(());
        }
        let text = rendered.unwrap();
        prop_assert!(text.is_ascii());
        let (shape, values) = taken_apart(&text);
        let (harmless, others) = taken_apart(&render(module, "TENANT", "PERMISSION").unwrap());
        prop_assert_eq!(shape, harmless);
        let expected: Vec<_> = others
            .into_iter()
            .map(|value| match value.as_str() {
                "tenant" => known.as_str().to_owned(),
                "PERMISSION" => permission.clone(),
                _ => value.replace("/tenant/", &format!("/{known}/")),
            })
            .collect();
        prop_assert_eq!(values, expected);
    }
}
