use reqwest::Url;
use url::Host;

use crate::ConfigError;

/// Which Microsoft cloud a tenant lives in; tokens of one are worth nothing in another
/// (<https://learn.microsoft.com/graph/deployments>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cloud {
    /// China, operated by 21Vianet.
    China,
    /// Endpoints of one's own: a proxy, a simulator, a cloud newer than this table.
    Custom(CustomCloud),
    /// The worldwide cloud, and Microsoft 365 GCC.
    #[default]
    Global,
    /// US Government L4 (GCC High).
    UsGov,
    /// US Government L5 (`DoD`).
    UsGovDod,
}

impl Cloud {
    /// The cloud called `global`, `usgov`, `usgov-dod` or `china`, in any case.
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

    /// A cloud of one's own: see [`CustomCloud::new`].
    ///
    /// # Errors
    /// As [`CustomCloud::new`].
    pub fn custom(
        authority: &str,
        graph: &str,
        ca_pem: Option<Vec<u8>>,
    ) -> Result<Self, ConfigError> {
        CustomCloud::new(authority, graph, ca_pem).map(Self::Custom)
    }

    /// The audience of tokens of other issuers that are to be exchanged here
    /// (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity>).
    pub(crate) fn token_exchange(&self) -> &'static str {
        match self {
            Self::China => "api://AzureADTokenExchangeChina",
            Self::Custom(_) | Self::Global => "api://AzureADTokenExchange",
            Self::UsGov | Self::UsGovDod => "api://AzureADTokenExchangeUSGov",
        }
    }

    pub(crate) fn endpoints(&self) -> Result<CustomCloud, ConfigError> {
        let (authority, graph) = match self {
            Self::China => (
                "https://login.chinacloudapi.cn",
                "https://microsoftgraph.chinacloudapi.cn",
            ),
            Self::Custom(custom) => return Ok(custom.clone()),
            Self::Global => (
                "https://login.microsoftonline.com",
                "https://graph.microsoft.com",
            ),
            Self::UsGov => (
                "https://login.microsoftonline.us",
                "https://graph.microsoft.us",
            ),
            Self::UsGovDod => (
                "https://login.microsoftonline.us",
                "https://dod-graph.microsoft.us",
            ),
        };
        CustomCloud::new(authority, graph, None)
    }
}

/// The two origins of a cloud, and whom to trust there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomCloud {
    pub(crate) authority: Url,
    pub(crate) graph: Url,
    pub(crate) ca_pem: Option<Vec<u8>>,
}

impl CustomCloud {
    /// A cloud whose tokens come from `authority` and whose Graph is at `graph`, each an origin such as
    /// `https://graph.example`. With `ca_pem`, one or more certificates in PEM form, only servers vouched for by
    /// these are trusted; without, the machine's own roots are.
    ///
    /// # Errors
    /// [`ConfigError::Field`] if one of the two
    /// - is not a URL;
    /// - is plain `http://` to anything but a loopback address (`127.0.0.0/8`, `::1`, `localhost`): a token sent
    ///   there would be readable on the wire;
    /// - has a user, a path, a query or a fragment.
    pub fn new(authority: &str, graph: &str, ca_pem: Option<Vec<u8>>) -> Result<Self, ConfigError> {
        Ok(Self {
            authority: origin("cloud.authority", authority)?,
            graph: origin("cloud.graph", graph)?,
            ca_pem,
        })
    }

    /// Whether a secret or token travels unencrypted, which loopback alone permits.
    pub(crate) fn is_plain(&self) -> bool {
        [&self.authority, &self.graph]
            .iter()
            .any(|url| url.scheme() == "http")
    }
}

fn origin(field: &'static str, text: &str) -> Result<Url, ConfigError> {
    let wrong = |expected| ConfigError::field(field, format!("`{text}`"), expected);
    let url = Url::parse(text).map_err(|_| wrong("a URL such as `https://graph.example`"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        _ => {
            return Err(wrong(
                "`https://`, or `http://` to a loopback address (127.0.0.0/8, ::1, localhost)",
            ));
        }
    }
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if bare {
        Ok(url)
    } else {
        // It may hold a password, so it is not repeated.
        Err(ConfigError::field(
            field,
            "more than an origin",
            "scheme, host and port only",
        ))
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for (url, accepted) in [
            ("http://127.0.0.1:8080", true),
            ("http://127.8.9.10", true),
            ("http://localhost:1", true),
            ("http://[::1]:1", true),
            ("https://graph.example", true),
            ("http://graph.microsoft.com", false),
            ("http://localhost.example", false),
            ("http://127.0.0.1.example", false),
            ("http://10.0.0.1", false),
            ("http://[::ffff:127.0.0.1]", false),
            ("http://127.0.0.1@graph.example", false),
            ("ftp://127.0.0.1", false),
            ("graph.microsoft.com", false),
            ("", false),
        ] {
            assert_eq!(origin("cloud.graph", url).is_ok(), accepted, "{url}");
        }
    }

    #[test]
    fn an_endpoint_is_an_origin_and_its_error_repeats_no_password() {
        for url in [
            "https://graph.example/v1.0",
            "https://graph.example/?a=b",
            "https://graph.example/#a",
            "https://somebody:hunter2@graph.example",
        ] {
            let error = origin("cloud.graph", url).unwrap_err().to_string();
            assert!(error.starts_with("cloud.graph: "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn every_cloud_of_microsoft_has_valid_endpoints_and_a_name() {
        for name in ["global", "UsGov", "usgov-dod", "china"] {
            let endpoints = Cloud::from_name(name).unwrap().endpoints().unwrap();
            assert!(!endpoints.is_plain(), "{name}");
        }
        assert_eq!(Cloud::from_name("germany"), None);
    }
}
