use crate::Environment;

/// The PowerShell modules that a script uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Module {
    /// The retired `AzureAD` module, in Windows PowerShell 5.1 only. Its interface, Azure AD Graph, may answer no more.
    AzureAd,
    /// `Microsoft.Entra`, in Windows PowerShell 5.1 and PowerShell 7.
    Entra,
    /// `Microsoft.Graph`, 2.0 or later, in Windows PowerShell 5.1 and PowerShell 7.
    Graph,
}

impl Module {
    /// Every module, the recommended first.
    pub const ALL: [Self; 3] = [Self::Graph, Self::Entra, Self::AzureAd];

    /// The module called `Microsoft.Graph`, `Microsoft.Entra` or `AzureAD`, in any case, the first two also without
    /// `Microsoft.`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("microsoft.").unwrap_or(&name) {
            "azuread" => Some(Self::AzureAd),
            "entra" => Some(Self::Entra),
            "graph" => Some(Self::Graph),
            _ => None,
        }
    }

    /// The name under which `Install-Module` knows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AzureAd => "AzureAD",
            Self::Entra => "Microsoft.Entra",
            Self::Graph => "Microsoft.Graph",
        }
    }

    pub(super) fn functions(self) -> &'static str {
        match self {
            Self::AzureAd => include_str!("azure_ad.ps1"),
            Self::Entra => include_str!("entra.ps1"),
            Self::Graph => include_str!("graph.ps1"),
        }
    }

    pub(super) fn environment(self, environment: Environment) -> &'static str {
        match self {
            Self::AzureAd => environment.of_azure_ad(),
            Self::Entra | Self::Graph => environment.of_graph(),
        }
    }
}
