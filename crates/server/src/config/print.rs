//! `teahouse config`: what is in force and where it came from, as TOML that could be used again.

use std::fmt::Write;

use super::Loaded;
use super::settings::{Kind, SETTINGS, Setting};

/// Every setting in force, each with its source.
pub(crate) fn in_force(loaded: &Loaded) -> String {
    let lifted = !loaded.config.limits.enabled;
    let mut out = String::from("# What is in force, and where it came from.\n");
    let lines: Vec<String> = loaded.settings().map(|(setting, chosen)| line(setting, &chosen.text)).collect();
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let mut section = "";
    for ((setting, chosen), line) in loaded.settings().zip(&lines) {
        section = begin_section(&mut out, section, setting);
        let padding = " ".repeat(width - line.chars().count());
        let off =
            if lifted && section == "limits" && setting.key != "limits.enabled" { " (off)" } else { "" };
        let _ = writeln!(out, "{line}{padding}  # {}{off}", chosen.source);
    }
    out
}

/// A file to begin with: every setting, explained, at its default, and commented out.
pub(crate) fn example() -> String {
    let mut out = String::from(
        "# Teahouse's settings, all at their defaults. Written by `teahouse config --example`.\n\
         #\n\
         # A setting can also be an environment variable (limits.connections is TEAHOUSE_LIMITS_CONNECTIONS), and those that\n\
         # name a flag can be said on the command line. Flags win over the environment, the environment over this file.\n\
         # `teahouse config` prints what is in force, and where each value came from.\n",
    );
    let mut section = "";
    for setting in SETTINGS {
        section = begin_section(&mut out, section, setting);
        let flag = setting.flag.map_or_else(String::new, |flag| format!(" Flag: {flag}."));
        let _ = write!(out, "\n# {}{flag}\n# Allowed is {}.\n", setting.doc, setting.allowed);
        let _ = writeln!(out, "#{}", line(setting, setting.default));
    }
    out
}

/// Writes the heading of a section that begins with this setting, and returns the section we are in.
fn begin_section(out: &mut String, current: &'static str, setting: &Setting) -> &'static str {
    let section = setting.key.split_once('.').map_or("", |(section, _)| section);
    if section != current {
        let _ = writeln!(out, "\n[{section}]");
    }
    section
}

fn line(setting: &Setting, text: &str) -> String {
    let name = setting.key.rsplit_once('.').map_or(setting.key, |(_, name)| name);
    let quote = |text: &str| toml::Value::from(text).to_string();
    let value = match setting.kind {
        Kind::Text => quote(text),
        // What the environment may write otherwise than TOML may: `0200`.
        Kind::Number => {
            text.replace('_', "").parse::<u64>().map_or(text.to_owned(), |number| number.to_string())
        }
        Kind::Switch => text.to_owned(),
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            format!("[{}]", items.map(quote).collect::<Vec<_>>().join(", "))
        }
    };
    format!("{name} = {value}")
}
