use std::collections::HashSet;
use std::future::ready;
use std::sync::Arc;

use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use rotation_core::{Account, AccountQuery, BackendError, Problem};
use uuid::Uuid;

use crate::client::Client;
use crate::directory::Directory;
use crate::page::{Ahead, PageError, Pages};
use crate::users::{self, READ_USERS, User};

/// How many accounts are read at the same time when they are named one by one.
const AT_ONCE: usize = 8;

/// How often a listing is started again because a page link has expired.
const RESTARTS: u32 = 3;

/// The most ids that a listing remembers in order to be able to start again: some 8 MiB. A longer one does not grow
/// further; should a link of it expire, it ends with an error.
const MOST_REMEMBERED: usize = 250_000;

type Users = BoxStream<'static, Result<User, BackendError>>;

/// The accounts that `query` names, each once, up to the first error.
pub(crate) fn accounts(
    client: Arc<Client>,
    pim: bool,
    query: AccountQuery,
) -> impl Stream<Item = Result<Account, BackendError>> + Send {
    let described = async move {
        let directory = Directory::read(&client, pim).await?;
        let users = users_of(client, query);
        Ok::<_, BackendError>(users.map_ok(move |user| directory.account(user)))
    };
    until_error(stream::once(described).try_flatten())
}

fn users_of(client: Arc<Client>, query: AccountQuery) -> Users {
    match query {
        AccountQuery::All => all(client).boxed(),
        AccountQuery::Named(references) => named(client, references).boxed(),
        // Newer than this crate: neither more nor fewer accounts than asked for would be right.
        other => {
            let problem = Problem::new(format!("cannot read accounts by {other:?}"));
            stream::once(ready(Err(BackendError::Unexpected(problem)))).boxed()
        }
    }
}

fn named(
    client: Arc<Client>,
    references: Vec<String>,
) -> impl Stream<Item = Result<User, BackendError>> + Send {
    let mut seen = HashSet::new();
    stream::iter(references)
        .map(move |reference| {
            let client = Arc::clone(&client);
            async move { users::named(&client, &reference).await.transpose() }
        })
        .buffered(AT_ONCE)
        .filter_map(ready)
        // An account may be named twice, by id and by user name.
        .try_filter(move |user| ready(seen.insert(user.id)))
}

fn all(client: Arc<Client>) -> impl Stream<Item = Result<User, BackendError>> + Send {
    stream::try_unfold(Listing::new(client), |mut listing| async move {
        let users = listing.next().await?;
        Ok::<_, BackendError>(users.map(|users| (stream::iter(users).map(Ok), listing)))
    })
    .try_flatten()
}

/// All users of a tenant, page by page. An expired page link starts it again, without what was given before.
struct Listing {
    client: Arc<Client>,
    pages: Ahead<User>,
    seen: Seen,
    restarts: u32,
}

impl Listing {
    fn new(client: Arc<Client>) -> Self {
        Self {
            pages: first_page(&client),
            client,
            seen: Seen(Some(HashSet::new())),
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
                Err(PageError::Expired(_)) if self.seen.is_whole() && self.restarts > 0 => {
                    self.restarts -= 1;
                    self.pages = first_page(&self.client);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn first_page(client: &Arc<Client>) -> Ahead<User> {
    let first = users::all(&client.graph);
    Ahead::new(Pages::new(Arc::clone(client), first, &READ_USERS))
}

/// The ids given so far, as long as they are few enough to remember.
struct Seen(Option<HashSet<Uuid>>);

impl Seen {
    fn is_new(&mut self, id: Uuid) -> bool {
        let Some(ids) = &mut self.0 else {
            return true;
        };
        let new = ids.insert(id);
        if ids.len() > MOST_REMEMBERED {
            self.0 = None;
        }
        new
    }

    fn is_whole(&self) -> bool {
        self.0.is_some()
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
    fn remembers_ids_only_up_to_the_limit() {
        let mut seen = Seen(Some(HashSet::new()));
        let ids = || (0..=MOST_REMEMBERED as u128).map(Uuid::from_u128);
        assert!(ids().take(MOST_REMEMBERED).all(|id| seen.is_new(id)));
        assert!(!seen.is_new(Uuid::from_u128(0)));
        assert!(seen.is_whole());
        assert!(ids().skip(MOST_REMEMBERED).all(|id| seen.is_new(id)));
        assert!(!seen.is_whole());
    }
}
