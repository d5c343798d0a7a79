//! Failures to start: one line on stderr, and a nonzero exit code.

use std::fs;
use std::net::TcpListener;

use crate::client_ext::ClientExt;
use crate::server::{Ended, TestServer, program, run};

/// Expects this exit code and one plain line that contains these words.
fn check(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    // Log lines are JSON here; the single plain line is for the operator.
    let plain: Vec<&str> = ended.stderr.lines().filter(|line| !line.starts_with('{')).collect();
    let [line] = plain[..] else { panic!("not one line: {:?}", ended.stderr) };
    assert!(line.starts_with("teahouse: "), "{line}");
    for word in words {
        assert!(line.contains(word), "{word} is not in {line}");
    }
}

#[test]
fn data_folder_in_use_is_rejected() {
    let mut server = TestServer::open();
    let second = run(program()
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(server.data())
        .env("TEAHOUSE_LOG", "error"));
    check(&second, 1, &["another teahouse", &server.data().display().to_string()]);
    server.guest().received();
    // A killed server leaves no lock.
    server.kill();
    server.start();
    server.guest().received();
}

#[test]
fn port_in_use_is_rejected() {
    let server = TestServer::open();
    let folder = tempfile::tempdir().unwrap();
    let second = run(program().arg("--data").arg(folder.path()).args(["--listen", &server.addr.to_string()]));
    check(&second, 1, &["cannot listen on", &server.addr.to_string(), "in use", "--listen"]);
}

#[test]
fn unwritable_data_folder_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    fs::write(&file, "").unwrap();
    let listen = ["--listen", "127.0.0.1:0", "--data"];
    for place in [file.clone(), file.join("data"), "/proc/teahouse".into()] {
        let ended = run(program().args(listen).arg(&place));
        check(&ended, 1, &[&place.display().to_string()]);
    }
    let broken = folder.path().join("broken");
    fs::create_dir(&broken).unwrap();
    for entry in fs::read_dir(TestServer::open().data()).unwrap() {
        fs::write(broken.join(entry.unwrap().file_name()), "this is no database, and long enough to be one")
            .unwrap();
    }
    let ended = run(program().args(listen).arg(&broken));
    check(&ended, 1, &[]);
}

#[test]
fn bad_value_or_unknown_key_is_rejected_in_every_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("teahouse.toml");
    for (variable, value, words) in [
        ("TEAHOUSE_MAX_MESSAGE_BYTES", "1GiB", &["TEAHOUSE_MAX_MESSAGE_BYTES", "1GiB", "10KiB"][..]),
        ("TEAHOUSE_LIMITS_MESSAGES", "lots", &["TEAHOUSE_LIMITS_MESSAGES", "lots", "burst"]),
        ("TEAHOUSE_TIMEOUTS_WEBSOCKET_IDLE", "1s", &["timeouts.websocket_idle", "ping_interval"]),
        ("TEAHOUSE_LISTEN", "9999", &["TEAHOUSE_LISTEN"]),
        ("TEAHOUSE_LIMITS_MESAGES", "5/s burst 20", &["TEAHOUSE_LIMITS_MESAGES", "TEAHOUSE_LIMITS_MESSAGES"]),
        ("TEAHOUSE_CONFIG", "/nowhere/teahouse.toml", &["/nowhere/teahouse.toml"]),
    ] {
        check(&run(program().current_dir(folder.path()).env(variable, value)), 2, words);
    }
    for (text, words) in [
        ("listn = \"x\"", &["teahouse.toml:1", "listn", "listen"][..]),
        ("\n[limits]\nmessages = 5\n", &["teahouse.toml:3", "limits.messages"]),
        ("[limits]\nenabled = \"x\"", &["teahouse.toml:2", "limits.enabled"]),
        ("listen = ", &["teahouse.toml:1"]),
        ("listen = \"[::]:0\"\nlisten = \"[::]:1\"", &["teahouse.toml"]),
    ] {
        fs::write(&file, text).unwrap();
        check(&run(program().current_dir(folder.path())), 2, words);
        check(&run(program().arg("--config").arg(&file)), 2, words);
    }
    fs::remove_file(&file).unwrap();
    check(&run(program().current_dir(folder.path()).args(["--listen", "x"])), 2, &["--listen"]);
    let unknown = run(program().arg("--lisen"));
    assert_eq!(unknown.code, Some(2));
}

#[test]
fn flags_override_environment_and_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("teahouse.toml"),
        "listen = \"[::]:1\"\ndata = \"from-file\"\nlog = \"warn\"\n",
    )
    .unwrap();
    let output = program()
        .current_dir(folder.path())
        .env("TEAHOUSE_LISTEN", "[::]:2")
        .env("TEAHOUSE_DATA", "from-environment")
        .args(["config", "--listen", "[::]:3"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    for (key, value, source) in [
        ("listen", "[::]:3", "--listen"),
        ("data", "from-environment", "TEAHOUSE_DATA"),
        ("log", "warn", "teahouse.toml:3"),
        ("max_message_bytes", "8KiB", "default"),
    ] {
        let line = printed.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        assert!(line.contains(value) && line.contains(source), "{line}");
    }
    // The printed configuration can be read again.
    fs::write(folder.path().join("teahouse.toml"), &printed).unwrap();
    assert!(program().current_dir(folder.path()).arg("config").output().unwrap().status.success());
    let example = program().args(["config", "--example"]).output().unwrap();
    fs::write(folder.path().join("teahouse.toml"), &example.stdout).unwrap();
    assert!(program().current_dir(folder.path()).arg("config").output().unwrap().status.success());
}

#[test]
fn port_is_free_right_after_the_exit() {
    let mut server = TestServer::open();
    for _ in 0..3 {
        let li = server.guest();
        server.stop();
        drop(li);
        drop(TcpListener::bind(server.addr));
        server.start();
    }
}
