use std::fmt;
use std::sync::Arc;

use reqwest::{Method, Url};

/// What was asked, for the front of a message: without the query, which may hold anything. Put into words only when
/// somebody reads them.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    method: Method,
    url: Arc<Url>,
    in_batch: bool,
}

impl Place {
    pub(crate) fn new(method: Method, url: Arc<Url>) -> Self {
        Self {
            method,
            url,
            in_batch: false,
        }
    }

    /// The same, asked as an item of a batch.
    pub(crate) fn in_batch(self) -> Self {
        Self {
            in_batch: true,
            ..self
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.url.origin().ascii_serialization();
        write!(f, "{} {origin}{}", self.method, self.url.path())?;
        if self.in_batch {
            f.write_str(" in a batch")?;
        }
        Ok(())
    }
}
