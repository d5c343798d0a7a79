//! The tables of the documents, each between `<!-- generated: NAME -->` and `<!-- end of NAME -->`.

use anyhow::{Context, Result, bail};
use protocol::operations::{OPERATIONS, Row};
use protocol::{Close, EVENT_EXAMPLES, ErrorCode, Reconnect};

use super::fields::Tables;
use super::markdown::{code, codes, markdown};
use super::texts::Catalog;

/// Returns the document with its tables regenerated. Unknown markers are errors.
pub(crate) fn fill(text: &str, texts: &Catalog) -> Result<String> {
    const BEGIN: &str = "<!-- generated: ";
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let after = &rest[at + BEGIN.len()..];
        let name = after.split(" -->").next().unwrap_or_default();
        let end = format!("<!-- end of {name} -->");
        let end_at = after.find(&end).with_context(|| format!("`{end}` is missing"))?;
        filled.push_str(&rest[..at]);
        filled.push_str(&format!("{BEGIN}{name} -->\n{}", table(name, texts)?));
        rest = &after[end_at..];
    }
    Ok(filled + rest)
}

fn table(name: &str, texts: &Catalog) -> Result<String> {
    Ok(match name {
        "operations" => operations(),
        "events" => events(),
        "errors" => errors(),
        "close codes" => close_codes(),
        "value types" => Tables::new(protocol::openapi::document()).values()?,
        "command fields" => Tables::new(protocol::openapi::document()).commands()?,
        "objects" => Tables::new(protocol::openapi::document()).objects()?,
        "example commands" => examples(rows().flat_map(|row| row.requests).copied()),
        "example replies" => example_replies(),
        "example events" => examples(EVENT_EXAMPLES.iter().copied()),
        "example control frames" => examples(protocol::golden::control()),
        "permissions" => permissions(),
        "slash commands" => slash_commands(texts),
        _ => bail!("no table is called `{name}`"),
    })
}

fn rows() -> impl Iterator<Item = &'static Row> {
    OPERATIONS.iter().map(|definition| definition.row)
}

/// The replies of the golden files, each operation's after its name.
fn example_replies() -> String {
    let with_replies = rows().filter(|row| !row.replies.is_empty());
    let replies = with_replies.map(|row| format!("// {}\n{}\n", row.name, row.replies.join("\n")));
    format!("```jsonc\n{}```\n", replies.collect::<String>())
}

/// Frames of the golden files, one per line.
fn examples(frames: impl Iterator<Item = &'static str>) -> String {
    let frames: String = frames.map(|frame| format!("{frame}\n")).collect();
    format!("```json\n{frames}```\n")
}

fn operations() -> String {
    markdown(
        &["command", "fields", "effect", "reply", "HTTP"],
        OPERATIONS.iter().map(|definition| {
            let row = definition.row;
            let fields = definition.fields_in_order();
            let fields: Vec<String> = fields
                .into_iter()
                .map(|(name, required)| if required { code(name) } else { code(name) + "?" })
                .collect();
            let http = row.http.map_or("WebSocket only".to_owned(), |route| {
                code(format!("{} {}", route.method.as_str(), route.path))
            });
            vec![code(row.name), fields.join(", "), row.summary.to_owned(), row.reply.to_owned(), http]
        }),
    )
}

fn events() -> String {
    let document = protocol::openapi::document();
    let kinds = document["components"]["schemas"]["Event"]["oneOf"].as_array().cloned().unwrap_or_default();
    markdown(
        &["event", "its own fields", "meaning", "appended by"],
        kinds.iter().map(|kind| {
            let name = kind["properties"]["type"]["const"].as_str().unwrap_or_default();
            let meaning = kind["description"].as_str().unwrap_or_default();
            let own = kind["properties"].as_object().into_iter().flat_map(|map| map.keys());
            let own = own.filter(|field| *field != "type").map(code).collect::<Vec<_>>().join(", ");
            let by = rows().filter(|row| row.events.contains(&name)).map(|row| row.name);
            vec![code(name), own, meaning.to_owned(), codes(by)]
        }),
    )
}

fn errors() -> String {
    markdown(
        &["code", "retryable", "HTTP", "meaning", "operations"],
        ErrorCode::ALL.iter().map(|&error| {
            let retryable = if error.is_retryable() { "yes" } else { "no" };
            let of: Vec<&str> = rows().filter(|row| row.may_return(error)).map(|row| row.name).collect();
            let of = match of.len() {
                0 => String::new(),
                all if all == OPERATIONS.len() => "all".to_owned(),
                _ => codes(of.into_iter()),
            };
            let status = error.http_status().to_string();
            vec![code(error), retryable.to_owned(), status, error.meaning().to_owned(), of]
        }),
    )
}

/// Each code, then the ranges, from which a client takes the policy of a code that it does not define.
fn close_codes() -> String {
    let row = |code: String, name: String, reconnect: Reconnect, meaning: &str| {
        vec![code, name, reconnect.meaning().to_owned(), meaning.to_owned()]
    };
    let codes = Close::ALL
        .iter()
        .map(|close| row(close.code().to_string(), code(close.as_str()), close.reconnect(), close.meaning()));
    let ranges = [(Reconnect::BACKOFF_CODES, Reconnect::Backoff), (Reconnect::NEVER_CODES, Reconnect::Never)];
    let ranges = ranges.into_iter().map(|(codes, reconnect)| {
        let codes = format!("{} to {}", codes.start(), codes.end());
        row(codes, String::new(), reconnect, "Any other code of the range: a later version may send it.")
    });
    markdown(&["code", "name", "reconnect?", "meaning"], codes.chain(ranges))
}

fn permissions() -> String {
    markdown(
        &["operation", "permission", "rate", "transport"],
        rows().map(|row| {
            let permission = row.permission.map_or("none".to_owned(), |it| code(format!("{it:?}")));
            let transport = if row.http.is_some() { "WebSocket, HTTP" } else { "WebSocket" };
            vec![code(row.name), permission, code(row.rate.as_str()), transport.to_owned()]
        }),
    )
}

/// The table of the slash commands; its texts are those of `/help`.
fn slash_commands(texts: &Catalog) -> String {
    let english = |group: &str, key: &str| texts.group(group).get(key).map(|text| text.en.other.as_str());
    let words = rows().filter_map(|row| row.slash).map(|slash| slash.word).chain(["help"]);
    let lines = words.map(|word| {
        let argument =
            english("slash_argument", word).map(|argument| format!(" {argument}")).unwrap_or_default();
        vec![code(format!("/{word}{argument}")), english("slash", word).unwrap_or_default().to_owned()]
    });
    let escape = vec![code("//…"), english("help", "escape").unwrap_or_default().to_owned()];
    markdown(&["line", "effect"], lines.chain([escape]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String> {
        super::fill(text, &Catalog::default())
    }

    #[test]
    fn table_between_markers_is_replaced() {
        let filled = fill("a\n<!-- generated: events -->\nstale line\n<!-- end of events -->\nb\n").unwrap();
        assert!(filled.starts_with("a\n<!-- generated: events -->\n| event |"), "{filled}");
        assert!(
            filled.ends_with("|\n<!-- end of events -->\nb\n") && !filled.contains("stale line"),
            "{filled}"
        );
        assert_eq!(fill(&filled).unwrap(), filled);
    }

    #[test]
    fn table_without_end_or_of_unknown_name_is_an_error() {
        assert!(fill("<!-- generated: events -->\n").is_err());
        assert!(fill("<!-- generated: x -->\n<!-- end of x -->\n").is_err());
    }
}
