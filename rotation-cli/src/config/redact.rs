//! Hides what is secret, and should never have been written into a configuration, from the errors about it.

/// What private keys begin with, in either case.
const PRIVATE_KEY: &str = "age-secret-key-";

/// Keys whose value somebody may take for the place of the secret itself.
const SECRET_KEYS: &[&str] = &[
    "auth",
    "client_secret",
    "credential",
    "jwt",
    "password",
    "secret",
    "secret_id",
    "token",
    "value",
];

/// `text` with stars in place of secrets, byte for byte, so that places in it stay where they are.
pub(super) fn redact_text(text: &str) -> String {
    let mut in_key = false;
    let lines = text.split_inclusive('\n').map(|line| {
        let begins = line.contains("-----BEGIN ") && line.contains("PRIVATE KEY");
        if in_key || begins {
            in_key = !line.contains("-----END ");
            return starred(line);
        }
        redact_line(line)
    });
    lines.collect()
}

/// As many bytes, but for the end of the line.
fn starred(line: &str) -> String {
    let text = line.trim_end_matches(['\r', '\n']);
    format!(
        "{}{}",
        "*".repeat(text.len()),
        line.get(text.len()..).unwrap_or_default()
    )
}

/// `message` of a parser without the text that it found.
pub(super) fn redact_message(message: &str) -> String {
    let Some((before, rest)) = message.split_once(": string \"") else {
        return redact_private_keys(message.to_owned());
    };
    // what was found may have quotes of its own, and so may what was expected
    let after = rest
        .rfind("\", expected ")
        .and_then(|end| rest.get(end + 3..));
    format!("{before}: a string, {}", after.unwrap_or_default())
}

fn redact_line(line: &str) -> String {
    let mut line = redact_private_keys(line.to_owned());
    for key in SECRET_KEYS {
        let mut from = 0;
        while let Some(value) = line.get(from..).and_then(|rest| string_after(rest, key)) {
            let (start, end) = (from + value.start, from + value.end);
            line.replace_range(start..end, &"*".repeat(end - start));
            from = end;
        }
    }
    redact_addresses(line)
}

/// Hides the password in `postgres://user:password@host`, and in any other address.
fn redact_addresses(mut line: String) -> String {
    let places = line.match_indices("://").map(|(at, mark)| at + mark.len());
    for start in places.collect::<Vec<_>>() {
        let rest = line.get(start..).unwrap_or_default();
        let end = rest.find(['/', '"', '\'', ' ']).unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        if let Some((who, _)) = authority.rsplit_once('@')
            && let Some(colon) = who.find(':')
        {
            let hidden = start + colon + 1..start + who.len();
            let stars = "*".repeat(hidden.len());
            line.replace_range(hidden, &stars);
        }
    }
    line
}

/// Where the string stands that is the value of `key`.
fn string_after(line: &str, key: &str) -> Option<std::ops::Range<usize>> {
    let found = line.match_indices(key).find_map(|(at, _)| {
        let rest = line.get(at + key.len()..)?;
        let value = rest
            .trim_start_matches(['"', '\''])
            .trim_start()
            .strip_prefix('=')?;
        let quote = value
            .trim_start()
            .chars()
            .next()
            .filter(|c| "\"'".contains(*c))?;
        let open = at + key.len() + rest.find('=')?;
        let start = open + line.get(open..)?.find(quote)? + 1;
        Some((start, quote))
    });
    let (start, quote) = found?;
    let length = line.get(start..)?.find(quote).unwrap_or(line.len() - start);
    Some(start..start + length)
}

fn redact_private_keys(mut text: String) -> String {
    let mut from = 0;
    // ASCII only, so that the places in both are the same
    while let Some(found) = text
        .to_ascii_lowercase()
        .get(from..)
        .and_then(|rest| rest.find(PRIVATE_KEY))
    {
        let start = from + found;
        let length = text
            .get(start..)
            .and_then(|key| key.find(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
            .unwrap_or(text.len() - start);
        text.replace_range(start..start + length, &"*".repeat(length));
        from = start + length;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_hidden_in_place() {
        let text = "recipients = [\"AGE-SECRET-KEY-1QQ\", \"age1abc\"]\nx = 'age-secret-key-1zz";
        let hidden = redact_text(text);
        assert_eq!(hidden.len(), text.len());
        assert!(
            !hidden.contains("1QQ") && !hidden.contains("1zz"),
            "{hidden}"
        );
        assert!(hidden.contains("age1abc"));
    }

    #[test]
    fn a_secret_written_where_its_name_belongs_is_hidden() {
        for line in [
            "credential = \"hunter2\"\n",
            "client_secret = 'hunter2'",
            "credential = { kind = \"client-secret\", secret = \"hunter2\" }",
            "\"secret\" = \"hunter2",
            "password=\"hunter2\" # a comment",
            "é = 1, secret = \"hunter2\"",
            "token = \"hunter2\"",
            "auth = { kind = \"approle\", secret_id = \"hunter2\" }",
            "url = \"postgres://rotation:hunter2@db.example/rotation\"",
            "url = 'postgres://rotation:hunter2@db.example'",
        ] {
            let hidden = redact_text(line);
            assert_eq!(hidden.len(), line.len());
            assert!(!hidden.contains("hunter2"), "{line}: {hidden}");
        }
    }

    #[test]
    fn a_private_key_of_a_certificate_is_hidden_to_its_end() {
        for text in [
            "a = 1\nkey = \"\"\"\n-----BEGIN PRIVATE KEY-----\nhunter2\nhunter2\n-----END PRIVATE KEY-----\n\"\"\"\nb = 2\n",
            "a = 1\nkey = \"-----BEGIN RSA PRIVATE KEY-----\\nhunter2\\n-----END RSA PRIVATE KEY-----\"\nb = 2",
            "a = 1\n-----BEGIN PRIVATE KEY-----\nhunter2",
        ] {
            let hidden = redact_text(text);
            assert_eq!(hidden.len(), text.len());
            assert!(!hidden.contains("hunter2"), "{hidden}");
            assert!(hidden.starts_with("a = 1\n"));
            assert_eq!(hidden.contains("b = 2"), text.contains("b = 2"), "{hidden}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let line = "credential = { kind = \"client-secret\", env = \"ENTRA_CLIENT_SECRET\" }\n";
        assert_eq!(redact_text(line), line);
        let line = "url = \"postgres://rotation@db.example:5432/rotation\"\n";
        assert_eq!(redact_text(line), line);
    }

    #[test]
    fn a_message_does_not_repeat_a_string() {
        let message = "invalid type: string \"hunter2\", expected struct Credential";
        let hidden = redact_message(message);
        assert_eq!(hidden, "invalid type: a string, expected struct Credential");
    }
}
