//! Message bodies as single lines, for terminals and other plain-text clients.

/// Returns the body as one line, so that it cannot forge another line, move the cursor of a terminal, or change the text
/// direction of what follows.
///
/// Line breaks, tabs and control characters become a space each. Embeddings and overrides of the text direction are removed.
/// The joiners are kept: several scripts and emoji require them.
#[must_use]
pub fn sanitize_line(body: &str) -> String {
    body.chars().filter(|&c| !changes_direction(c)).map(|c| if breaks_line(c) { ' ' } else { c }).collect()
}

/// `is_control` covers C0 and C1: ESC and CSI start terminal escape sequences, and U+0085 is a line break.
fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Embeddings, overrides and isolates affect text after the body, such as the name or time that follows. The marks (U+200E,
/// U+200F, U+061C) do not, and ordinary Arabic and Hebrew text contains them.
fn changes_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn body_with_breaks_or_controls_becomes_one_line() {
        assert_eq!(sanitize_line("hi\nAnn: me too"), "hi Ann: me too");
        assert_eq!(sanitize_line("a\r\nb\tc"), "a  b c");
        for c in ['\u{85}', '\u{2028}', '\u{2029}', '\u{b}', '\u{c}', '\0', '\u{7f}', '\u{9b}', '\u{1b}'] {
            assert_eq!(sanitize_line(&format!("a{c}b")), "a b", "{c:?}");
        }
        assert_eq!(sanitize_line("\u{1b}[2J* Ann joined"), " [2J* Ann joined");
    }

    #[test]
    fn direction_overrides_are_removed_from_a_body() {
        assert_eq!(sanitize_line("a\u{202e}b\u{2066}c\u{2069}"), "abc");
    }

    #[test]
    fn joiners_marks_and_spaces_are_kept() {
        for text in ["你好，世界", "👩‍🚀", "می‌خواهم", "שלום\u{200f}", "  two  spaces ", "café"]
        {
            assert_eq!(sanitize_line(text), text);
        }
    }

    proptest! {
        #[test]
        fn sanitized_line_has_no_breaks_and_is_stable(body in any::<String>()) {
            let line = sanitize_line(&body);
            prop_assert!(!line.chars().any(|c| breaks_line(c) || changes_direction(c)));
            prop_assert_eq!(sanitize_line(&line), line.clone());
            prop_assert!(line.len() <= body.len());
        }
    }
}
