//! What each contestant reached in each round, as a table of medians.

use super::contest::Measured;
use super::median;

/// The column of figures of one contestant, a figure for each round.
#[derive(Default)]
pub(crate) struct Rounds(pub(crate) Vec<Measured>);

impl Rounds {
    /// The median of `figure`.
    pub(crate) fn median(&self, figure: impl Fn(&Measured) -> f64) -> f64 {
        median(self.0.iter().map(figure))
    }

    pub(crate) fn rate(&self) -> f64 {
        self.median(|measured| measured.rate)
    }

    /// The median of the ratios of this to `base` in the same round.
    pub(crate) fn ratio(&self, base: &Self, figure: impl Fn(&Measured) -> f64) -> f64 {
        let pairs = self.0.iter().zip(&base.0);
        median(pairs.map(|(this, base)| figure(this) / figure(base)))
    }
}

/// Prints `head` and `rows` as a table in Markdown.
pub(crate) fn print(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    println!("| {} |", head.join(" | "));
    println!("|{}", " --- |".repeat(head.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// With thousands separated.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
