/// What is quoted of a text that somebody else wrote.
const LONGEST: usize = 200;

/// A text that somebody else wrote, short and without anything that a terminal would obey.
pub(crate) fn quotable(text: &str) -> String {
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_says_cannot_move_the_cursor_nor_fill_the_screen() {
        assert_eq!(quotable("A\u{1b}[2JB\r\n"), "A[2JB");
        assert_eq!(quotable(&"x".repeat(1_000)).len(), LONGEST);
    }
}
