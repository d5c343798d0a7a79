//! The data of one run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use storage_postgres::testing::{Durability, Options, Server};
use tempfile::TempDir;

use super::machine::Cores;
use super::peers::LaunchSpec;

/// PostgreSQL's own default, as on a server; tests have less.
const SETTINGS: &str = "shared_buffers = 128MB";

/// A temporary folder on the measured disk, and a PostgreSQL server in it if the peer uses one. Both are removed when this is dropped.
pub(crate) struct Home {
    /// Before the folder, which contains its data.
    postgres: Option<Postgres>,
    folder: TempDir,
}

struct Postgres {
    _server: Server,
    /// The address of an empty database.
    database: String,
}

impl Home {
    /// Creates the folder, and starts PostgreSQL on its cores if the peer uses it.
    pub(crate) fn create(start: &LaunchSpec, cores: &Cores) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        // PostgreSQL may run as another user.
        let folder =
            builder.prefix("run-").permissions(Permissions::from_mode(0o755)).tempdir_in(&start.homes)?;
        let mut home = Home { postgres: None, folder };
        if start.with_postgres {
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

    /// The address of the database; empty without PostgreSQL.
    pub(crate) fn database(&self) -> &str {
        self.postgres.as_ref().map_or("", |postgres| &postgres.database)
    }
}
