use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::sync::Arc;

use rotation_core::{BackendError, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::need::Need;
use crate::reader::{GraphReader, ReadError};

/// So many items may be read at once.
const MOST: usize = 1_000_000;

/// One page of a collection (<https://learn.microsoft.com/graph/paging>).
#[derive(Deserialize)]
struct Page<T> {
    value: Vec<T>,
    #[serde(default, rename = "@odata.nextLink")]
    next_link: Option<String>,
}

/// The pages of a collection, one after the other.
pub struct Pages<G: GraphReader, T> {
    graph: Arc<G>,
    need: &'static Need,
    next: Option<G::Address>,
    /// What the links hash to: about a thousand for a million accounts.
    followed: HashSet<u64>,
    hasher: RandomState,
    item: PhantomData<fn() -> T>,
}

impl<G: GraphReader, T: DeserializeOwned + Send> Pages<G, T> {
    /// Those that begin at `first`.
    pub fn new(graph: Arc<G>, first: G::Address, need: &'static Need) -> Self {
        Self {
            graph,
            need,
            next: Some(first),
            followed: HashSet::new(),
            hasher: RandomState::new(),
            item: PhantomData,
        }
    }

    /// Those of the collection at `path`.
    pub(crate) fn at(graph: &Arc<G>, path: &str, need: &'static Need) -> Self {
        Self::new(Arc::clone(graph), graph.at(path), need)
    }

    /// The next page, which may be empty; `None` after the last.
    ///
    /// # Errors
    /// [`ReadError`]; also if a page names one that was read before as the next.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, ReadError> {
        let Some(address) = self.next.take() else {
            return Ok(None);
        };
        let page: Page<T> = self.graph.read(&address, self.need).await?;
        self.followed.insert(self.hasher.hash_one(&address));
        self.next = page.next_link.map(|link| self.follow(&link)).transpose()?;
        Ok(Some(page.value))
    }

    fn follow(&self, link: &str) -> Result<G::Address, BackendError> {
        let next = self.graph.follow(link, self.need)?;
        if self.followed.contains(&self.hasher.hash_one(&next)) {
            return Err(BackendError::Unexpected(Problem::new(format!(
                "cannot {}: the pages lead in a circle",
                self.need.to
            ))));
        }
        Ok(next)
    }

    /// All items, of a collection that is much smaller than the tenant.
    ///
    /// # Errors
    /// Those of [`next`](Self::next); also for more than a million items: a list without end would fill the memory.
    pub async fn all(mut self) -> Result<Vec<T>, ReadError> {
        let mut items = Vec::new();
        while let Some(page) = self.next().await? {
            items.extend(page);
            if items.len() > MOST {
                let to = self.need.to;
                let problem = Problem::new(format!("cannot {to}: there are more than {MOST}"));
                return Err(BackendError::Unexpected(problem).into());
            }
        }
        Ok(items)
    }
}

impl<G: GraphReader, T> fmt::Debug for Pages<G, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("need", self.need)
            .finish_non_exhaustive()
    }
}

/// Reads one page ahead of its consumer and no more: the next one is under way while this one is worked on. Dropped,
/// it stops.
pub(crate) struct Ahead<G: GraphReader, T> {
    /// At most one task, which owns the pages while it reads one.
    reading: JoinSet<Read<G, T>>,
}

type Read<G, T> = (Pages<G, T>, Result<Option<Vec<T>>, ReadError>);

impl<G: GraphReader, T: DeserializeOwned + Send + 'static> Ahead<G, T> {
    pub(crate) fn new(pages: Pages<G, T>) -> Self {
        let mut ahead = Self {
            reading: JoinSet::new(),
        };
        ahead.start(pages);
        ahead
    }

    /// As [`Pages::next`].
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<T>>, ReadError> {
        let (pages, page) = match self.reading.join_next().await {
            None => return Ok(None),
            Some(read) => read.map_err(|_| interrupted())?,
        };
        if matches!(page, Ok(Some(_))) {
            self.start(pages);
        }
        page
    }

    fn start(&mut self, mut pages: Pages<G, T>) {
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
