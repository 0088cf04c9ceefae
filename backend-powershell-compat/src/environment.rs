/// Which Microsoft cloud a tenant lives in (<https://learn.microsoft.com/graph/deployments>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Environment {
    /// China, operated by 21Vianet.
    China,
    /// The worldwide cloud, and Microsoft 365 GCC.
    #[default]
    Global,
    /// US Government L4 (GCC High).
    UsGov,
    /// US Government L5 (`DoD`).
    UsGovDod,
}

impl Environment {
    /// The environment called `global`, `usgov`, `usgov-dod` or `china`, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "china" => Some(Self::China),
            "global" => Some(Self::Global),
            "usgov" => Some(Self::UsGov),
            "usgov-dod" => Some(Self::UsGovDod),
            _ => None,
        }
    }

    /// Where people of this cloud sign in.
    pub(crate) fn authority(self) -> &'static str {
        match self {
            Self::China => "https://login.chinacloudapi.cn",
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGov | Self::UsGovDod => "https://login.microsoftonline.us",
        }
    }

    /// What `Connect-MgGraph -Environment` calls it
    /// (<https://learn.microsoft.com/powershell/module/microsoft.graph.authentication/connect-mggraph>).
    pub(crate) fn of_graph(self) -> &'static str {
        match self {
            Self::China => "China",
            Self::Global => "Global",
            Self::UsGov => "USGov",
            Self::UsGovDod => "USGovDoD",
        }
    }

    /// What `Connect-AzureAD -AzureEnvironmentName` calls it
    /// (<https://learn.microsoft.com/powershell/module/azuread/connect-azuread>).
    pub(crate) fn of_azure_ad(self) -> &'static str {
        match self {
            Self::China => "AzureChinaCloud",
            Self::Global => "AzureCloud",
            Self::UsGov | Self::UsGovDod => "AzureUSGovernment",
        }
    }
}
