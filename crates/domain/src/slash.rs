//! Lines that begin with a slash. The web client reads lines the same way; `golden/slash.json` holds the two together.

/// What parts a command from what follows it: what a keyboard gives, the ideographic space of Chinese and Japanese ones too.
/// A short list and not all of Unicode's, so that it is the same in every language.
const SPACES: [char; 5] = [' ', '\t', '\n', '\r', '\u{3000}'];

/// What a line means. Whether a name is legal is found out later, where it becomes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Said as it stands, less the first slash of two.
    Say(String),
    /// `/join ROOM`
    Join(String),
    /// `/leave`
    Leave,
    /// `/name NAME`
    Name(String),
    /// `/topic TEXT`; without a text, the topic is removed.
    Topic(String),
    /// `/who`
    Who,
    /// `/rooms`
    Rooms,
    /// `/help`
    Help,
    /// No command has this name. It is not said: what was meant for the server may not be meant for the room.
    Unknown(String),
    /// The command, without what it needs.
    Incomplete(&'static str),
}

/// Reads a line. Only a slash in the very first place makes a command: whoever begins with a space speaks.
#[must_use]
pub fn parse(line: &str) -> Line {
    let Some(rest) = line.strip_prefix('/') else { return Line::Say(line.to_owned()) };
    if rest.starts_with('/') {
        return Line::Say(rest.to_owned());
    }
    let (word, argument) = rest.split_once(SPACES).unwrap_or((rest, ""));
    let argument = argument.trim_matches(SPACES);
    match word.to_ascii_lowercase().as_str() {
        "join" => with(argument, Line::Join, "join"),
        "name" => with(argument, Line::Name, "name"),
        "topic" => Line::Topic(argument.to_owned()),
        "leave" => Line::Leave,
        "who" => Line::Who,
        "rooms" => Line::Rooms,
        "help" => Line::Help,
        _ => Line::Unknown(word.to_owned()),
    }
}

fn with(argument: &str, command: fn(String) -> Line, name: &'static str) -> Line {
    if argument.is_empty() { Line::Incomplete(name) } else { command(argument.to_owned()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn to_json(line: Line) -> Value {
        match line {
            Line::Say(text) => json!({ "say": text }),
            Line::Join(room) => json!({ "join": room }),
            Line::Leave => json!("leave"),
            Line::Name(name) => json!({ "name": name }),
            Line::Topic(topic) => json!({ "topic": topic }),
            Line::Who => json!("who"),
            Line::Rooms => json!("rooms"),
            Line::Help => json!("help"),
            Line::Unknown(word) => json!({ "unknown": word }),
            Line::Incomplete(command) => json!({ "incomplete": command }),
        }
    }

    #[test]
    fn lines_mean_what_the_golden_file_says() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../golden/slash.json")).unwrap();
        assert!(cases.len() > 30);
        for case in cases {
            let line = case["line"].as_str().unwrap();
            assert_eq!(to_json(parse(line)), case["is"], "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_person_wants_to_say_can_be_said(text in "\\PC*") {
            let line = if text.starts_with('/') { format!("/{text}") } else { text.clone() };
            prop_assert_eq!(parse(&line), Line::Say(text));
        }
    }
}
