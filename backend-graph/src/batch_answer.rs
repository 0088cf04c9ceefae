use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::answer::Answer;
use crate::place::Place;

/// The answer to `POST /$batch` (<https://learn.microsoft.com/graph/json-batching#response-format>): in any order. Each item is
/// read on its own, so that a wrong one spoils no other.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    responses: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// The answer to one item.
#[derive(Deserialize)]
pub(crate) struct Item<'a> {
    #[serde(deserialize_with = "status")]
    status: StatusCode,
    #[serde(default)]
    headers: Headers,
    #[serde(default, borrow)]
    body: Option<&'a RawValue>,
}

/// What an envelope says of one item that was asked for.
pub(crate) enum Said<'a> {
    /// Two things at once.
    Contradiction,
    /// Something that is not as documented.
    Nonsense,
    /// Nothing.
    Nothing,
    /// What became of it.
    One(Item<'a>),
}

/// What `envelope` says of each of `count` items, in the order they were asked in; `None` if it has no items at all. Their
/// ids are 1, 2, 3 and so on.
pub(crate) fn read(envelope: &Answer, count: usize) -> Option<Vec<Said<'_>>> {
    let Envelope { responses } = serde_json::from_slice(envelope.body()).ok()?;
    let mut found = vec![Found::Nothing; count];
    let mut strangers = 0_usize;
    for text in responses.into_iter().map(RawValue::get) {
        let asked = asked_for(text).and_then(|index| found.get_mut(index));
        match asked {
            None => strangers += 1,
            Some(found) => *found = found.and(text),
        }
    }
    if strangers > 0 {
        tracing::warn!(
            place = %envelope.place,
            request_id = envelope.request_id,
            strangers,
            "a batch was answered with items that nobody asked for"
        );
    }
    Some(found.into_iter().map(Found::read).collect())
}

/// Which item this is the answer to, from 0; `None` if to none of ours.
fn asked_for(text: &str) -> Option<usize> {
    let Named { id } = serde_json::from_str(text).ok()?;
    let number: usize = id.parse().ok()?;
    // exactly as we wrote it: neither `+1` nor `01`
    (number.to_string() == id).then(|| number.checked_sub(1))?
}

/// The texts found for one id.
#[derive(Clone, Copy)]
enum Found<'a> {
    Contradiction,
    Nothing,
    One(&'a str),
}

impl<'a> Found<'a> {
    /// The same answer twice is one answer.
    fn and(self, text: &'a str) -> Self {
        match self {
            Self::Nothing => Self::One(text),
            Self::One(first) if first == text => self,
            Self::One(_) | Self::Contradiction => Self::Contradiction,
        }
    }

    /// What is wrong with an item is not told, since it may repeat what was sent.
    fn read(self) -> Said<'a> {
        match self {
            Self::Contradiction => Said::Contradiction,
            Self::Nothing => Said::Nothing,
            Self::One(text) => serde_json::from_str(text).map_or(Said::Nonsense, Said::One),
        }
    }
}

impl Item<'_> {
    /// The answer as it would stand if it had come alone, dated as its `envelope`.
    pub(crate) fn answer(self, envelope: &Answer, place: Place) -> Answer {
        let body = self.body.map_or_else(Bytes::new, |body| {
            envelope.body().slice_ref(body.get().as_bytes())
        });
        let (status, Headers(headers)) = (self.status, self.headers);
        let mut answer = Answer::new(status, &headers, envelope.answered_at, place, body);
        answer.request_id = answer.request_id.or_else(|| envelope.request_id.clone());
        answer
    }
}

/// As an item has them: an object, whose names differ in case from server to server.
#[derive(Default)]
struct Headers(HeaderMap);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of headers")
    }

    fn visit_unit<E: Error>(self) -> Result<Headers, E> {
        Ok(Headers::default())
    }

    /// What no header can be is left out.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = HeaderMap::new();
        while let Some((name, value)) = map.next_entry::<Cow<'_, str>, &RawValue>()? {
            if let (Ok(name), Some(value)) = (name.parse::<HeaderName>(), header(value.get())) {
                headers.append(name, value);
            }
        }
        Ok(Headers(headers))
    }
}

/// A value of a header in JSON: a text, or a number as it is written.
fn header(json: &str) -> Option<HeaderValue> {
    if let Ok(text) = serde_json::from_str::<Cow<'_, str>>(json) {
        return HeaderValue::from_str(&text).ok();
    }
    let number = json.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    number.then(|| HeaderValue::from_str(json).ok())?
}

fn status<'de, D: Deserializer<'de>>(number: D) -> Result<StatusCode, D::Error> {
    StatusCode::from_u16(u16::deserialize(number)?).map_err(Error::custom)
}
