//! The query options of a request.

use url::form_urlencoded;

use super::GraphError;

/// Page size unless `$top` says otherwise.
const DEFAULT_PAGE: usize = 100;
/// The largest page.
const MAX_PAGE: usize = 999;

/// Decoded query options. Names may come with or without their `$`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) select: Option<Vec<String>>,
    pub(crate) filter: Option<String>,
    pub(crate) expand: Option<String>,
    pub(crate) search: Option<String>,
    pub(crate) order_by: Option<String>,
    pub(crate) count: bool,
    pub(crate) skip_token: Option<String>,
    top: Option<String>,
    unsupported: Option<String>,
    /// The raw query without its page token, to be repeated in next links.
    repeated: String,
}

impl Query {
    pub(crate) fn parse(raw: &str) -> Self {
        let mut query = Self::default();
        let mut repeated = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            let bare = name.strip_prefix('$').unwrap_or(&name).to_lowercase();
            if bare != "skiptoken" {
                repeated.append_pair(&name, &value);
            }
            let value = value.into_owned();
            match bare.as_str() {
                "select" => {
                    let names = value.split(',').map(|name| name.trim().to_owned());
                    query.select = Some(names.filter(|name| !name.is_empty()).collect());
                }
                "filter" => query.filter = Some(value),
                "expand" => query.expand = Some(value),
                "search" => query.search = Some(value),
                "orderby" => query.order_by = Some(value),
                "count" => query.count = value.eq_ignore_ascii_case("true"),
                "skiptoken" => query.skip_token = Some(value),
                "top" => query.top = Some(value),
                "skip" | "apply" | "compute" => query.unsupported = Some(bare),
                // Graph ignores what it does not know, `api-version` of some tools for example.
                _ => {}
            }
        }
        query.repeated = repeated.finish();
        query
    }

    /// The page size, or why `$top` is refused.
    pub(crate) fn page_size(&self) -> Result<usize, GraphError> {
        let Some(top) = &self.top else {
            return Ok(DEFAULT_PAGE);
        };
        match top.parse() {
            Ok(size) if (1..=MAX_PAGE).contains(&size) => Ok(size),
            Ok(_) => Err(GraphError::bad_request(format!(
                "Invalid page size specified: '{top}'. Must be between 1 and {MAX_PAGE} inclusive."
            ))),
            Err(_) => Err(GraphError::malformed(format!(
                "Invalid value '{top}' for $top query option found. The $top query option requires a non-negative integer value."
            ))),
        }
    }

    /// Refuses options that no directory collection understands.
    pub(crate) fn check(&self) -> Result<(), GraphError> {
        match &self.unsupported {
            Some(option) => Err(GraphError::malformed(format!(
                "'${option}' is not supported by the service."
            ))),
            None => Ok(()),
        }
    }

    /// The same query, continued at `skip_token`.
    pub(crate) fn continued_at(&self, skip_token: &str) -> String {
        let separator = if self.repeated.is_empty() { "" } else { "&" };
        format!("{}{separator}%24skiptoken={skip_token}", self.repeated)
    }

    /// What the query asks for, apart from the place: a page token is good for nothing else.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.repeated
    }
}
