//! Markdown of the generated tables.

/// A table with one line per row.
pub(super) fn markdown(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head_line = line(head.iter().map(|&cell| cell.to_owned()).collect());
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    [head_line, rule].into_iter().chain(rows.map(line)).collect()
}

/// Inline code.
pub(super) fn code(text: impl std::fmt::Display) -> String {
    format!("`{text}`")
}

/// A list of inline code, separated by commas.
pub(super) fn codes<T: std::fmt::Display>(list: impl Iterator<Item = T>) -> String {
    list.map(code).collect::<Vec<_>>().join(", ")
}
