//! The setting tables of docs/CONFIGURATION.md and docs/CONFIGURATION.zh.md, generated from the table in `settings.rs`.
//!
//! A document contains, for each section, the markers `<!-- settings SECTION: begin -->` and `<!-- settings SECTION: end -->`; the
//! section of keys without a dot is `general`. The text between the markers is generated.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::print::{example, toml_value};
use super::settings::{SETTINGS, Setting};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    English,
    Chinese,
}

/// Every file that is generated from the settings, with the text it should have.
///
/// # Errors
/// If a document cannot be read or has no markers for a section.
pub(super) fn generated_files(root: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let mut files = vec![(root.join("teahouse.example.toml"), example())];
    let documents =
        [("docs/CONFIGURATION.md", Language::English), ("docs/CONFIGURATION.zh.md", Language::Chinese)];
    for (name, language) in documents {
        let path = root.join(name);
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
        let text = with_tables(&text, language).map_err(|error| format!("{name}: {error}"))?;
        files.push((path, text));
    }
    Ok(files)
}

/// The document with the text between all markers replaced.
fn with_tables(document: &str, language: Language) -> Result<String, String> {
    let mut document = document.to_owned();
    for section in sections() {
        let (begin, end) =
            (format!("<!-- settings {section}: begin -->\n"), format!("<!-- settings {section}: end -->"));
        let missing = || format!("no markers for the settings of the section {section}");
        let (before, rest) = document.split_once(&begin).ok_or_else(missing)?;
        let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
        document = format!("{before}{begin}\n{}\n{end}{after}", table(section, language));
    }
    Ok(document)
}

fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> = SETTINGS.iter().map(section_of).collect();
    sections.dedup();
    sections
}

fn section_of(setting: &Setting) -> &'static str {
    setting.key.split_once('.').map_or("general", |(section, _)| section)
}

fn table(section: &str, language: Language) -> String {
    let mut table = match language {
        Language::English => "| setting | default | description |\n|---|---|---|\n",
        Language::Chinese => "| 配置项 | 默认值 | 说明 |\n|---|---|---|\n",
    }
    .to_owned();
    for setting in SETTINGS.iter().filter(|setting| section_of(setting) == section) {
        let text = match language {
            Language::English => setting.doc,
            Language::Chinese => setting.doc_zh,
        };
        let default = toml_value(setting, setting.default);
        let _ = writeln!(table, "| `{}` | `{default}` | {text} |", setting.key);
    }
    table
}
