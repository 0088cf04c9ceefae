use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::sync::Arc;

use reqwest::StatusCode;
use rotation_core::{BackendError, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::address::GraphUrl;
use crate::answer::{Answer, Need};
use crate::client::Client;

/// Graph's code for a `@odata.nextLink` that was followed too late.
const EXPIRED: &str = "Directory_ExpiredPageToken";

/// One page of a collection (<https://learn.microsoft.com/graph/paging>).
#[derive(Deserialize)]
struct Page<T> {
    value: Vec<T>,
    #[serde(default, rename = "@odata.nextLink")]
    next_link: Option<String>,
}

/// The pages of a collection, one after the other.
pub(crate) struct Pages<T> {
    client: Arc<Client>,
    need: &'static Need,
    next: Option<GraphUrl>,
    /// What the links hash to: about a thousand for a million accounts.
    followed: HashSet<u64>,
    hasher: RandomState,
    item: PhantomData<fn() -> T>,
}

/// Why there is no next page.
pub(crate) enum PageError {
    /// The link was followed too late; the collection can be read again from the start.
    Expired(Problem),
    /// Anything else.
    Failed(BackendError),
    /// There is no such collection.
    Missing(BackendError),
}

impl<T: DeserializeOwned> Pages<T> {
    pub(crate) fn new(client: Arc<Client>, first: GraphUrl, need: &'static Need) -> Self {
        Self {
            client,
            need,
            next: Some(first),
            followed: HashSet::new(),
            hasher: RandomState::new(),
            item: PhantomData,
        }
    }

    /// The next page, which may be empty; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<T>>, PageError> {
        let Some(url) = self.next.take() else {
            return Ok(None);
        };
        let answer = self.client.read(url.clone()).await?;
        self.followed.insert(self.hasher.hash_one(&url));
        let page = self.parse(&answer)?;
        self.next = page.next_link.map(|link| self.follow(&link)).transpose()?;
        Ok(Some(page.value))
    }

    fn parse(&self, answer: &Answer) -> Result<Page<T>, PageError> {
        if answer.status == StatusCode::BAD_REQUEST && answer.code() == Some(EXPIRED) {
            return Err(PageError::Expired(answer.problem()));
        }
        let page = answer.json(self.need, &self.client.consent);
        page.map_err(|error| {
            if answer.is_missing() {
                PageError::Missing(error)
            } else {
                PageError::Failed(error)
            }
        })
    }

    fn follow(&self, link: &str) -> Result<GraphUrl, BackendError> {
        let next = self.client.graph.link(link)?;
        if self.followed.contains(&self.hasher.hash_one(&next)) {
            return Err(BackendError::Unexpected(Problem::new(format!(
                "cannot {}: the pages of {} lead in a circle",
                self.need.to,
                next.as_url().path()
            ))));
        }
        Ok(next)
    }

    /// All items, for collections that are small whatever the size of the tenant.
    pub(crate) async fn all(mut self) -> Result<Vec<T>, PageError> {
        let mut items = Vec::new();
        while let Some(page) = self.next().await? {
            items.extend(page);
        }
        Ok(items)
    }
}

impl From<BackendError> for PageError {
    fn from(error: BackendError) -> Self {
        Self::Failed(error)
    }
}

impl From<PageError> for BackendError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Expired(problem) => Self::Unavailable(problem.with_fix("start again")),
            PageError::Failed(error) | PageError::Missing(error) => error,
        }
    }
}

/// Reads one page ahead of its consumer and no more: the next one is under way while this one is worked on. Dropped,
/// it stops.
pub(crate) struct Ahead<T> {
    /// At most one task, which owns the pages while it reads one.
    reading: JoinSet<Read<T>>,
}

type Read<T> = (Pages<T>, Result<Option<Vec<T>>, PageError>);

impl<T: DeserializeOwned + Send + 'static> Ahead<T> {
    pub(crate) fn new(pages: Pages<T>) -> Self {
        let mut ahead = Self {
            reading: JoinSet::new(),
        };
        ahead.start(pages);
        ahead
    }

    /// As [`Pages::next`].
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<T>>, PageError> {
        let (pages, page) = match self.reading.join_next().await {
            None => return Ok(None),
            Some(read) => read.map_err(|_| interrupted())?,
        };
        if matches!(page, Ok(Some(_))) {
            self.start(pages);
        }
        page
    }

    fn start(&mut self, mut pages: Pages<T>) {
        self.reading.spawn(async move {
            let page = pages.next().await;
            (pages, page)
        });
    }
}

/// The task panicked, or the runtime is shutting down.
fn interrupted() -> BackendError {
    BackendError::Unavailable(Problem::new("reading a page was interrupted"))
}
