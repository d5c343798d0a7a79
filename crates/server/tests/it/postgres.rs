//! The program on PostgreSQL. The tests of the store are in its crate; these test that the program uses it.

use serde_json::{Value, json};
use storage_postgres::testing::Server;

use crate::client_ext::ClientExt;
use crate::server::{TestServer, program, run};

fn send(key: &str) -> Value {
    json!({"type":"send","room":"lobby","client_message_id":key,"body":"你好"})
}

#[test]
fn messages_survive_restarts_of_both_programs() {
    let Some(postgres) = Server::start_or_skip() else { return };
    let address = postgres.address(&postgres.create_database_named());
    // Failed commands during a restart are logged as errors.
    let mut server = TestServer::with(&[("DATABASE", &address), ("LOG", "off")]);
    let (mut li, token) = server.user("李雷");
    li.join("lobby").unwrap();
    for n in 0..3 {
        postgres.restart_immediately().unwrap();
        // On the same connection: a restart of PostgreSQL ends no client connection.
        let sent = (0..20).map(|_| li.request(send(&n.to_string()))).find(|answer| answer["type"] == "ok");
        assert_eq!(sent.unwrap()["seq"], n + 2);
    }
    server.restart();
    let mut li = server.reconnect(&token);
    let page = li.request(json!({"type":"history","room":"lobby"}));
    let seqs: Vec<_> = page["events"].as_array().unwrap().iter().map(|event| event["seq"].clone()).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    assert_eq!(li.request(send("1"))["seq"], 3, "the key is in the database");
    assert!(!server.data().join("teahouse.db").exists());
}

#[test]
fn database_in_use_is_rejected_in_one_line() {
    let Some(postgres) = Server::shared() else { return };
    let address = postgres.address(&postgres.create_database_named());
    let server = TestServer::with(&[("DATABASE", &address)]);
    let second = run(program().args(["--listen", "127.0.0.1:0", "--database", &address]));
    assert_eq!(second.code, Some(1));
    let line = second.stderr.lines().find(|line| !line.starts_with('{')).unwrap_or_default();
    assert!(
        line.starts_with("teahouse: another teahouse is using this database: postgres://"),
        "{}",
        second.stderr
    );
    drop(server);
}

#[test]
fn password_of_the_database_is_never_printed() {
    for address in ["postgres://tea:s3cret@127.0.0.1:1/chat", "postgers://tea:s3cret@127.0.0.1:1/chat"] {
        for command in [&["config"][..], &[]] {
            let output = program().args(command).env("TEAHOUSE_DATABASE", address).output().unwrap();
            let all = [output.stdout, output.stderr].concat();
            let all = String::from_utf8(all).unwrap();
            assert!(!all.contains("s3cret"), "{all}");
            assert!(
                all.contains("postgres://tea@127.0.0.1:1/chat")
                    || all.contains("must begin with postgres://"),
                "{all}"
            );
        }
    }
}
