//! The property that `cargo xtask fuzz` checks for hours, checked for the corpus under `fuzz/`, for the golden frames and for
//! a few random inputs.

mod commands;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[test]
fn commands_hold_for_every_input_that_is_kept() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/commands");
    let kept: Vec<_> = fs::read_dir(corpus).expect("each target has a corpus").collect();
    assert!(kept.len() > 5);
    for file in kept {
        commands::hold(&fs::read(file.unwrap().path()).unwrap());
    }
    commands::hold(include_bytes!("../../golden/client.json"));
}

/// Texts that are almost commands, because random text is almost never JSON.
fn almost() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"type\":",
        "\"id\":",
        "\"room\":",
        "\"body\":",
        "\"name\":",
        "\"after\":",
        "\"before\":",
        "\"rooms\":{",
        "\"client_message_id\":",
        "\"seq\":",
        "\"limit\":",
        "\"epoch\":",
        "\"join\"",
        "\"resume\"",
        "\"send\"",
        "\"rename\"",
        "\"history\"",
        "\"read\"",
        "\"ping\"",
        "\"r1\"",
        "\"茶馆\"",
        "\"k\"",
        "1",
        "-1",
        "1e3",
        "18446744073709551616",
        "null",
        "true",
        "\\u0000",
        "\\ud83d",
        " ",
        "\u{3000}",
    ];
    let word = prop_oneof![4 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec(word, 0..30).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn commands_hold_for_any_text(text: String) {
        commands::hold(text.as_bytes());
    }

    #[test]
    fn commands_hold_for_texts_that_are_almost_commands(text in almost()) {
        commands::hold(text.as_bytes());
    }
}
