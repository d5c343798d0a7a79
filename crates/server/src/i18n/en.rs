use protocol::ErrorCode;

use super::{PageTexts, Texts};

pub(super) static TEXTS: Texts = Texts {
    tag: "en",
    joined: |names, count| format!("{} joined", list(names, count)),
    left: |name| format!("{name} left"),
    renamed: |was, name| format!("{was} is now called {name}"),
    topic: |topic| format!("topic: {topic}"),
    topic_changed: |name, topic| match topic {
        "" => format!("{name} removed the topic"),
        _ => format!("{name} changed the topic to: {topic}"),
    },
    gap: |from, to, room| format!("missed {from} to {to} in {room}"),
    welcome: |name, room| format!("welcome, {name}; you are in {room}. /help lists the commands"),
    you_are_in: |room| format!("you are in {room}"),
    who: |names, count| {
        let list = names.join(", ");
        match count as usize - names.len().min(count as usize) {
            0 => format!("{count} online: {list}"),
            missing => format!("{count} online: {list} and {missing} more"),
        }
    },
    room: |name, online| format!("#{name} ({online} online)"),
    no_rooms: "there are no rooms",
    and_more: "… and more",
    help: &[
        "/join ROOM - join a room and talk there",
        "/leave - leave the room, back to the lobby",
        "/name NAME - change your name",
        "/topic TEXT - change the topic of the room",
        "/who - who is here",
        "/rooms - which rooms there are",
        "/help - these lines",
        "//… - say a line that begins with a slash",
    ],
    error: |what| format!("error: {what}"),
    refusal: ErrorCode::text_en,
    unknown_command: |word| format!("there is no command /{word}; /help lists them"),
    incomplete: |command| match command {
        "join" => "which room? /join ROOM".to_owned(),
        "name" => "which name? /name NAME".to_owned(),
        "topic" => "which topic? /topic TEXT".to_owned(),
        other => format!("/{other} needs to know more"),
    },
    stopping: "the server is stopping; come back in a moment",
    page: PageTexts {
        title: "Teahouse is running, but its page was not built",
        works: "Chat clients can connect all the same, at /ws.",
        build: "To build the page and run the server, in the project's folder:",
    },
};

/// "Ann, Bob and 3 others"
fn list(names: &[&str], count: usize) -> String {
    let (last, before) = match (count.saturating_sub(names.len()), names) {
        (0, [before @ .., last]) => ((*last).to_owned(), before),
        (0, []) => (String::new(), names),
        (1, _) => ("1 other".to_owned(), names),
        (others, _) => (format!("{others} others"), names),
    };
    if before.is_empty() { last } else { format!("{} and {last}", before.join(", ")) }
}
