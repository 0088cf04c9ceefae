use backend_graph::{Customer, CustomersFrom};
use serde::Deserialize;

use super::{ConfigError, Credential, CredentialKind, Document, Step, below};

/// Which customers of a partner are tenants, too.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customers {
    from: From,
    /// All if empty.
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    /// Whether the partner's own tenant is none of those to work in.
    #[serde(default)]
    pub(crate) only: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum From {
    Contracts,
    Gdap,
}

impl Customers {
    pub(crate) fn from(&self) -> CustomersFrom {
        match self.from {
            From::Contracts => CustomersFrom::Contracts,
            From::Gdap => CustomersFrom::Gdap,
        }
    }

    /// Whether `customer` is one of those that are wanted.
    pub(crate) fn take(&self, customer: &Customer) -> bool {
        let names = [
            Some(customer.id.as_str()),
            customer.domain.as_deref(),
            Some(customer.display_name.as_str()),
        ];
        let is_named_in = |patterns: &[String]| {
            let mut names = names.iter().flatten();
            names.any(|name| patterns.iter().any(|pattern| matches(pattern, name)))
        };
        (self.include.is_empty() || is_named_in(&self.include)) && !is_named_in(&self.exclude)
    }

    /// That `credential` is good at customers, and no pattern is empty, at `steps` in `document`.
    pub(super) fn check(
        &self,
        credential: Option<&Credential>,
        document: &Document,
        steps: &[Step<'_>],
    ) -> Result<(), ConfigError> {
        for (key, patterns) in [("include", &self.include), ("exclude", &self.exclude)] {
            if patterns.iter().any(|pattern| pattern.trim().is_empty()) {
                let message = format!(
                    "an empty pattern in `{key}`: expected an id, a domain or a name, with `*` for anything"
                );
                return Err(document.error(&below(steps, Step::Key(key)), message));
            }
        }
        let kind = credential.map(|credential| credential.kind);
        let (wrong, help) = match (self.from, kind) {
            (From::Gdap, Some(CredentialKind::DeviceCode)) => return Ok(()),
            (From::Gdap, _) => (
                "`from = \"gdap\"` is what a person of the partner may do: expected `credential = { kind = \"device-code\" }`",
                "an app on its own acts in the tenants that consented to it: from = \"contracts\"",
            ),
            (From::Contracts, Some(CredentialKind::AzureCli | CredentialKind::DeviceCode)) => (
                "`from = \"contracts\"` is for an app on its own: expected its secret, certificate or federated token as `credential`",
                "a person of the partner acts at customers by GDAP: from = \"gdap\", with { kind = \"device-code\" }",
            ),
            (From::Contracts, Some(CredentialKind::ManagedIdentity)) => (
                "a managed identity signs in to its own tenant alone: expected a secret, certificate or federated token as `credential`",
                "a managed identity can stand for the app as its federated token, of a workload on the same machine",
            ),
            (From::Contracts, _) => return Ok(()),
        };
        let at = below(steps, Step::Key("from"));
        Err(document.error(&at, wrong).with_help(help))
    }
}

/// Whether `name` is what `pattern` says, in any case: `*` stands for anything, nothing included.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.trim().to_lowercase(), name.to_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else {
            return false;
        };
        left = left.get(at + part.len()..).unwrap_or_default();
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("fabrikam.example", "Fabrikam.Example", true),
            ("fabrikam.example", "fabrikam.example.org", false),
            ("*.example", "fabrikam.example", true),
            ("*.example", "fabrikam.example.org", false),
            ("Fabrikam*", "fabrikam Ltd", true),
            ("Fabrikam*", "The Fabrikam Ltd", false),
            ("*a*b*", "xaxbx", true),
            ("*a*b*", "xbxax", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*b", "ab", false),
            ("*", "", true),
            ("É*", "école", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
