//! Precedence of the sources, errors with their positions, and the generated documents.

use std::fs;

use super::*;

/// A configuration from a file's text, variables and flags.
fn load(file: Option<&str>, variables: &[(&str, &str)], flags: &Flags) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    if let Some(text) = file {
        fs::write(folder.path().join(FILE), text).unwrap();
    }
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let shown = format!("{}/", folder.path().display());
    Loaded::load_in(folder.path(), flags, variables).map_err(|error| error.to_string().replace(&shown, ""))
}

fn rejected(file: &str) -> String {
    load(Some(file), &[], &Flags::default()).unwrap_err()
}

fn rejected_variable(name: &str, value: &str) -> String {
    load(None, &[(name, value)], &Flags::default()).unwrap_err()
}

/// The defaults with some settings changed, for the tests of other modules.
pub(crate) fn config_with(settings: &[(&'static str, &str)]) -> Config {
    let settings = settings.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
    let flags = Flags { config: None, settings };
    Loaded::load_in(Path::new("/nonexistent"), &flags, []).unwrap().config
}

#[test]
fn each_default_is_valid() {
    let config = load(None, &[], &Flags::default()).unwrap().config;
    assert_eq!(config.listen, "[::]:9999".parse().unwrap());
    assert_eq!(config.data, Path::new("./data"));
    assert_eq!(config.max_message_bytes, protocol::Limits::BODY_BYTES);
    assert_eq!(config.timeouts.websocket_idle, Duration::from_secs(75));
    assert_eq!(config.limits.connections, 10_000);
    assert_eq!(config.limits.rooms_per_user, domain::RoomLimits::default().rooms_per_user);
}

#[test]
fn default_rates_equal_domain_defaults() {
    assert_eq!(config_with(&[]).limits.rates, Rates::default());
}

#[test]
fn flag_overrides_environment_which_overrides_file() {
    let file = Some("data = \"file\"\nlisten = \"127.0.0.1:1\"\nlog = \"warn\"\n");
    let variables = [("TEAHOUSE_DATA", "environment"), ("TEAHOUSE_LISTEN", "127.0.0.1:2"), ("HOME", "/root")];
    let flags = Flags { config: None, settings: vec![("listen", "127.0.0.1:3".to_owned())] };
    let loaded = load(file, &variables, &flags).unwrap();
    assert_eq!(loaded.config.listen, "127.0.0.1:3".parse().unwrap());
    assert_eq!(loaded.config.data, Path::new("environment"));
    assert_eq!(loaded.config.log, "warn");
    let printed = effective(&loaded);
    let line = |name: &str| printed.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("listen").ends_with("# flag --listen"), "{printed}");
    assert!(line("data").ends_with("# environment TEAHOUSE_DATA"), "{printed}");
    assert!(line("log =").ends_with("teahouse.toml:3"), "{printed}");
    assert!(line("shards").ends_with("# default"), "{printed}");
}

#[test]
fn printed_settings_can_be_loaded_again() {
    let file = "allowed_origins = [\"https://a.example\", \"https://b.example\"]\ndata = '/a\"b'\n[limits]\nconnections = 7\n";
    let first = load(Some(file), &[("TEAHOUSE_SHARDS", "02")], &Flags::default()).unwrap();
    let again = load(Some(&effective(&first)), &[], &Flags::default()).unwrap();
    assert_eq!(format!("{:?}", first.config), format!("{:?}", again.config));
    assert_eq!(again.config.allowed_origins, ["https://a.example", "https://b.example"]);
}

/// `TEAHOUSE_UPDATE_DOCUMENTS=1` rewrites the files instead of comparing them.
#[test]
fn generated_setting_documents_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let update = std::env::var_os("TEAHOUSE_UPDATE_DOCUMENTS").is_some();
    for (path, expected) in reference::generated_files(&root).unwrap() {
        if update {
            fs::write(&path, expected).unwrap();
        } else {
            let actual = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(actual, expected, "{} is stale: run `cargo xtask generate`", path.display());
        }
    }
}

#[test]
fn example_file_uncommented_sets_every_setting() {
    let all: String = example()
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let loaded = load(Some(&all), &[], &Flags::default()).unwrap();
    assert!(loaded.chosen.iter().all(|chosen| matches!(chosen.source, Source::File(..))));
}

#[test]
fn invalid_value_error_names_source_and_expected_values() {
    assert_eq!(
        rejected("\n[limits]\nconnections = 0\n"),
        r#"teahouse.toml:3: limits.connections = "0": expected a whole number from 1 to 4000000000"#
    );
    assert_eq!(
        rejected_variable("TEAHOUSE_TIMEOUTS_WEBSOCKET_IDLE", "soon"),
        r#"environment TEAHOUSE_TIMEOUTS_WEBSOCKET_IDLE: timeouts.websocket_idle = "soon": expected a duration from 1ms to 24h, such as "500ms", "75s" or "5m""#
    );
    let flags = Flags { config: None, settings: vec![("listen", "9999".to_owned())] };
    let error = load(None, &[], &flags).unwrap_err();
    assert!(error.starts_with(r#"flag --listen: listen = "9999": expected "ADDRESS:PORT""#), "{error}");
}

#[test]
fn value_of_wrong_type_is_rejected() {
    for (file, line) in [
        ("data = true", 1),
        ("data = [\"a\"]", 1),
        ("shards = 1.5", 1),
        ("[limits]\nenabled = 1", 2),
        ("allowed_origins = [1]", 1),
        ("allowed_origins = [\"https://a,https://b\"]", 1),
        ("data.x = 1", 1),
    ] {
        let error = rejected(file);
        assert!(
            error.starts_with(&format!("teahouse.toml:{line}: ")) && error.contains("expected"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn invalid_value_is_rejected_even_if_overridden() {
    let flags = Flags { config: None, settings: vec![("listen", "127.0.0.1:3".to_owned())] };
    assert!(
        load(Some("listen = \"nowhere\""), &[], &flags).unwrap_err().starts_with("teahouse.toml:1: listen")
    );
}

#[test]
fn unknown_key_error_suggests_nearest_known_key() {
    assert_eq!(
        rejected("log = \"info\"\n\n[limits]\nconections = 5\n"),
        "teahouse.toml:4: unknown setting limits.conections; did you mean limits.connections?"
    );
    assert_eq!(rejected("[limit]\nx = 1"), "teahouse.toml:1: unknown setting limit; did you mean limits?");
    assert_eq!(rejected("zzz = 1"), "teahouse.toml:1: unknown setting zzz");
    assert_eq!(
        rejected_variable("TEAHOUSE_LISTN", "x"),
        "environment TEAHOUSE_LISTN: unknown setting TEAHOUSE_LISTN; did you mean TEAHOUSE_LISTEN?"
    );
}

#[test]
fn kubernetes_service_variables_are_ignored() {
    for name in [
        "TEAHOUSE_SERVICE_HOST",
        "TEAHOUSE_SERVICE_PORT",
        "TEAHOUSE_SERVICE_PORT_HTTP",
        "TEAHOUSE_PORT",
        "TEAHOUSE_PORT_9999_TCP",
        "TEAHOUSE_PORT_9999_TCP_ADDR",
        "TEAHOUSE_DB_SERVICE_HOST",
    ] {
        assert!(load(None, &[(name, "tcp://10.0.0.1:9999")], &Flags::default()).is_ok(), "{name}");
    }
    assert!(rejected_variable("TEAHOUSE_SERVICE", "x").contains("unknown setting"));
}

#[test]
fn toml_syntax_error_names_line() {
    for (file, line) in [("a = 1\nlisten = \n", 2), ("log = \"a\"\nlog = \"b\"\n", 2), ("[limits\n", 1)] {
        let error = rejected(file);
        assert!(error.starts_with(&format!("teahouse.toml:{line}: ")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn missing_explicit_file_is_an_error() {
    let flags = Flags { config: Some(PathBuf::from("/nonexistent/t.toml")), settings: vec![] };
    let error = load(None, &[], &flags).unwrap_err();
    assert!(error.starts_with("cannot read the configuration /nonexistent/t.toml: "), "{error}");
    let error = rejected_variable("TEAHOUSE_CONFIG", "/nonexistent/u.toml");
    assert!(error.starts_with("cannot read the configuration /nonexistent/u.toml: "), "{error}");
    // A folder exists but cannot be read as a file.
    let flags = Flags { config: Some(PathBuf::from("/")), settings: vec![] };
    assert!(load(None, &[], &flags).unwrap_err().starts_with("cannot read the configuration /: "));
}

#[test]
fn disabled_limits_are_unreachable_and_sizes_still_apply() {
    let loaded = load(None, &[("TEAHOUSE_LIMITS_ENABLED", "false")], &Flags::default()).unwrap();
    let limits = &loaded.config.limits;
    assert_eq!(
        (limits.connections, limits.connections_per_address, limits.rooms_per_user),
        (u32::MAX, u32::MAX, u32::MAX)
    );
    assert!(!limits.rates.enabled);
    assert_eq!(loaded.config.max_message_bytes, protocol::Limits::BODY_BYTES);
    assert!(
        effective(&loaded).lines().any(|line| line.starts_with("connections =") && line.ends_with("(off)"))
    );
}

#[test]
fn websocket_idle_not_above_ping_interval_is_rejected() {
    assert_eq!(
        rejected("[timeouts]\nwebsocket_idle = \"10s\"\n"),
        "teahouse.toml:2: timeouts.websocket_idle = \"10s\": must be longer than timeouts.ping_interval, or idle connections would be closed before the first ping"
    );
}
