//! The files under `frozen/`: databases as released programs wrote them, as `pg_dump` prints them.

use std::fs;
use std::path::PathBuf;

use crate::testing::Server;

/// A database as the program of its schema wrote it.
pub(super) struct Frozen {
    pub(super) version: usize,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tests/frozen")
}

impl Frozen {
    /// All of them, the oldest first.
    pub(super) fn all() -> Vec<Self> {
        let names =
            fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let version = |name: String| name.strip_prefix("schema-")?.strip_suffix(".sql")?.parse().ok();
        let mut versions: Vec<usize> = names.filter_map(version).collect();
        versions.sort_unstable();
        assert!(!versions.is_empty());
        versions.into_iter().map(|version| Frozen { version }).collect()
    }

    pub(super) fn file(&self) -> PathBuf {
        folder().join(format!("schema-{}.sql", self.version))
    }

    /// Loads it into a new database; returns the database's name.
    pub(super) fn load(&self, server: &Server) -> String {
        let database = server.create_database_named();
        server.psql(&database, &fs::read_to_string(self.file()).unwrap()).unwrap();
        database
    }

    /// The epoch in the file.
    pub(super) fn epoch(&self) -> String {
        let text = fs::read_to_string(self.file()).unwrap();
        let row = "INSERT INTO public.meta VALUES ('epoch', '";
        let row = text.lines().find_map(|line| line.strip_prefix(row));
        row.and_then(|rest| rest.strip_suffix("');")).unwrap().to_owned()
    }
}
