//! The database of the server under test.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;

use anyhow::{Context, Result};
use storage_postgres::testing::{Durability, Options, Server};

use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;

/// The database that a run uses.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Database {
    /// SQLite in the data folder.
    #[default]
    Sqlite,
    /// PostgreSQL, as a temporary server.
    Postgres,
}

impl Database {
    /// The option that selects the database, for the command that repeats a run.
    pub(super) fn replay_args(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " --database postgres",
        }
    }

    /// Starts PostgreSQL if the run uses it, and makes `server` connect to it from its next start on.
    pub(super) fn start(
        self,
        run_dir: &RunDir,
        server: &mut ServerUnderTest,
    ) -> Result<Option<TestPostgres>> {
        match self {
            Self::Sqlite => Ok(None),
            Self::Postgres => {
                // As in production, a commit waits for the disk.
                let options = Options { durability: Durability::Full, ..Options::default() };
                TestPostgres::start(run_dir, server, &options).map(Some)
            }
        }
    }
}

/// The PostgreSQL server of a run. Its log is copied into the run's folder when this value is dropped.
pub(super) struct TestPostgres {
    server: Server,
    log: PathBuf,
}

impl TestPostgres {
    /// Starts PostgreSQL with an empty database, and makes `server` connect to it.
    pub(super) fn start(
        run_dir: &RunDir,
        server: &mut ServerUnderTest,
        options: &Options<'_>,
    ) -> Result<Self> {
        let postgres = Server::start_with(options).context("PostgreSQL does not start")?;
        server.set("TEAHOUSE_DATABASE", postgres.address(&postgres.create_database_named()));
        Ok(Self { server: postgres, log: run_dir.path().join("postgres.log") })
    }
}

impl Deref for TestPostgres {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        // The log only helps to analyze a failure.
        let _ = fs::write(&self.log, self.server.log());
    }
}
