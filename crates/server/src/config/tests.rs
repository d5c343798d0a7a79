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

fn refused(file: &str) -> String {
    load(Some(file), &[], &Flags::default()).unwrap_err()
}

fn refused_variable(name: &str, value: &str) -> String {
    load(None, &[(name, value)], &Flags::default()).unwrap_err()
}

/// The defaults, for other modules' tests, with a few settings changed.
pub(crate) fn config_with(settings: &[(&'static str, &str)]) -> Config {
    let settings = settings.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
    let flags = Flags { config: None, settings };
    Loaded::load_in(Path::new("/nonexistent"), &flags, []).unwrap().config
}

#[test]
fn every_default_is_allowed() {
    let config = load(None, &[], &Flags::default()).unwrap().config;
    assert_eq!(config.listen, "[::]:9999".parse().unwrap());
    assert_eq!(config.data, Path::new("./data"));
    assert_eq!(config.max_message_bytes, protocol::Limits::BODY_BYTES);
    assert_eq!(config.timeouts.websocket_idle, Duration::from_secs(75));
    assert_eq!(config.limits.connections, 10_000);
    assert_eq!(config.limits.rooms_per_person, domain::RoomLimits::default().rooms_per_person);
}

#[test]
fn the_default_rates_are_those_of_the_rules() {
    assert_eq!(config_with(&[]).limits.rates, Rates::default());
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = Some("data = \"file\"\nlisten = \"127.0.0.1:1\"\nlog = \"warn\"\n");
    let variables = [("TEAHOUSE_DATA", "environment"), ("TEAHOUSE_LISTEN", "127.0.0.1:2"), ("HOME", "/root")];
    let flags = Flags { config: None, settings: vec![("listen", "127.0.0.1:3".to_owned())] };
    let loaded = load(file, &variables, &flags).unwrap();
    assert_eq!(loaded.config.listen, "127.0.0.1:3".parse().unwrap());
    assert_eq!(loaded.config.data, Path::new("environment"));
    assert_eq!(loaded.config.log, "warn");
    let printed = in_force(&loaded);
    let line = |name: &str| printed.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("listen").ends_with("# flag --listen"), "{printed}");
    assert!(line("data").ends_with("# environment TEAHOUSE_DATA"), "{printed}");
    assert!(line("log =").ends_with("teahouse.toml:3"), "{printed}");
    assert!(line("shards").ends_with("# default"), "{printed}");
}

#[test]
fn what_is_printed_can_be_used_again() {
    let file = "allowed_origins = [\"https://a.example\", \"https://b.example\"]\ndata = '/a\"b'\n[limits]\nconnections = 7\n";
    let first = load(Some(file), &[("TEAHOUSE_SHARDS", "02")], &Flags::default()).unwrap();
    let again = load(Some(&in_force(&first)), &[], &Flags::default()).unwrap();
    assert_eq!(format!("{:?}", first.config), format!("{:?}", again.config));
    assert_eq!(again.config.allowed_origins, ["https://a.example", "https://b.example"]);
}

#[test]
fn the_example_file_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../teahouse.example.toml");
    let file = fs::read_to_string(path).unwrap();
    assert_eq!(file, example(), "write it anew: teahouse config --example > teahouse.example.toml");
    let all: String = example()
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let loaded = load(Some(&all), &[], &Flags::default()).unwrap();
    assert!(loaded.chosen.iter().all(|chosen| matches!(chosen.source, Source::File(..))));
}

#[test]
fn a_bad_value_is_refused_with_its_place_and_what_is_allowed() {
    assert_eq!(
        refused("\n[limits]\nconnections = 0\n"),
        r#"teahouse.toml:3: limits.connections = "0": allowed is a whole number from 1 to 4000000000"#
    );
    assert_eq!(
        refused_variable("TEAHOUSE_TIMEOUTS_WEBSOCKET_IDLE", "soon"),
        r#"environment TEAHOUSE_TIMEOUTS_WEBSOCKET_IDLE: timeouts.websocket_idle = "soon": allowed is a duration from 1ms to 24h, such as "500ms", "75s" or "5m""#
    );
    let flags = Flags { config: None, settings: vec![("listen", "9999".to_owned())] };
    let error = load(None, &[], &flags).unwrap_err();
    assert!(error.starts_with(r#"flag --listen: listen = "9999": allowed is "ADDRESS:PORT""#), "{error}");
}

#[test]
fn a_value_of_another_kind_is_refused() {
    for (file, line) in [
        ("data = true", 1),
        ("data = [\"a\"]", 1),
        ("shards = 1.5", 1),
        ("[limits]\nenabled = 1", 2),
        ("allowed_origins = [1]", 1),
        ("allowed_origins = [\"https://a,https://b\"]", 1),
        ("data.x = 1", 1),
    ] {
        let error = refused(file);
        assert!(
            error.starts_with(&format!("teahouse.toml:{line}: ")) && error.contains("allowed is"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn a_bad_value_is_refused_even_where_it_is_overridden() {
    let flags = Flags { config: None, settings: vec![("listen", "127.0.0.1:3".to_owned())] };
    assert!(
        load(Some("listen = \"nowhere\""), &[], &flags).unwrap_err().starts_with("teahouse.toml:1: listen")
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    assert_eq!(
        refused("log = \"info\"\n\n[limits]\nconections = 5\n"),
        "teahouse.toml:4: there is no setting limits.conections; do you mean limits.connections?"
    );
    assert_eq!(refused("[limit]\nx = 1"), "teahouse.toml:1: there is no setting limit; do you mean limits?");
    assert_eq!(refused("zzz = 1"), "teahouse.toml:1: there is no setting zzz");
    assert_eq!(
        refused_variable("TEAHOUSE_LISTN", "x"),
        "environment TEAHOUSE_LISTN: there is no setting TEAHOUSE_LISTN; do you mean TEAHOUSE_LISTEN?"
    );
}

#[test]
fn what_kubernetes_puts_into_the_environment_is_no_setting() {
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
    assert!(refused_variable("TEAHOUSE_SERVICE", "x").contains("no setting"));
}

#[test]
fn a_file_that_is_not_toml_is_refused_by_line() {
    for (file, line) in [("a = 1\nlisten = \n", 2), ("log = \"a\"\nlog = \"b\"\n", 2), ("[limits\n", 1)] {
        let error = refused(file);
        assert!(error.starts_with(&format!("teahouse.toml:{line}: ")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let flags = Flags { config: Some(PathBuf::from("/nonexistent/t.toml")), settings: vec![] };
    let error = load(None, &[], &flags).unwrap_err();
    assert!(error.starts_with("cannot read the configuration /nonexistent/t.toml: "), "{error}");
    let error = refused_variable("TEAHOUSE_CONFIG", "/nonexistent/u.toml");
    assert!(error.starts_with("cannot read the configuration /nonexistent/u.toml: "), "{error}");
    // A folder is there, and cannot be read.
    let flags = Flags { config: Some(PathBuf::from("/")), settings: vec![] };
    assert!(load(None, &[], &flags).unwrap_err().starts_with("cannot read the configuration /: "));
}

#[test]
fn limits_that_are_off_are_out_of_reach_and_sizes_stay() {
    let loaded = load(None, &[("TEAHOUSE_LIMITS_ENABLED", "false")], &Flags::default()).unwrap();
    let limits = &loaded.config.limits;
    assert_eq!(
        (limits.connections, limits.connections_per_address, limits.rooms_per_person),
        (u32::MAX, u32::MAX, u32::MAX)
    );
    assert!(!limits.rates.enabled);
    assert_eq!(loaded.config.max_message_bytes, protocol::Limits::BODY_BYTES);
    assert!(
        in_force(&loaded).lines().any(|line| line.starts_with("connections =") && line.ends_with("(off)"))
    );
}

#[test]
fn a_connection_is_asked_before_it_is_given_up() {
    assert_eq!(
        refused("[timeouts]\nwebsocket_idle = \"10s\"\n"),
        "teahouse.toml:2: timeouts.websocket_idle = \"10s\": it must be longer than timeouts.ping_interval, or quiet connections are given up before they are asked"
    );
}
