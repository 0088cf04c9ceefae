use std::sync::Arc;

use entra_directory::user_path;
use reqwest::{Method, Url};
use rotation_core::{BackendError, Problem};

use crate::place::Place;

/// The version of Graph that every request names.
const VERSION: &str = "v1.0";

/// The one origin that our token goes to.
#[derive(Clone, Debug)]
pub(crate) struct GraphRoot(Url);

/// An address below the root: a request can be sent nowhere else, because there is no other way to make one. Clones
/// share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GraphUrl(Arc<Url>);

impl GraphRoot {
    pub(crate) fn new(origin: Url) -> Self {
        Self(origin)
    }

    /// The permissions that an application has been granted at this root
    /// (<https://learn.microsoft.com/entra/identity-platform/scopes-oidc#the-default-scope>).
    pub(crate) fn scope(&self) -> String {
        format!("{}/.default", self.0.origin().ascii_serialization())
    }

    /// The resource at `segments`, each percent-encoded. None may be empty or consist of dots.
    pub(crate) fn url(&self, segments: &[&str], query: &str) -> GraphUrl {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().push(VERSION).extend(segments);
        }
        url.set_query((!query.is_empty()).then_some(query));
        GraphUrl(Arc::new(url))
    }

    /// The same for people, with placeholders among `segments` as they are.
    pub(crate) fn written<S: AsRef<str>>(&self, segments: &[S]) -> String {
        let origin = self.0.origin().ascii_serialization();
        let segments = segments.iter().map(AsRef::as_ref);
        let path: Vec<&str> = [origin.as_str(), VERSION]
            .into_iter()
            .chain(segments)
            .collect();
        path.join("/")
    }

    /// What is at `path` below the version, percent-encoded, with its query.
    pub(crate) fn at(&self, path: &str) -> GraphUrl {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let mut url = self.0.clone();
        url.set_path(&format!("{VERSION}/{path}"));
        url.set_query(query);
        GraphUrl(Arc::new(url))
    }

    /// A user by object id or user name.
    pub(crate) fn user(&self, reference: &str) -> GraphUrl {
        self.at(&user_path(reference))
    }

    /// A link that an answer told us to follow (`@odata.nextLink`), verbatim.
    ///
    /// # Errors
    /// [`BackendError::Unexpected`] if it is no URL or leads to another scheme, host or port.
    pub(crate) fn link(&self, text: &str) -> Result<GraphUrl, BackendError> {
        let url = Url::parse(text).map_err(|_| {
            BackendError::Unexpected(Problem::new(
                "`@odata.nextLink` of an answer is not a URL, so the rest of the list is out of reach",
            ))
        })?;
        let ours = url.origin() == self.0.origin()
            && url.username().is_empty()
            && url.password().is_none();
        if ours {
            return Ok(GraphUrl(Arc::new(url)));
        }
        let problem = Problem::new(format!(
            "`@odata.nextLink` of an answer leads from {} to {}, where our token does not go",
            self.0.origin().ascii_serialization(),
            url.origin().ascii_serialization(),
        ));
        Err(BackendError::Unexpected(problem.with_fix(
            "if a proxy rewrites Graph, name its own address as `cloud.graph`",
        )))
    }
}

impl GraphUrl {
    pub(crate) fn as_url(&self) -> &Url {
        &self.0
    }

    /// The address as an item of a batch names it, relative to the version.
    pub(crate) fn in_batch(&self) -> &str {
        let path = self.0.path();
        path.strip_prefix('/')
            .and_then(|path| path.strip_prefix(VERSION))
            .unwrap_or(path)
    }

    /// What it is to be asked to do, for the front of a message.
    pub(crate) fn place(&self, method: Method) -> Place {
        Place::new(method, Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> GraphRoot {
        GraphRoot::new(Url::parse("https://graph.microsoft.com").unwrap())
    }

    #[test]
    fn the_scope_is_the_root_without_a_double_slash() {
        assert_eq!(root().scope(), "https://graph.microsoft.com/.default");
    }

    #[test]
    fn a_user_stays_one_segment_below_users() {
        for (reference, path) in [
            ("adele@contoso.com", "/v1.0/users/adele@contoso.com"),
            (
                "a_b.com#EXT#@contoso.com",
                "/v1.0/users/a_b.com%23EXT%23@contoso.com",
            ),
            ("$adele@contoso.com", "/v1.0/users('$adele@contoso.com')"),
            ("$o'hara", "/v1.0/users('$o''hara')"),
            ("..", "/v1.0/users('..')"),
            ("", "/v1.0/users('')"),
            ("../groups/1", "/v1.0/users/..%2Fgroups%2F1"),
            ("%2e%2e", "/v1.0/users/%252e%252e"),
            ("x?y=z", "/v1.0/users/x%3Fy%3Dz"),
        ] {
            assert_eq!(root().user(reference).0.path(), path, "{reference}");
        }
    }

    #[test]
    fn a_link_to_another_origin_is_refused_and_both_are_named() {
        for link in [
            "https://graph.microsoft.com.evil.example/v1.0/users",
            "http://graph.microsoft.com/v1.0/users",
            "https://graph.microsoft.com:8443/v1.0/users",
            "https://graph.microsoft.com@evil.example/v1.0/users",
        ] {
            let error = root().link(link).unwrap_err().to_string();
            assert!(
                error.contains("from https://graph.microsoft.com to "),
                "{error}"
            );
        }
        for link in ["https://me:pw@graph.microsoft.com/", "/v1.0/users", ""] {
            assert!(root().link(link).is_err(), "{link}");
        }
    }

    #[test]
    fn a_link_to_our_origin_is_followed_verbatim() {
        let link = "https://graph.microsoft.com:443/v1.0/users?$skiptoken=a%20b&$top=9";
        let url = root().link(link).unwrap();
        assert_eq!(url.0.query(), Some("$skiptoken=a%20b&$top=9"));
    }
}
