//! Search filters of LDAP (RFC 4515).

use std::fmt::Write as _;

use uuid::Uuid;

/// Every account of a person or a service: no computers, no managed service accounts, whose passwords are the domain's
/// own business.
pub(crate) const ALL: &str = "(&(objectCategory=person)(objectClass=user))";

/// The account with this object id, user principal name or account name.
pub(crate) fn named(reference: &str) -> String {
    let is_it = match reference.parse::<Uuid>() {
        Ok(id) => format!("(objectGUID={})", bytes(id)),
        Err(_) => {
            let name = escaped(reference);
            format!("(|(userPrincipalName={name})(sAMAccountName={name}))")
        }
    };
    format!("(&(objectCategory=person)(objectClass=user){is_it})")
}

/// A GUID as a domain controller keeps it.
fn bytes(id: Uuid) -> String {
    let mut text = String::new();
    for byte in id.to_bytes_le() {
        // A String takes everything.
        write!(text, "\\{byte:02x}").ok();
    }
    text
}

/// `text` as a value that means nothing but itself.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\*()\0".contains(character) || character.is_control() {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                write!(escaped, "\\{byte:02x}").ok();
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_nothing_but_itself() {
        for (name, value) in [
            ("ada@contoso.com", "ada@contoso.com"),
            ("*", "\\2a"),
            ("a)(objectClass=*", "a\\29\\28objectClass=\\2a"),
            ("O'Brien\"`$(calc);\n", "O'Brien\"`$\\28calc\\29;\\0a"),
            ("a\\b\0", "a\\5cb\\00"),
            ("\u{e9}", "\u{e9}"),
        ] {
            let expected = format!(
                "(&(objectCategory=person)(objectClass=user)(|(userPrincipalName={value})(sAMAccountName={value})))"
            );
            assert_eq!(named(name), expected);
        }
    }

    #[test]
    fn a_guid_is_sought_as_the_bytes_that_are_kept() {
        let filter = named("00112233-4455-6677-8899-aabbccddeeff");
        let bytes = r"(objectGUID=\33\22\11\00\55\44\77\66\88\99\aa\bb\cc\dd\ee\ff)";
        assert!(filter.contains(bytes), "{filter}");
    }
}
