/// `value` as a PowerShell string in single quotes, within which nothing but the quote itself has a meaning
/// (<https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_quoting_rules>).
///
/// `None` if it has any character but printable ASCII. PowerShell takes the typographic quotes U+2018 to U+201B for
/// single quotes, too. And Windows PowerShell reads a file without a byte order mark in the machine's code page, in which
/// one byte of a harmless letter's UTF-8 may be such a quote: so it does not do to double those.
pub(super) fn quote(value: &str) -> Option<String> {
    let printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    printable.then(|| format!("'{}'", value.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_doubled_and_all_else_stays() {
        for (value, quoted) in [
            ("", "''"),
            ("contoso.com", "'contoso.com'"),
            ("O'Neill", "'O''Neill'"),
            ("''", "''''''"),
            ("$(calc) `n \"; #<#", "'$(calc) `n \"; #<#'"),
        ] {
            assert_eq!(quote(value).as_deref(), Some(quoted));
        }
    }

    #[test]
    fn what_some_powershell_might_take_for_a_quote_or_a_line_end_is_refused() {
        for c in [
            '\0', '\n', '\r', '\t', '\u{7f}', '\u{85}', '\u{a0}', 'Ò', '\u{2018}', '\u{2019}',
            '\u{201a}', '\u{201b}', '\u{2028}', '\u{202e}', '\u{feff}', '😀',
        ] {
            assert_eq!(quote(&format!("a{c}b")), None, "{c:?}");
        }
    }
}
