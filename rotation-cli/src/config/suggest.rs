//! What somebody who misspelt a name probably meant.

/// The name among `known` that is nearest to `found`, if it is near enough to be meant.
pub(crate) fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let most = found.chars().count() / 3 + 1;
    known
        .into_iter()
        .map(|name| (distance(found, name), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name.to_owned())
}

/// What was meant by the name that a message of serde finds unknown: "unknown field `x`, expected one of `a`, `b`", or
/// one of `also`.
pub(super) fn suggestion(message: &str, also: &[&str]) -> Option<String> {
    let rest = message
        .strip_prefix("unknown field `")
        .or_else(|| message.strip_prefix("unknown variant `"))?;
    let (found, expected) = rest.split_once("`, expected ")?;
    let expected = expected.split('`').skip(1).step_by(2);
    nearest(found, expected.chain(also.iter().copied()))
}

/// How many characters to insert, delete or replace (Levenshtein), by one row of the table at a time.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, left) in one.chars().enumerate() {
        let mut next = vec![at + 1];
        for ((right, above_left), above) in other.iter().zip(&row).zip(row.iter().skip(1)) {
            let beside = next.last().copied().unwrap_or(at + 1);
            let replaced = above_left + usize::from(left != *right);
            next.push(replaced.min(above + 1).min(beside + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        for (one, other, edits) in [
            ("", "", 0),
            ("max_age", "max_age", 0),
            ("max_agee", "max_age", 1),
            ("maxage", "max_age", 1),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
        ] {
            assert_eq!(distance(one, other), edits, "{one} {other}");
            assert_eq!(distance(other, one), edits, "{other} {one}");
        }
    }

    #[test]
    fn suggests_the_nearest_and_nothing_far_fetched() {
        let known = ["max_age", "max_failures", "length"];
        assert_eq!(nearest("max_agee", known).as_deref(), Some("max_age"));
        assert_eq!(nearest("lenght", known).as_deref(), Some("length"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn reads_the_messages_of_serde() {
        let message = "unknown field `clientid`, expected one of `id`, `client_id`, `cloud`";
        assert_eq!(suggestion(message, &[]).as_deref(), Some("client_id"));
        assert_eq!(suggestion("missing field `id`", &[]), None);
    }
}
