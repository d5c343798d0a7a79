//! A text in one language: literal parts, parameters, and the forms among which it selects.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde::Deserialize;

/// The forms of a text in one language; `other` is the general one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forms {
    pub(crate) other: String,
    /// The form for the value 1 of the parameter `n`, which is a plural category of CLDR.
    pub(crate) one: Option<String>,
    /// The form for an empty parameter, which it does not contain.
    pub(crate) empty: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    Literal(&'t str),
    Parameter(&'t str),
}

impl Forms {
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        [Some(&self.other), self.one.as_ref(), self.empty.as_ref()].into_iter().flatten().map(String::as_str)
    }

    /// Checks what does not depend on the other language.
    pub(crate) fn check(&self) -> Result<()> {
        let general = parameters(&self.other);
        for form in self.all() {
            parts(form)?;
            if form.trim().is_empty() || form.chars().any(char::is_control) {
                bail!("{form:?} is empty or has control characters");
            }
            if !parameters(form).is_subset(&general) {
                bail!("`{form}` has parameters that the form `other` lacks");
            }
        }
        if self.empty.is_some() && self.optional_parameter().is_none() {
            bail!("the form `empty` has to lack exactly one parameter");
        }
        Ok(())
    }

    /// The parameter that is empty when the form `empty` is used.
    pub(crate) fn optional_parameter(&self) -> Option<&str> {
        let general = parameters(&self.other);
        let present = parameters(self.empty.as_deref()?);
        let mut lacking = general.difference(&present);
        lacking.next().copied().filter(|_| lacking.next().is_none())
    }
}

pub(crate) fn parameters(form: &str) -> BTreeSet<&str> {
    let name = |part| match part {
        Part::Parameter(name) => Some(name),
        Part::Literal(_) => None,
    };
    parts(form).unwrap_or_default().into_iter().filter_map(name).collect()
}

/// Splits a form into literals and parameters such as `{name}`. The error is an unbalanced brace or an invalid name.
pub(crate) fn parts(form: &str) -> Result<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = form;
    while let Some((literal, after)) = rest.split_once('{') {
        let Some((name, next)) = after.split_once('}') else { bail!("`{form}` lacks a closing brace") };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            bail!("`{{{name}}}` is no parameter: lower case letters and `_`");
        }
        parts.extend([Part::Literal(literal), Part::Parameter(name)]);
        rest = next;
    }
    parts.push(Part::Literal(rest));
    parts.retain(|part| *part != Part::Literal(""));
    if parts.iter().any(|part| matches!(part, Part::Literal(text) if text.contains('}'))) {
        bail!("`{form}` lacks an opening brace");
    }
    Ok(parts)
}

/// Checks Chinese punctuation and spacing. A space is only permitted after a slash command.
pub(crate) fn check_chinese(form: &str) -> Result<()> {
    for (at, space) in form.match_indices(' ') {
        let (before, after) = (&form[..at], &form[at + space.len()..]);
        let word = before.rsplit(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
        let follows_command = before.strip_suffix(word).is_some_and(|rest| rest.ends_with('/'));
        let touches_han = before.ends_with(is_han) || after.starts_with(is_han);
        if touches_han && !follows_command {
            bail!("`{form}`: no space between Chinese and other characters");
        }
    }
    let mut characters = form.chars().peekable();
    while let Some(c) = characters.next() {
        if is_han(c) && characters.peek().is_some_and(|next| ",;:!?.".contains(*next)) {
            bail!("`{form}`: punctuation after Chinese is full-width");
        }
    }
    Ok(())
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

/// Adds spaces between Chinese and other characters, for terminals. In the page, the browser adds the spacing.
pub(crate) fn spaced(form: &str) -> String {
    let mut text = String::new();
    let mut before = ' ';
    for c in form.chars() {
        let begins = is_han(before) && (c.is_ascii_alphanumeric() || matches!(c, '{' | '/' | '#'));
        let ends = (before.is_ascii_alphanumeric() || before == '}') && is_han(c);
        if begins || ends {
            text.push(' ');
        }
        text.push(c);
        before = c;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(other: &str, one: Option<&str>, empty: Option<&str>) -> Forms {
        let owned = |form: &str| form.to_owned();
        Forms { other: owned(other), one: one.map(owned), empty: empty.map(owned) }
    }

    #[test]
    fn form_is_split_into_literals_and_parameters() {
        let expected = [Part::Parameter("name"), Part::Literal(": "), Part::Parameter("text")];
        assert_eq!(parts("{name}: {text}").unwrap(), expected);
        for wrong in ["{name", "name}", "{}", "{Name}", "{a b}"] {
            assert!(parts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn empty_text_and_control_character_are_errors() {
        for wrong in ["", " ", "a\nb", "a\u{7}"] {
            assert!(forms(wrong, None, None).check().is_err(), "{wrong:?}");
            assert!(forms("{n}", Some(wrong), None).check().is_err(), "{wrong:?}");
        }
        assert!(forms("{n} others", Some("1 other"), None).check().is_ok());
    }

    #[test]
    fn form_empty_lacks_exactly_one_parameter() {
        assert_eq!(forms("{a}: {b}", None, Some("{a}")).optional_parameter(), Some("b"));
        assert!(forms("{a}: {b}", None, Some("{a}-{b}")).check().is_err());
        assert!(forms("{a}: {b}", None, Some("none")).check().is_err());
        assert!(forms("{a}", None, Some("{b}")).check().is_err());
    }

    #[test]
    fn chinese_with_spaces_or_narrow_punctuation_is_an_error() {
        for wrong in ["去 lobby", "lobby 里", "你好, Ann", "你好!", "好."] {
            assert!(check_chinese(wrong).is_err(), "{wrong}");
        }
        for right in ["去lobby", "例如：/join 茶馆", "你好，Ann", "{name}：{text}", "a b"] {
            assert!(check_chinese(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn chinese_for_terminals_has_spaces_around_latin() {
        assert_eq!(spaced("{name}改名为{new}"), "{name} 改名为 {new}");
        assert_eq!(
            spaced("没有/{word}这个命令。输入/help可以查看"),
            "没有 /{word} 这个命令。输入 /help 可以查看"
        );
        assert_eq!(spaced("另外95人，“x”，去 lobby"), "另外 95 人，“x”，去 lobby");
    }
}
