//! `teahouse.toml`, parsed with positions, so that errors name the line.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::settings::{Kind, SETTINGS, index_of};
use super::{ConfigError, Source, nearest};

/// The index of a setting in [`SETTINGS`], its text, and its source.
type Given = (usize, String, Source);

/// Reads every setting of a file. Their order does not matter, because TOML rejects duplicate keys.
pub(super) fn read(path: &Path) -> Result<Vec<Given>, ConfigError> {
    let unreadable = |cause| ConfigError::Unreadable { path: path.to_owned(), cause };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let file = File { path, text: &text };
    let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
        source_: file.at(error.span().map_or(0, |span| span.start)),
        problem: error.message().lines().next().unwrap_or("not TOML").to_owned(),
    })?;
    let mut given = Vec::new();
    file.walk("", table.get_ref(), &mut given)?;
    Ok(given)
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn walk(&self, prefix: &str, table: &DeTable<'_>, given: &mut Vec<Given>) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let source = self.at(name.span().start);
            match (value.get_ref(), index_of(&key)) {
                (value, Some(index)) => {
                    let text = as_text(value, SETTINGS[index].kind).ok_or_else(|| ConfigError::Value {
                        source_: source.clone(),
                        key: SETTINGS[index].key,
                        value: SETTINGS[index]
                            .as_written(self.text.get(table_value(table, name)).unwrap_or_default()),
                        problem: format!("expected {}", SETTINGS[index].allowed),
                    })?;
                    given.push((index, text, source));
                }
                (DeValue::Table(inner), None) if is_section(&key) => {
                    self.walk(&format!("{key}."), inner, given)?
                }
                (_, None) => {
                    let sections =
                        SETTINGS.iter().filter_map(|setting| setting.key.split_once('.')).map(|(s, _)| s);
                    let known = SETTINGS.iter().map(|setting| setting.key).chain(sections);
                    let hint = nearest(&key, known).map(str::to_owned);
                    return Err(ConfigError::Unknown { source_: source, key, hint });
                }
            }
        }
        Ok(())
    }

    fn at(&self, position: usize) -> Source {
        let before = self.text.get(..position).unwrap_or_default();
        Source::File(self.path.to_owned(), before.matches('\n').count() + 1)
    }
}

/// The position of a key's value, for error messages.
fn table_value(
    table: &DeTable<'_>,
    name: &toml::Spanned<std::borrow::Cow<'_, str>>,
) -> std::ops::Range<usize> {
    table.get(name).map_or(0..0, toml::Spanned::span)
}

fn is_section(key: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

/// A value in the syntax of the environment; `None` if it has another type.
fn as_text(value: &DeValue<'_>, kind: Kind) -> Option<String> {
    match (value, kind) {
        (DeValue::String(text), _) => Some(text.to_string()),
        // `max_message_bytes = 8192` is a size without its unit.
        (DeValue::Integer(number), Kind::Number | Kind::Text) => Some(number.to_string()),
        (DeValue::Boolean(switch), Kind::Switch) => Some(switch.to_string()),
        (DeValue::Array(items), Kind::List) => {
            let items = items.iter().map(|item| match item.get_ref() {
                // A comma would split the item.
                DeValue::String(text) if !text.contains(',') => Some(text.as_ref()),
                _ => None,
            });
            Some(items.collect::<Option<Vec<_>>>()?.join(","))
        }
        _ => None,
    }
}
