use std::collections::HashSet;
use std::future::ready;
use std::sync::Arc;

use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use rotation_core::{Account, AccountQuery, BackendError, Problem};
use uuid::Uuid;

use crate::directory::Directory;
use crate::need::READ_USERS;
use crate::page::{Ahead, Pages};
use crate::reader::{GraphReader, ReadError};
use crate::users::{self, User};

/// How many accounts are read at the same time when they are named one by one.
const AT_ONCE: usize = 8;

/// How often a listing is started again because a page link has expired.
const RESTARTS: u32 = 3;

/// How many of the accounts given last a listing remembers at least, and half of how many at most: some 2 MiB. An account
/// that the directory moves while it is listed comes again a page or two later. Once some are forgotten, the listing
/// cannot start again: should a link of it expire then, it ends with an error.
const REMEMBERED: usize = 50_000;

type Users = BoxStream<'static, Result<User, BackendError>>;

/// The accounts that `query` names, each once, up to the first error; with `pim`, with the roles that they are eligible for.
pub fn accounts<G: GraphReader>(
    graph: Arc<G>,
    pim: bool,
    query: AccountQuery,
) -> impl Stream<Item = Result<Account, BackendError>> + Send {
    let described = async move {
        let directory = Directory::read(&graph, pim).await?;
        let users = users_of(graph, query);
        Ok::<_, BackendError>(users.map_ok(move |user| directory.account(user)))
    };
    until_error(stream::once(described).try_flatten())
}

fn users_of<G: GraphReader>(graph: Arc<G>, query: AccountQuery) -> Users {
    match query {
        AccountQuery::All => all(graph).boxed(),
        AccountQuery::Named(references) => named(graph, references).boxed(),
        // Newer than this crate: neither more nor fewer accounts than asked for would be right.
        other => {
            let problem = Problem::new(format!("cannot read accounts by {other:?}"));
            stream::once(ready(Err(BackendError::Unexpected(problem)))).boxed()
        }
    }
}

fn named<G: GraphReader>(
    graph: Arc<G>,
    references: Vec<String>,
) -> impl Stream<Item = Result<User, BackendError>> + Send {
    let mut seen = HashSet::new();
    stream::iter(references)
        .map(move |reference| {
            let graph = Arc::clone(&graph);
            async move { users::named(&graph, &reference).await.transpose() }
        })
        .buffered(AT_ONCE)
        .filter_map(ready)
        // An account may be named twice, by id and by user name.
        .try_filter(move |user| ready(seen.insert(user.id)))
}

fn all<G: GraphReader>(graph: Arc<G>) -> impl Stream<Item = Result<User, BackendError>> + Send {
    stream::try_unfold(Listing::new(graph), |mut listing| async move {
        let users = listing.next().await?;
        Ok::<_, BackendError>(users.map(|users| (stream::iter(users).map(Ok), listing)))
    })
    .try_flatten()
}

/// All users of a tenant, page by page. An expired page link starts it again, without what was given before.
struct Listing<G: GraphReader> {
    graph: Arc<G>,
    pages: Ahead<G, User>,
    seen: Seen,
    restarts: u32,
}

impl<G: GraphReader> Listing<G> {
    fn new(graph: Arc<G>) -> Self {
        Self {
            pages: first_page(&graph),
            graph,
            seen: Seen::default(),
            restarts: RESTARTS,
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<User>>, BackendError> {
        loop {
            match self.pages.next().await {
                Ok(None) => return Ok(None),
                Ok(Some(mut users)) => {
                    users.retain(|user| self.seen.is_new(user.id));
                    return Ok(Some(users));
                }
                Err(ReadError::Expired(_)) if self.seen.is_whole() && self.restarts > 0 => {
                    self.restarts -= 1;
                    self.pages = first_page(&self.graph);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn first_page<G: GraphReader>(graph: &Arc<G>) -> Ahead<G, User> {
    Ahead::new(Pages::at(graph, &users::all(), &READ_USERS))
}

/// The ids given last.
#[derive(Default)]
struct Seen {
    recent: HashSet<Uuid>,
    older: HashSet<Uuid>,
    forgot: bool,
}

impl Seen {
    fn is_new(&mut self, id: Uuid) -> bool {
        if self.recent.contains(&id) || self.older.contains(&id) {
            return false;
        }
        if self.recent.len() == REMEMBERED {
            std::mem::swap(&mut self.recent, &mut self.older);
            self.forgot |= !self.recent.is_empty();
            self.recent.clear();
        }
        self.recent.insert(id)
    }

    fn is_whole(&self) -> bool {
        !self.forgot
    }
}

fn until_error<T>(
    items: impl Stream<Item = Result<T, BackendError>> + Send,
) -> impl Stream<Item = Result<T, BackendError>> + Send
where
    T: Send,
{
    items.scan(false, |failed, item| {
        let item = (!*failed).then_some(item);
        *failed |= matches!(item, Some(Err(_)));
        ready(item)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_accounts_given_last_and_no_more_than_twice_as_many() {
        let mut seen = Seen::default();
        let id = |n: usize| Uuid::from_u128(n as u128);
        for n in 0..10 * REMEMBERED {
            assert_eq!(seen.is_whole(), n <= 2 * REMEMBERED, "{n}");
            assert!(seen.is_new(id(n)), "{n}");
            let oldest = n.saturating_sub(REMEMBERED);
            assert!(!seen.is_new(id(oldest)) && !seen.is_new(id(n)), "{n}");
            assert!(seen.recent.len() + seen.older.len() <= 2 * REMEMBERED);
        }
    }
}
