//! Lines that begin with a slash. The words come from the rows of the operations. The web client implements the same grammar;
//! `golden/slash.json` tests both.

use protocol::operations::{OPERATIONS, Row, Slash};

/// The separators between a command and its argument, including the ideographic space of Chinese and Japanese keyboards. A
/// fixed list instead of Unicode's, so that all implementations agree.
const SPACES: [char; 5] = [' ', '\t', '\n', '\r', '\u{3000}'];

/// The word that lists the commands; it is not an operation.
pub const HELP: &str = "help";

/// The meaning of a line. Whether the argument is valid is checked by the operation.
#[derive(Clone, Copy, Debug)]
pub enum Line<'l> {
    /// A message. The first slash of two is removed.
    Message(&'l str),
    /// A slash command of an operation.
    Command {
        /// The operation that the line requests.
        row: &'static Row,
        /// The word, and the field that takes the argument.
        slash: Slash,
        /// The rest of the line without surrounding white space; empty if there is none.
        argument: &'l str,
    },
    /// `/help`, which needs no operation.
    Help,
    /// No command has this word. The line is not sent: a mistyped command may be private.
    Unknown(&'l str),
}

/// Parses a line. Only a slash at the very start makes a command; a line that begins with a space is a message.
#[must_use]
pub fn parse(line: &str) -> Line<'_> {
    let Some(rest) = line.strip_prefix('/') else { return Line::Message(line) };
    if rest.starts_with('/') {
        return Line::Message(rest);
    }
    let (word, argument) = rest.split_once(SPACES).unwrap_or((rest, ""));
    let argument = argument.trim_matches(SPACES);
    if word.eq_ignore_ascii_case(HELP) {
        return Line::Help;
    }
    match commands().find(|(_, slash)| word.eq_ignore_ascii_case(slash.word)) {
        Some((row, slash)) => Line::Command { row, slash, argument },
        None => Line::Unknown(word),
    }
}

/// Every slash command except `help`, in the order of the documents.
pub fn commands() -> impl Iterator<Item = (&'static Row, Slash)> {
    OPERATIONS.iter().filter_map(|definition| Some((definition.row, definition.row.slash?)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use protocol::Command;
    use serde_json::{Map, Value, json};

    use super::*;

    /// The meaning in the form of the golden file. A command without the argument that its operation needs is incomplete.
    fn to_json(line: Line<'_>) -> Value {
        let is_complete = |row: &Row, field: &str, argument: &str| {
            let fields = [("room", "lobby"), (field, argument)];
            let fields: Map<_, _> =
                fields.map(|(name, value)| (name.to_owned(), json!(value))).into_iter().collect();
            !argument.is_empty() || Command::from_parameters(row.name, fields, 100).is_ok()
        };
        match line {
            Line::Message(text) => json!({ "say": text }),
            Line::Command { row, slash: Slash { word, argument: Some(field) }, argument } => {
                if is_complete(row, field, argument) {
                    json!({ word: argument })
                } else {
                    json!({ "incomplete": word })
                }
            }
            Line::Command { slash, .. } => json!(slash.word),
            Line::Help => json!("help"),
            Line::Unknown(word) => json!({ "unknown": word }),
        }
    }

    #[test]
    fn line_is_parsed_as_in_the_golden_file() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../golden/slash.json")).unwrap();
        assert!(cases.len() > 30);
        for case in cases {
            let line = case["line"].as_str().unwrap();
            assert_eq!(to_json(parse(line)), case["is"], "{line:?}");
        }
    }

    #[test]
    fn words_are_unique_and_lower_case() {
        let mut words = BTreeSet::from([HELP]);
        for (_, slash) in commands() {
            assert!(words.insert(slash.word), "{}", slash.word);
            assert!(slash.word.chars().all(|c| c.is_ascii_lowercase()), "{}", slash.word);
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_sent_as_a_message(text in "\\PC*") {
            let line = if text.starts_with('/') { format!("/{text}") } else { text.clone() };
            prop_assert!(matches!(parse(&line), Line::Message(message) if message == text));
        }
    }
}
