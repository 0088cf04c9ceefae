use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap};

/// When the server answered, by its own clock (RFC 9110, 6.6.1). `None` if it does not say, or says it wrong.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    date.try_into().ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn reads_every_form_of_a_date_and_nothing_else() {
        let then = Timestamp::from_second(784_111_777).unwrap();
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(then)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(then)),
            ("Sun Nov  6 08:49:37 1994", Some(then)),
            ("1994-11-06T08:49:37Z", None),
            ("yesterday", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static(text))]);
            assert_eq!(date(&headers), expected, "{text:?}");
        }
        assert_eq!(date(&HeaderMap::new()), None);
    }
}
