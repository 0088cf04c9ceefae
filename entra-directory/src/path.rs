use std::fmt::Write as _;

/// A user by object id or user name
/// (<https://learn.microsoft.com/graph/api/user-get>, "User principal names that begin with $"), percent-encoded, below the
/// version of Graph.
#[must_use]
pub fn user_path(reference: &str) -> String {
    let misread = reference.starts_with('$') || reference.chars().all(|c| c == '.');
    if misread {
        format!(
            "users('{}')",
            encoded(&reference.replace('\'', "''"), b"$'")
        )
    } else {
        format!("users/{}", encoded(reference, b""))
    }
}

/// Percent-encoded, but for what needs no encoding in a segment (RFC 3986, 3.3) and is in names, and for what to `keep`.
fn encoded(text: &str, keep: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) || keep.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // A String takes everything.
            write!(encoded, "%{byte:02X}").ok();
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_stays_one_segment_whatever_the_name() {
        for (reference, path) in [
            ("ada@contoso.com", "users/ada@contoso.com"),
            ("a_b#EXT#@c.d", "users/a_b%23EXT%23@c.d"),
            (
                "O'Brien\"`$(calc);\n@é",
                "users/O%27Brien%22%60%24%28calc%29%3B%0A@%C3%A9",
            ),
            ("../organization?x", "users/..%2Forganization%3Fx"),
            ("%2e%2e", "users/%252e%252e"),
            ("x?y=z", "users/x%3Fy%3Dz"),
            ("$it's", "users('$it''s')"),
            ("..", "users('..')"),
            ("", "users('')"),
        ] {
            assert_eq!(user_path(reference), path);
        }
    }
}
