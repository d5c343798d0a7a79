//! The files under `frozen/`, and their text form.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;

/// A database as the released program of its schema wrote it.
pub(crate) struct Frozen {
    pub(crate) version: i64,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/frozen")
}

impl Frozen {
    /// All frozen databases, the oldest first.
    pub(crate) fn all() -> Vec<Self> {
        let names =
            fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let version = |name: String| name.strip_prefix("schema-")?.strip_suffix(".db")?.parse().ok();
        let mut versions: Vec<i64> = names.filter_map(version).collect();
        versions.sort_unstable();
        assert!(!versions.is_empty());
        versions.into_iter().map(|version| Frozen { version }).collect()
    }

    pub(crate) fn file(&self) -> PathBuf {
        folder().join(format!("schema-{}.db", self.version))
    }

    pub(crate) fn text(&self) -> PathBuf {
        folder().join(format!("schema-{}.sql", self.version))
    }

    /// A data folder with a copy of the database.
    pub(crate) fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(self.file(), copy.path().join("teahouse.db")).unwrap();
        copy
    }

    /// The epoch according to the text form, independent of the program under test.
    pub(crate) fn epoch(&self) -> String {
        let text = fs::read_to_string(self.text()).unwrap();
        let row = text.lines().find_map(|line| line.strip_prefix("INSERT INTO meta VALUES ('epoch', '"));
        row.and_then(|rest| rest.strip_suffix("');")).unwrap().to_owned()
    }
}

/// The statements that create the tables and indexes.
pub(crate) fn schema(conn: &Connection) -> Vec<String> {
    let sql =
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'sqlite_sequence' ORDER BY rowid";
    conn.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The whole content, for engineers to read and compare.
pub(crate) fn dump(conn: &Connection) -> String {
    let mut text = String::new();
    for pragma in ["application_id", "user_version", "page_size", "encoding", "journal_mode"] {
        let value = conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap();
        let value = match value {
            rusqlite::types::Value::Text(text) => format!("'{text}'"),
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        writeln!(text, "PRAGMA {pragma} = {value};").unwrap();
    }
    for sql in schema(conn) {
        writeln!(text, "{sql};").unwrap();
    }
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid";
    let mut tables = conn.prepare(tables).unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for table in tables {
        let columns: String = conn
            .query_row(
                "SELECT group_concat(format('quote(%s)', name), ' || '', '' || ') FROM pragma_table_info(?1)",
                [&table],
                |row| row.get(0),
            )
            .unwrap();
        let mut rows = conn.prepare(&format!("SELECT {columns} FROM {table} ORDER BY 1")).unwrap();
        for row in rows.query_map([], |row| row.get::<_, String>(0)).unwrap() {
            writeln!(text, "INSERT INTO {table} VALUES ({});", row.unwrap()).unwrap();
        }
    }
    text
}
