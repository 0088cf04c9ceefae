use std::fmt;
use std::str::FromStr;

use crate::ConfigError;

/// The module whose cmdlets are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// `ActiveDirectory`, for an on-premises domain
    /// (<https://learn.microsoft.com/powershell/module/activedirectory/set-adaccountpassword>).
    ActiveDirectory,
    /// `AzureAD`, retired and of no use with Entra ID any more; Windows PowerShell 5.1 only
    /// (<https://learn.microsoft.com/powershell/azure/active-directory/overview>).
    AzureAd,
    /// `Microsoft.Entra` (<https://learn.microsoft.com/powershell/entra-powershell/overview>).
    MicrosoftEntra,
    /// `Microsoft.Entra` under the names of the `AzureAD` module, by `Enable-EntraAzureADAlias`.
    MicrosoftEntraAlias,
    /// `Microsoft.Graph` (<https://learn.microsoft.com/powershell/microsoftgraph/overview>).
    MicrosoftGraph,
}

/// A module of PowerShell, as we know it.
pub(crate) struct Module {
    pub(crate) name: &'static str,
    /// The only major version we know.
    pub(crate) major: u32,
    /// The least version of it.
    pub(crate) minimum: &'static str,
    /// What to type to have it.
    pub(crate) install: &'static str,
}

impl Dialect {
    const ALL: [Self; 5] = [
        Self::ActiveDirectory,
        Self::AzureAd,
        Self::MicrosoftEntra,
        Self::MicrosoftEntraAlias,
        Self::MicrosoftGraph,
    ];

    /// Those tried, in this order, for a tenant whose configuration names none.
    pub(crate) const OF_A_TENANT: [Self; 2] = [Self::MicrosoftGraph, Self::MicrosoftEntra];

    /// Its name in configuration, which is that of its module in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ActiveDirectory => "active-directory",
            Self::AzureAd => "azuread",
            Self::MicrosoftEntra => "microsoft.entra",
            Self::MicrosoftEntraAlias => "microsoft.entra-alias",
            Self::MicrosoftGraph => "microsoft.graph",
        }
    }

    /// What must be installed. `Microsoft.Entra` needs `Microsoft.Graph` 2.25 and brings what it needs of it.
    pub(crate) fn module(self) -> Module {
        let (name, major, minimum, install) = match self {
            Self::ActiveDirectory => (
                "ActiveDirectory",
                1,
                "1.0",
                "Add-WindowsCapability -Online -Name Rsat.ActiveDirectory.DS-LDS.Tools~~~~0.0.1.0 \
                 (on a server: Install-WindowsFeature RSAT-AD-PowerShell)",
            ),
            Self::AzureAd => (
                "AzureAD",
                2,
                "2.0.2.4",
                "Install-Module AzureAD -RequiredVersion 2.0.2.182 -Scope CurrentUser",
            ),
            Self::MicrosoftEntra | Self::MicrosoftEntraAlias => (
                "Microsoft.Entra.Users",
                1,
                // the first with Set-EntraUserPasswordProfile
                // (https://learn.microsoft.com/powershell/entra-powershell/whats-new)
                "1.0.11",
                "Install-Module Microsoft.Entra -MinimumVersion 1.0.11 -MaximumVersion 1.999 -Scope CurrentUser",
            ),
            Self::MicrosoftGraph => (
                "Microsoft.Graph.Users",
                2,
                "2.0",
                "Install-Module Microsoft.Graph -MinimumVersion 2.0 -MaximumVersion 2.999 -Scope CurrentUser",
            ),
        };
        Module {
            name,
            major,
            minimum,
            install,
        }
    }

    /// The script of the worker that speaks it: the same for all, and its own cmdlets.
    pub(crate) fn script(self) -> String {
        let own = match self {
            Self::ActiveDirectory => include_str!("dialect/active-directory.ps1"),
            Self::AzureAd => include_str!("dialect/azuread.ps1"),
            Self::MicrosoftEntra => concat!(
                include_str!("dialect/graph-session.ps1"),
                include_str!("dialect/entra-session.ps1"),
                include_str!("dialect/microsoft-entra.ps1")
            ),
            Self::MicrosoftEntraAlias => concat!(
                include_str!("dialect/graph-session.ps1"),
                include_str!("dialect/entra-session.ps1"),
                include_str!("dialect/microsoft-entra-alias.ps1")
            ),
            Self::MicrosoftGraph => concat!(
                include_str!("dialect/graph-session.ps1"),
                include_str!("dialect/microsoft-graph.ps1")
            ),
        };
        [
            include_str!("worker/common.ps1"),
            own,
            include_str!("worker/serve.ps1"),
        ]
        .concat()
    }

    /// Whether it speaks to Microsoft Graph, and can read whatever Graph tells.
    pub(crate) fn reads_graph(self) -> bool {
        match self {
            Self::ActiveDirectory | Self::AzureAd => false,
            Self::MicrosoftEntra | Self::MicrosoftEntraAlias | Self::MicrosoftGraph => true,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = ConfigError;

    /// Reads the name that [`name`](Self::name) gives, in any case.
    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let mut all = Self::ALL.into_iter();
        all.find(|dialect| dialect.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                ConfigError::field(
                    "dialect",
                    format!("`{name}`"),
                    "microsoft.graph, microsoft.entra, microsoft.entra-alias, azuread or active-directory",
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::protocol::{Ask, SignInWords, lines};

    #[test]
    fn a_dialect_is_found_by_its_name_alone() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.name().to_uppercase().parse(), Ok(dialect));
        }
        let error = "msonline".parse::<Dialect>().unwrap_err();
        assert!(error.to_string().starts_with("dialect: found `msonline`"));
    }

    /// What follows each `before` in `text`, as far as it is a name.
    fn names<'a>(text: &'a str, before: &str) -> BTreeSet<&'a str> {
        let rest = text.split(before).skip(1);
        let name = |rest: &'a str| {
            rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
                .next()
        };
        rest.filter_map(name).collect()
    }

    #[test]
    fn each_script_does_what_its_dialect_is_asked_and_reads_no_field_that_it_is_not_told() {
        let words = SignInWords {
            method: "x",
            tenant: Some(String::new()),
            client_id: Some(String::new()),
            thumbprint: Some(String::new()),
            environment: Some("x"),
            user: Some(String::new()),
            server: Some(String::new()),
            search_base: Some(String::new()),
            scopes: vec!["x"],
        };
        let text = String::new;
        let asks = [
            Ask::Hello {
                protocol: 1,
                mark: text(),
            },
            Ask::Load {
                module: "x",
                major: 1,
                minimum: "1",
            },
            Ask::Connect(words),
            Ask::Set {
                account: text(),
                force_change: true,
            },
            Ask::Get { uri: text() },
            Ask::Users {
                queries: Vec::new(),
            },
        ];
        let lines =
            asks.map(|ask| String::from_utf8(lines(1, &ask, Some("x")).unwrap().to_vec()).unwrap());
        let told = lines.concat();
        for dialect in Dialect::ALL {
            let script = dialect.script();
            let functions = names(&script, "function ");
            let ops = match dialect {
                Dialect::ActiveDirectory => vec!["Caller", "Protected", "Users"],
                Dialect::AzureAd => vec!["Caller", "Users"],
                _ => vec!["Claims", "Get"],
            };
            for op in ops.into_iter().chain(["Connect", "Hello", "Load", "Set"]) {
                let function = format!("Invoke-Worker{op}");
                assert!(
                    functions.contains(function.as_str()),
                    "{dialect}: {function}"
                );
                assert!(
                    script.contains(&format!("$request.op -eq '{}'", op.to_lowercase())),
                    "{op}"
                );
            }
            let called = names(&script, "-Worker")
                .into_iter()
                .map(|name| format!("-Worker{name}"));
            for name in called.filter(|name| {
                ![
                    "-WorkerCaller",
                    "-WorkerClaims",
                    "-WorkerGet",
                    "-WorkerProtected",
                    "-WorkerUsers",
                ]
                .contains(&name.as_str())
            }) {
                assert!(
                    functions.iter().any(|function| function.ends_with(&name)),
                    "{dialect}: {name}"
                );
            }
            for field in names(&script, "$Request.").union(&names(&script, "$request.")) {
                assert!(
                    told.contains(&format!("\"{field}\":")),
                    "{dialect}: {field}"
                );
            }
        }
    }

    #[test]
    fn each_script_tells_every_field_that_is_read() {
        let common =
            "protocol powershell edition logging version found category id types message sent set";
        for (dialect, own) in [
            (
                Dialect::ActiveDirectory,
                "status domain groups account_name user_principal_name display_name enabled created password_last_set sid \
                 admin_count is_critical primary_group",
            ),
            (
                Dialect::AzureAd,
                "status tenant is_person roles user_principal_name display_name enabled user_type synced password_changed",
            ),
            (
                Dialect::MicrosoftGraph,
                "claims status request_id retry_after date body",
            ),
        ] {
            let script = dialect.script();
            for field in common.split(' ').chain(own.split_whitespace()) {
                let mut places = script.match_indices(field);
                let is_told = places.any(|(place, _)| {
                    let rest = &script[place + field.len()..];
                    rest.trim_start_matches(' ').starts_with('=')
                });
                assert!(is_told, "{dialect}: {field}");
            }
        }
    }
}
