//! Bodies on one line, for readers whose screen is a terminal or a plain text box.

/// The body as one line: nobody can forge a second one, move the cursor, or turn the reading direction of what follows.
///
/// Breaks, tabs and control characters become a space each. Embeddings and overrides of the reading direction are dropped;
/// the joiners of scripts and of emoji stay, since words and faces need them.
#[must_use]
pub fn sanitize_line(body: &str) -> String {
    body.chars().filter(|&c| !turns_direction(c)).map(|c| if breaks_line(c) { ' ' } else { c }).collect()
}

/// Control characters hold C0 and C1: ESC and CSI steer terminals, U+0085 is a line break in C1's clothes.
fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Embeddings, overrides and isolates reach beyond the text that holds them, into the time or the name of the next one.
/// The marks (U+200E, U+200F, U+061C) do not, and ordinary Arabic and Hebrew text is typed with them.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_cannot_forge_a_line() {
        assert_eq!(sanitize_line("hi\nAnn: me too"), "hi Ann: me too");
        assert_eq!(sanitize_line("a\r\nb\tc"), "a  b c");
        for c in ['\u{85}', '\u{2028}', '\u{2029}', '\u{b}', '\u{c}', '\0', '\u{7f}', '\u{9b}', '\u{1b}'] {
            assert_eq!(sanitize_line(&format!("a{c}b")), "a b", "{c:?}");
        }
        assert_eq!(sanitize_line("\u{1b}[2J* Ann joined"), " [2J* Ann joined");
    }

    #[test]
    fn a_body_cannot_turn_the_rest_of_the_line() {
        assert_eq!(sanitize_line("a\u{202e}b\u{2066}c\u{2069}"), "abc");
    }

    #[test]
    fn what_words_and_faces_need_stays() {
        for text in ["你好，世界", "👩‍🚀", "می‌خواهم", "שלום\u{200f}", "  two  spaces ", "café"]
        {
            assert_eq!(sanitize_line(text), text);
        }
    }

    proptest! {
        #[test]
        fn one_line_is_one_line(body in any::<String>()) {
            let line = sanitize_line(&body);
            prop_assert!(!line.chars().any(|c| breaks_line(c) || turns_direction(c)));
            prop_assert_eq!(sanitize_line(&line), line.clone());
            prop_assert!(line.len() <= body.len());
        }
    }
}
