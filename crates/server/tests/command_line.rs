//! The command line: exit codes, one clear line for each error, the printed address, and shutdown.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

fn teahouse(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teahouse"));
    // No settings from the environment or another folder.
    command.current_dir(home).env_clear().args(args);
    command
}

fn run(home: &TempDir, args: &[&str]) -> Output {
    teahouse(home.path(), args).output().unwrap()
}

/// The exit code, and the single line on stderr.
fn rejected(output: &Output) -> (i32, String) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("teahouse: ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    (output.status.code().unwrap(), lines[0].to_owned())
}

/// A running server, which is killed when the test ends.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    fn start(home: &TempDir) -> Self {
        let args = ["--listen", "127.0.0.1:0", "--data", "data"];
        let mut command = teahouse(home.path(), &args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port =
            line.trim().strip_prefix("Teahouse is open at http://127.0.0.1:").expect(&line).parse().unwrap();
        Server { child, stdout, port }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the server exits; returns the rest of its output, and its exit status.
    fn end(mut self) -> (String, std::process::ExitStatus) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if the server has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn bad_setting_is_one_line_and_exit_code_2() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("bad.toml"), "\nshards = \"many\"\n").unwrap();
    for (args, line) in [
        (&["--listen", "9999"][..], "teahouse: flag --listen: listen = \"9999\": expected "),
        (&["--config", "none.toml"], "teahouse: cannot read the configuration none.toml: "),
        (&["--config", "bad.toml"], "teahouse: bad.toml:2: shards = \"many\": expected a whole number"),
        (&["config", "--config", "bad.toml"], "teahouse: bad.toml:2: "),
    ] {
        let (code, message) = rejected(&run(&home, args));
        assert_eq!(code, 2, "{message}");
        assert!(message.starts_with(line), "{message}");
    }
    let output = teahouse(home.path(), &[]).env("TEAHOUSE_LISTEM", "x").output().unwrap();
    assert!(rejected(&output).1.ends_with("did you mean TEAHOUSE_LISTEN?"));
    assert_eq!(run(&home, &["--lisen", "x"]).status.code(), Some(2));
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        1,
        "all settings are checked before a file is created"
    );
}

#[test]
fn port_in_use_is_one_line_and_exit_code_1() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, line) = rejected(&run(&home, &["--listen", &address]));
    assert_eq!(code, 1);
    assert_eq!(
        line,
        format!(
            "teahouse: cannot listen on {address}: address in use; is another server running? choose another with --listen"
        )
    );
}

#[test]
fn unusable_data_folder_is_one_line_and_exit_code_1() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), "").unwrap();
    let (code, line) = rejected(&run(&home, &["--listen", "127.0.0.1:0", "--data", "file/data"]));
    assert_eq!(code, 1);
    assert!(line.contains("data folder") && line.contains("file/data"), "{line}");
    let first = Server::start(&home);
    let (code, line) = rejected(&run(&home, &["--listen", "127.0.0.1:0", "--data", "data"]));
    assert_eq!(code, 1);
    assert!(line.contains("another teahouse is using this data folder"), "{line}");
    drop(first);
}

/// After a downgrade the older program does not start, and leaves the data unchanged for the newer one.
#[test]
fn newer_database_is_rejected_unchanged_with_exit_code_1() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home);
    server.signal(Signal::TERM);
    assert_eq!(server.end().1.code(), Some(0));
    // After a graceful shutdown all data is in the one file, whose header has the schema version in these four bytes.
    let database = home.path().join("data/teahouse.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let supported = u32::from_be_bytes(bytes[60..64].try_into().unwrap());
    bytes[60..64].copy_from_slice(&(supported + 1).to_be_bytes());
    std::fs::write(&database, &bytes).unwrap();
    let (code, line) = rejected(&run(&home, &["--listen", "127.0.0.1:0", "--data", "data"]));
    assert_eq!(code, 1);
    let newer = format!(
        "was written by a newer teahouse: its schema is {}, this program supports {supported}",
        supported + 1
    );
    assert!(line.contains("teahouse.db") && line.ends_with(&newer), "{line}");
    assert!(std::fs::read(&database).unwrap() == bytes, "the database is unchanged");
}

#[test]
fn printed_configuration_names_its_sources() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("teahouse.toml"), "log = \"debug\"\n").unwrap();
    let output =
        teahouse(home.path(), &["config", "--data", "x"]).env("TEAHOUSE_SHARDS", "2").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for (start, end) in [
        ("data = \"x\"", "# flag --data"),
        ("shards = 2", "# environment TEAHOUSE_SHARDS"),
        ("log = \"debug\"", "# teahouse.toml:1"),
        ("listen = ", "# default"),
    ] {
        assert!(text.lines().any(|line| line.starts_with(start) && line.ends_with(end)), "{start}\n{text}");
    }
    assert!(!home.path().join("x").exists(), "printing creates no folder");
    let version = String::from_utf8(run(&home, &["--version"]).stdout).unwrap();
    assert_eq!(version, format!("teahouse {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn signal_stops_the_server_gracefully() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = tempfile::tempdir().unwrap();
        let server = Server::start(&home);
        assert_ne!(server.port, 0);
        server.signal(signal);
        let (rest, status) = server.end();
        assert_eq!(status.code(), Some(0), "{:?}", status.signal());
        assert_eq!(rest, "", "the server prints one line to stdout");
    }
}

/// Reads a frame of the server, which is unmasked and shorter than 64 KiB; returns its first byte.
fn skip_frame(client: &mut impl Read) -> u8 {
    let mut head = [0; 2];
    client.read_exact(&mut head).unwrap();
    let mut length = u64::from(head[1]);
    if length == 126 {
        let mut long = [0; 2];
        client.read_exact(&mut long).unwrap();
        length = u64::from(u16::from_be_bytes(long));
    }
    std::io::copy(&mut client.take(length), &mut std::io::sink()).unwrap();
    head[0]
}

#[test]
fn second_interrupt_exits_at_once() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home);
    let mut client = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    client
        .write_all(
            b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    let mut client = BufReader::new(client);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        client.read_line(&mut line).unwrap();
    }
    // The line of welcome shows that the connection has reached its shard, which will send the close frame.
    assert_eq!(skip_frame(&mut client), 0x81);
    server.signal(Signal::INT);
    // The server sends a close frame, and waits for a reply that this client does not send.
    while skip_frame(&mut client) != 0x88 {}
    server.signal(Signal::INT);
    assert_eq!(server.end().1.code(), Some(130));
}
