//! Migrations that are interrupted.

use super::schema::schema;
use crate::migrate::{self, Found, MIGRATIONS, Migration};
use crate::session::{Role, Session};
use crate::testing::Server;

/// Ends the session that executes it.
const KILL: &str = "SELECT pg_terminate_backend(pg_backend_pid())";

fn session(server: &Server, database: &str) -> Session {
    Session::open(&server.url(database), Role::Writer, "test").unwrap()
}

/// Runs `migrations` from where the database stands, and returns whether they succeeded.
fn migrate(server: &Server, database: &str, migrations: &[Migration]) -> bool {
    let mut session = session(server, database);
    let found = migrate::find(&mut session).unwrap();
    migrate::run(&mut session, migrations, found, &mut |_| Ok(())).is_ok()
}

fn version(server: &Server, database: &str) -> usize {
    match migrate::find(&mut session(server, database)).unwrap() {
        Found::Nothing => 0,
        Found::Schema { version, .. } => usize::try_from(version).unwrap(),
        Found::Foreign => panic!("the database is another program's"),
    }
}

/// The schema of a database that was migrated without interruption.
fn complete_schema(server: &Server) -> String {
    let database = server.create_database_named();
    assert!(migrate(server, &database, MIGRATIONS));
    schema(server, &database)
}

/// The statements of a migration, without comments.
fn statements(sql: &str) -> Vec<String> {
    let code: Vec<&str> = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let statements =
        code.join("\n").split(';').map(|statement| statement.trim().to_owned()).collect::<Vec<_>>();
    statements.into_iter().filter(|statement| !statement.is_empty()).collect()
}

/// The migrations, of which the one with this index ends its session after `count` statements.
fn killed_after(index: usize, count: usize) -> Vec<Migration> {
    let migrations = MIGRATIONS.iter().enumerate().map(|(at, migration)| {
        let mut statements = statements(migration.sql);
        if at == index {
            statements.insert(count, KILL.to_owned());
        }
        // Migrations live as long as the program, and so do these few.
        let sql: &'static str = (statements.join(";\n") + ";").leak();
        Migration { sql, compat: migration.compat }
    });
    migrations.collect()
}

#[test]
fn migration_killed_at_any_statement_is_undone() {
    let Some(server) = Server::shared() else { return };
    let complete = complete_schema(server);
    for (index, migration) in MIGRATIONS.iter().enumerate() {
        let database = server.create_database_named();
        let count = statements(migration.sql).len();
        assert!(count > 0, "migration {} has no statements", index + 1);
        for killed_at in 0..=count {
            assert!(!migrate(server, &database, &killed_after(index, killed_at)), "statement {killed_at}");
            assert_eq!(version(server, &database), index, "statement {killed_at}");
        }
        assert!(migrate(server, &database, MIGRATIONS));
        assert_eq!(schema(server, &database), complete, "migration {}", index + 1);
    }
}

#[test]
fn migration_killed_between_two_continues_at_the_next() {
    let Some(server) = Server::shared() else { return };
    let database = server.create_database_named();
    for stop_at in 0..MIGRATIONS.len() {
        let mut session = session(server, &database);
        let found = migrate::find(&mut session).unwrap();
        let mut step = 0;
        let stopped = migrate::run(&mut session, MIGRATIONS, found, &mut |session| {
            step += 1;
            if step > 1 { session.execute(KILL) } else { Ok(()) }
        });
        assert_eq!(stopped.is_ok(), stop_at + 1 == MIGRATIONS.len());
        assert_eq!(version(server, &database), stop_at + 1);
    }
    assert_eq!(schema(server, &database), complete_schema(server));
}

#[test]
fn failed_migration_is_undone() {
    let Some(server) = Server::shared() else { return };
    let database = server.create_database_named();
    assert!(migrate(server, &database, MIGRATIONS));
    let broken = Migration { sql: "CREATE TABLE half (id int); SELECT 1 / 0;", compat: 1 };
    let all = MIGRATIONS.iter().map(|it| Migration { sql: it.sql, compat: it.compat });
    let all: Vec<_> = all.chain([broken]).collect();
    assert!(!migrate(server, &database, &all));
    assert_eq!(version(server, &database), MIGRATIONS.len());
    assert_eq!(schema(server, &database), complete_schema(server));
}
