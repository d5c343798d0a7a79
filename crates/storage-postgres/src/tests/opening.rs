//! Opening a database: the schema, the lock, and what is rejected.

use domain::RoomLimits;
use protocol::RoomRef;
use storage::{LOBBY, Store};

use crate::session::{Role, Session};
use crate::testing::Server;
use crate::{DatabaseUrl, OpenError, PostgresStore};

fn open(url: &DatabaseUrl) -> Result<PostgresStore, OpenError> {
    PostgresStore::open(url, RoomLimits::default())
}

fn rejection(url: &DatabaseUrl) -> OpenError {
    match open(url) {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error,
    }
}

#[test]
fn empty_database_becomes_a_store_and_keeps_its_epoch() {
    let Some(server) = Server::shared() else { return };
    let url = server.create_database();
    let store = open(&url).unwrap();
    let epoch = store.epoch();
    let lobby = store.reader().unwrap().room(&RoomRef::Id(LOBBY)).unwrap().unwrap();
    assert_eq!((lobby.info.room, lobby.info.name.as_str()), (LOBBY, "lobby"));
    drop(store);
    assert_eq!(open(&url).unwrap().epoch(), epoch);
    assert_ne!(open(&server.create_database()).unwrap().epoch(), epoch);
}

#[test]
fn second_process_is_rejected() {
    let Some(server) = Server::shared() else { return };
    let url = server.create_database();
    let first = open(&url).unwrap();
    let error = rejection(&url);
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().starts_with("another teahouse is using this database: postgres://"), "{error}");
    drop(first);
    open(&url).unwrap();
}

#[test]
fn database_of_another_program_is_left_alone() {
    let Some(server) = Server::shared() else { return };
    let name = server.create_database_named();
    server.psql(&name, "CREATE TABLE invoice (id int)").unwrap();
    let error = rejection(&server.url(&name));
    assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
    assert_eq!(
        server.psql(&name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").unwrap(),
        "1\n"
    );
}

#[test]
fn newer_schema_is_rejected_unless_it_is_compatible() {
    let Some(server) = Server::shared() else { return };
    let name = server.create_database_named();
    drop(open(&server.url(&name)).unwrap());
    server.psql(&name, "UPDATE schema SET version = 99, compat = 2").unwrap();
    drop(open(&server.url(&name)).unwrap());
    assert_eq!(server.psql(&name, "SELECT version FROM schema").unwrap(), "99\n");
    server.psql(&name, "UPDATE schema SET compat = 98").unwrap();
    let error = rejection(&server.url(&name)).to_string();
    assert!(
        error.contains("was written by a newer teahouse: its schema 99 needs a program of schema 98"),
        "{error}"
    );
}

#[test]
fn unreachable_server_is_named_without_the_password() {
    let url: DatabaseUrl = "postgres://tea:s3cret@127.0.0.1:1/chat".parse().unwrap();
    let error = rejection(&url).to_string();
    assert!(error.starts_with("cannot connect to postgres://tea@127.0.0.1:1/chat: "), "{error}");
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn missing_database_is_named_by_postgresql() {
    let Some(server) = Server::shared() else { return };
    let error = rejection(&server.url("nowhere")).to_string();
    assert!(error.contains("database \"nowhere\" does not exist"), "{error}");
}

#[test]
fn session_settings_win_over_those_of_the_database() {
    let Some(server) = Server::shared() else { return };
    let name = server.create_database_named();
    server
        .psql("postgres", &format!("ALTER DATABASE {name} SET synchronous_commit = off; ALTER DATABASE {name} SET lock_timeout = 0"))
        .unwrap();
    let mut session = Session::open(&server.url(&name), Role::Writer, "test").unwrap();
    assert_eq!(session.setting("synchronous_commit").unwrap(), "on");
    assert_eq!(session.setting("lock_timeout").unwrap(), "800ms");
    drop(open(&server.url(&name)).unwrap());
}

#[test]
fn unix_socket_is_an_address() {
    let Some(server) = Server::shared() else { return };
    let name = server.create_database_named();
    drop(open(&server.socket_address(&name).parse().unwrap()).unwrap());
}

#[test]
fn reader_survives_a_restart_of_postgresql() {
    let Some(server) = Server::start_or_skip() else { return };
    let store = open(&server.create_database()).unwrap();
    let mut reader = store.reader().unwrap();
    for _ in 0..3 {
        assert!(reader.room(&RoomRef::Id(LOBBY)).unwrap().is_some());
        server.restart_immediately().unwrap();
    }
    server.stop_immediately().unwrap();
    let error = reader.room(&RoomRef::Id(LOBBY)).unwrap_err();
    assert_eq!(error.rejection().code, protocol::ErrorCode::Unavailable, "{error}");
    server.start_again().unwrap();
    assert!(reader.room(&RoomRef::Id(LOBBY)).unwrap().is_some());
}
