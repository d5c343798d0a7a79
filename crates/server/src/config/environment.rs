//! Environment variables: `TEAHOUSE_…` for each setting, and `TEAHOUSE_CONFIG` for the file.

use std::ffi::OsString;
use std::path::PathBuf;

use super::settings::SETTINGS;
use super::{ConfigError, Source, nearest};

const PREFIX: &str = "TEAHOUSE_";
const CONFIG: &str = "TEAHOUSE_CONFIG";

pub(super) struct Environment {
    pub(super) config: Option<PathBuf>,
    /// The index in [`SETTINGS`], the text and the source of each.
    pub(super) settings: Vec<(usize, String, Source)>,
}

pub(super) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Environment, ConfigError> {
    let names: Vec<String> = SETTINGS.iter().map(super::Setting::variable).collect();
    let mut found = Environment { config: None, settings: Vec::new() };
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let source = Source::Environment(name.to_owned());
        if name == CONFIG {
            found.config = Some(PathBuf::from(value));
        } else if let Some(index) = names.iter().position(|known| known == name) {
            let Some(text) = value.to_str() else {
                let (key, value) = (SETTINGS[index].key, SETTINGS[index].quoted(&value.to_string_lossy()));
                return Err(ConfigError::Value {
                    source_: source,
                    key,
                    value,
                    problem: "not UTF-8".to_owned(),
                });
            };
            found.settings.push((index, text.to_owned(), source));
        } else if cfg!(feature = "fault-injection") && name == "TEAHOUSE_FAULT_INJECTION" {
            // Not a setting; in builds without the feature, the variable is unknown and rejected.
        } else if !is_service_link(name) {
            let known = names.iter().map(String::as_str).chain([CONFIG]);
            let hint = nearest(name, known).map(str::to_owned);
            return Err(ConfigError::Unknown { source_: source, key: name.to_owned(), hint });
        }
    }
    Ok(found)
}

/// Whether Kubernetes or a Docker link set the variable: both put the addresses of a service named `teahouse` (or `teahouse-…`)
/// into the environment, as `TEAHOUSE_SERVICE_HOST`, `TEAHOUSE_PORT_9999_TCP_ADDR` and so on.
fn is_service_link(name: &str) -> bool {
    let rest = name.strip_prefix("TEAHOUSE").unwrap_or_default();
    let ends = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];
    let middles = ["_SERVICE_PORT_", "_TCP", "_UDP"];
    ends.iter().any(|end| rest.ends_with(end))
        || rest.contains("_PORT_") && middles.iter().any(|middle| rest.contains(middle))
}
