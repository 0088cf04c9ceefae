//! Pages of a collection and the opaque tokens that link them.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;

use super::{Call, GraphError};
use crate::clock::later;
use crate::reply::Reply;

impl Call<'_> {
    /// One page of `items`, with the link to the next one. `context` names the collection.
    ///
    /// `items_from` yields the items from a place on, each with its place, in the same order
    /// for every page; a place is whatever finds its item again quickly.
    pub(crate) fn page<T, I: Iterator<Item = (usize, T)>, S: Serialize>(
        &self,
        context: &str,
        items_from: impl FnOnce(usize) -> I,
        mut render: impl FnMut(T) -> S,
    ) -> Result<Reply, GraphError> {
        self.query.check()?;
        let size = self.query.page_size()?;
        let mut rest = items_from(self.start_of_page()?);
        let context = Value::String(format!("{}/$metadata#{context}", self.version_root()));
        let mut text = format!("{{\"@odata.context\":{context},\"value\":[").into_bytes();
        for (index, (_, item)) in rest.by_ref().take(size).enumerate() {
            if index > 0 {
                text.push(b',');
            }
            // Writing to memory cannot fail, nor can what has names for keys.
            serde_json::to_writer(&mut text, &render(item)).ok();
        }
        text.extend_from_slice(b"]}");
        let text = String::from_utf8(text).unwrap_or_default();
        let mut reply = Reply::rendered(StatusCode::OK, text);
        if let Some((place, _)) = rest.next() {
            reply.insert("@odata.nextLink", self.next_link(place).into());
        }
        Ok(reply)
    }

    /// One page of a list that is short enough to be gathered first.
    pub(crate) fn page_of(
        &self,
        context: &str,
        items: impl IntoIterator<Item = Value>,
    ) -> Result<Reply, GraphError> {
        let items = items.into_iter().enumerate();
        self.page(context, |start| items.skip(start), |item| item)
    }

    fn next_link(&self, start: usize) -> String {
        let issued = self.world.clock.now().as_millisecond();
        let place = format!("{start}.{issued}");
        let tag = self.tag(&place);
        let token = URL_SAFE_NO_PAD.encode(format!("{place}.{tag}"));
        let query = self.query.continued_at(&token);
        format!("{}{}?{query}", self.version_root(), self.path)
    }

    /// Where the page starts; a token that is not ours, or not for this query, is refused.
    fn start_of_page(&self) -> Result<usize, GraphError> {
        let Some(token) = &self.query.skip_token else {
            return Ok(0);
        };
        let invalid = || GraphError::bad_request("The specified page token value is invalid.");
        let decoded = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let text = String::from_utf8(decoded).map_err(|_| invalid())?;
        let (place, tag) = text.rsplit_once('.').ok_or_else(invalid)?;
        if tag != self.tag(place) {
            return Err(invalid());
        }
        let (start, issued) = place.split_once('.').ok_or_else(invalid)?;
        let issued = issued
            .parse()
            .ok()
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
            .ok_or_else(invalid)?;
        match self.world.settings.page_token_lifetime {
            Some(lifetime) if later(issued, lifetime) <= self.world.clock.now() => {
                Err(GraphError::expired_page())
            }
            _ => start.parse().map_err(|_| invalid()),
        }
    }

    fn tag(&self, place: &str) -> String {
        let tenant = self.directory.id;
        let bound = format!(
            "{tenant} {} {} {place}",
            self.path,
            self.query.fingerprint()
        );
        self.world.signer.tag(&bound)
    }
}
