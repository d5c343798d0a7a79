//! The data folder of one run, and its PostgreSQL server.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use storage_postgres::testing::{Durability, Options, Server};
use tempfile::TempDir;

use super::machine::Cores;

/// PostgreSQL's default, as on a production server; the tests use less.
const SETTINGS: &str = "shared_buffers = 128MB";

/// A temporary folder on the measured disk, and a PostgreSQL server in it if the peer uses one. Both are removed when this is dropped.
pub(crate) struct Home {
    /// Declared before the folder, so that it stops before its data is removed.
    postgres: Option<Postgres>,
    folder: TempDir,
}

struct Postgres {
    _server: Server,
    /// The URL of an empty database.
    database: String,
}

impl Home {
    /// Creates the folder in `parent`, and starts PostgreSQL on its cores if the peer uses it.
    pub(crate) fn create(parent: &Path, with_postgres: bool, cores: &Cores) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        // PostgreSQL may run as another user, who needs access.
        let folder = builder.prefix("run-").permissions(Permissions::from_mode(0o755)).tempdir_in(parent)?;
        let mut home = Home { postgres: None, folder };
        if with_postgres {
            let disk = home.folder.path().join("postgres");
            fs::create_dir(&disk)?;
            let options = Options {
                durability: Durability::Full,
                disk: Some(&disk),
                settings: SETTINGS,
                cores: Some(&cores.postgres),
            };
            let server = Server::start_with(&options).context("PostgreSQL does not start")?;
            let database = server.address(&server.create_database_named());
            home.postgres = Some(Postgres { _server: server, database });
        }
        Ok(home)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of the database; empty without PostgreSQL.
    pub(crate) fn database(&self) -> &str {
        self.postgres.as_ref().map_or("", |postgres| &postgres.database)
    }
}
