//! What a worker writes, taken apart into its answers and everything else.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use crate::protocol::Answer;
use crate::redact::one_line;

/// The longest line that is taken for an answer. The longest page of accounts has about 1 MiB.
const LONGEST_ANSWER: usize = 16 << 20;

/// How much of another line is looked at.
const LONGEST_OTHER: usize = 8 << 10;

/// One line that was heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It has our mark.
    Answer(Answer),
    /// It has our mark and is no answer.
    Nonsense(&'static str),
    /// Somebody else's: a banner, a warning, the progress of something.
    Other(String),
}

/// Puts lines together. Memory is bounded, however long they are.
#[derive(Debug)]
pub(crate) struct Ear {
    mark: String,
    line: Zeroizing<Vec<u8>>,
    /// Whether the rest of this line is thrown away.
    is_deaf: bool,
    heard: VecDeque<Heard>,
}

impl Ear {
    pub(crate) fn new(mark: String) -> Self {
        Self {
            mark,
            line: Zeroizing::default(),
            is_deaf: false,
            heard: VecDeque::new(),
        }
    }

    /// The next line that is whole.
    pub(crate) fn next(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    /// Takes what was read. NULs are left out: answers are ASCII, so that UTF-16 is the same with NULs in between.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                0 => {}
                _ if self.is_deaf => {}
                byte => self.take(byte),
            }
        }
    }

    fn take(&mut self, byte: u8) {
        self.line.push(byte);
        if self.line.len() == LONGEST_ANSWER {
            self.heard.push_back(Heard::Nonsense("a line without end"));
            self.is_deaf = true;
            self.line.clear();
        } else if self.line.len() == LONGEST_OTHER && self.answer().is_none() {
            self.end_line();
            self.is_deaf = true;
        }
    }

    /// The part of the line that follows our mark.
    fn answer(&self) -> Option<&[u8]> {
        let mark = self.mark.as_bytes();
        let mut places = self.line.windows(mark.len());
        let place = places.position(|part| part == mark)?;
        self.line.get(place + mark.len()..)
    }

    fn end_line(&mut self) {
        let heard = match self.answer() {
            // Whatever follows the answer in its line is somebody else's: a colour that is switched off.
            Some(answer) => match serde_json::Deserializer::from_slice(answer)
                .into_iter()
                .next()
            {
                Some(Ok(said)) => Some(Heard::Answer(Answer {
                    length: answer.len(),
                    ..said
                })),
                _ => Some(Heard::Nonsense("a line that is no answer")),
            },
            None => {
                let words = one_line(&String::from_utf8_lossy(&self.line));
                (!words.is_empty()).then_some(Heard::Other(words))
            }
        };
        self.heard.extend(heard);
        self.line.clear();
        self.is_deaf = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::Says;

    const MARK: &str = "@rotation:m";

    fn heard(bytes: &[u8]) -> Vec<String> {
        let mut ear = Ear::new(MARK.to_owned());
        // in pieces of every size, a line is the same
        let whole = tell(&mut ear, [bytes]);
        for size in 1..bytes.len().min(70) {
            let mut ear = Ear::new(MARK.to_owned());
            assert_eq!(tell(&mut ear, bytes.chunks(size)), whole, "{size}");
        }
        whole
    }

    fn tell<'a>(ear: &mut Ear, parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut told = Vec::new();
        for part in parts {
            ear.hear(part);
            while let Some(heard) = ear.next() {
                told.push(match heard {
                    Heard::Answer(answer) => match answer.says {
                        Says::Ok(value) => format!("{} {value}", answer.id),
                        other => format!("{} {other:?}", answer.id),
                    },
                    Heard::Nonsense(what) => format!("nonsense: {what}"),
                    Heard::Other(words) => format!("other: {words}"),
                });
            }
        }
        told
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn answers_are_found_among_everything_else() {
        let answer = "\n@rotation:m {\"id\":1,\"ok\":true}\n";
        let both = ["other: Welcome!", "1 true"];
        assert_eq!(heard(format!("Welcome!{answer}").as_bytes()), both);
        assert_eq!(heard(answer.replace('\n', "\r\n").as_bytes()), ["1 true"]);
        let coloured =
            "\u{1b}[33;1mWARNING: x\u{1b}[0m@rotation:m {\"id\":1,\"ok\":true}\u{1b}[0m\n";
        assert_eq!(heard(coloured.as_bytes()), ["1 true"]);
        assert_eq!(
            heard(b"\xef\xbb\xbf@rotation:m {\"id\":1,\"ok\":true}\n"),
            ["1 true"]
        );
        let text = format!("\u{feff}Welcome!{answer}");
        for bytes in [
            utf16(&text, u16::to_le_bytes),
            utf16(&text, u16::to_be_bytes),
        ] {
            let heard = heard(&bytes);
            assert_eq!(
                heard.last().map(String::as_str),
                Some("1 true"),
                "{heard:?}"
            );
        }
        assert_eq!(
            heard(b"{\"id\":1,\"ok\":true}\n"),
            ["other: {\"id\":1,\"ok\":true}"]
        );
        assert_eq!(heard(b"@rotation:n {\"id\":1,\"ok\":true}\n").len(), 1);
        assert_eq!(heard(b"half a line"), [""; 0]);
    }

    proptest! {
        #[test]
        fn an_answer_is_found_after_anything_that_is_not_ours(
            lines in vec(vec(any::<u8>().prop_filter("no mark", |byte| *byte != b'@'), 0..300), 0..20),
            cut in 1..200_usize,
        ) {
            let mut bytes = lines.concat();
            bytes.extend_from_slice(b"\n@rotation:m {\"id\":7,\"ok\":1}\n");
            let mut ear = Ear::new(MARK.to_owned());
            let told = tell(&mut ear, bytes.chunks(cut));
            prop_assert_eq!(told.last().map(String::as_str), Some("7 1"));
            prop_assert!(told.iter().rev().skip(1).all(|line| line.starts_with("other: ")));
        }
    }

    #[test]
    fn what_has_our_mark_and_is_no_answer_is_nonsense() {
        for line in [
            "",
            "{",
            "{}",
            "[1]",
            "{\"id\":1,\"ok\":tr",
            "{\"id\":-1,\"ok\":1}",
        ] {
            let line = format!("@rotation:m {line}\n");
            assert_eq!(
                heard(line.as_bytes()),
                ["nonsense: a line that is no answer"],
                "{line}"
            );
        }
    }

    #[test]
    fn a_line_of_any_length_takes_bounded_memory() {
        let piece = vec![b'x'; 1 << 20];
        for start in ["", "@rotation:m {\"id\":1,\"ok\":\""] {
            let mut ear = Ear::new(MARK.to_owned());
            ear.hear(start.as_bytes());
            let mut count = 0;
            for _ in 0..64 {
                ear.hear(&piece);
                while ear.next().is_some() {
                    count += 1;
                }
                assert!(ear.line.capacity() <= 2 * LONGEST_ANSWER);
            }
            assert_eq!(count, 1, "{start}");
            ear.hear(b"\n@rotation:m {\"id\":2,\"ok\":1}\n");
            let last = std::iter::from_fn(|| ear.next()).last();
            assert!(matches!(last, Some(Heard::Answer(answer)) if answer.id == 2));
        }
    }
}
