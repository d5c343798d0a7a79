//! Properties of plain text lines for any name and body: no user can imitate another user, or a notice of the server.

use arbitrary::{Arbitrary, Unstructured};
use protocol::{RoomName, UserName};
use teahouse_domain::slash::{Line, parse};
use teahouse_domain::{generate_guest_name, sanitize_line};

/// Checks the properties of names, bodies and typed lines, for a case that is read from `data`.
pub(crate) fn hold(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    if let Ok(name) = UserName::new(case.name) {
        check_name(&name);
        check_line(&name, case.text);
    }
    if let Ok(name) = RoomName::new(case.room) {
        check_room(&name);
    }
    for chinese in [false, true] {
        let name = generate_guest_name(case.chance, chinese);
        check_name(&name);
        check_line(&name, case.text);
    }
    check_typed(case.text);
}

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    chance: u64,
    name: &'a str,
    room: &'a str,
    text: &'a str,
}

/// Whether a character ends a line, controls a terminal, or changes the direction of the text that follows.
fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn check_name(name: &UserName) {
    let text = name.as_str();
    assert_eq!(UserName::new(text).as_ref(), Ok(name), "stored and read it is another name: {text:?}");
    assert!(!text.chars().any(is_dangerous), "{text:?}");
    assert!(!text.starts_with(['*', '/', ' ']) && !text.contains([':', '：']), "{text:?}");
    assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), text);
}

fn check_room(name: &RoomName) {
    let text = name.as_str();
    assert_eq!(RoomName::new(text).as_ref(), Ok(name), "stored and read it is another room: {text:?}");
    assert!(!text.chars().any(|c| is_dangerous(c) || c.is_whitespace()), "{text:?}");
    // The lowercase spelling finds the same room.
    if let Ok(other) = RoomName::new(&text.to_lowercase()) {
        assert_eq!(other.key(), name.key(), "{text:?} and {:?}", other.as_str());
    }
}

/// Checks the line that other users receive for a message of `name`.
fn check_line(name: &UserName, body: &str) {
    let body = sanitize_line(body);
    let line = format!("{name}: {body}");
    assert!(!line.chars().any(is_dangerous), "{line:?}");
    assert_eq!(line.lines().count(), 1, "{line:?}");
    assert!(!line.starts_with("* "), "it looks like a notice: {line:?}");
    assert_eq!(
        line.split_once(": "),
        Some((name.as_str(), &body[..])),
        "it looks like a line of another user"
    );
    assert_eq!(sanitize_line(&line), line);
}

/// Checks that a typed line has one meaning, and that any text can be sent as a message.
fn check_typed(text: &str) {
    const SPACES: [char; 5] = [' ', '\t', '\n', '\r', '\u{3000}'];
    let parsed = parse(text);
    match parsed {
        Line::Message(message) => {
            let slash = if message.starts_with('/') { "/" } else { "" };
            assert_eq!(format!("{slash}{message}"), text);
        }
        Line::Command { argument, .. } => {
            assert!(argument.trim_matches(SPACES) == argument && text.contains(argument), "{argument:?}");
        }
        Line::Unknown(word) => assert!(text.strip_prefix('/').is_some_and(|rest| rest.starts_with(word))),
        Line::Help => {}
    }
    let is_message = matches!(parsed, Line::Message(_));
    assert_eq!(!is_message, text.starts_with('/') && !text.starts_with("//"));
    let escaped = if text.starts_with('/') { format!("/{text}") } else { text.to_owned() };
    assert!(matches!(parse(&escaped), Line::Message(message) if message == text), "{escaped:?}");
}
