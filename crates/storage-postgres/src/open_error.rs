//! Why a database could not be opened.

use storage::StoreError;

use crate::DatabaseUrl;

/// The oldest PostgreSQL that the tests run on.
pub(crate) const MINIMUM_VERSION: i32 = 15;

/// Why a database could not be opened: one clear line each, without the password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// PostgreSQL does not accept the connection.
    #[error("cannot connect to {database}: {cause}")]
    Connect {
        /// The database.
        database: DatabaseUrl,
        /// The reason.
        cause: String,
    },
    /// Another process uses it.
    #[error("another teahouse is using this database: {database}")]
    Locked {
        /// The database.
        database: DatabaseUrl,
    },
    /// PostgreSQL is too old.
    #[error("{database} runs PostgreSQL {found}; teahouse needs {MINIMUM_VERSION} or newer")]
    Version {
        /// The database.
        database: DatabaseUrl,
        /// Its major version.
        found: i32,
    },
    /// A setting that the promises depend on is not in force.
    #[error("{database}: {name} is {found}; teahouse needs {needed}")]
    Setting {
        /// The database.
        database: DatabaseUrl,
        /// The setting's name in PostgreSQL.
        name: &'static str,
        /// Its value.
        found: String,
        /// The value it needs.
        needed: &'static str,
    },
    /// A later version of the program has changed the schema in a way that this one does not understand.
    #[error(
        "{database} was written by a newer teahouse: its schema {found} needs a program of schema {compat}, and this one has {known}"
    )]
    Newer {
        /// The database.
        database: DatabaseUrl,
        /// The schema found.
        found: i64,
        /// The oldest schema whose programs may use it.
        compat: i64,
        /// The newest schema that this program contains.
        known: i64,
    },
    /// It holds tables of another program.
    #[error("{database} is not empty and is not a Teahouse database; create one with `createdb`")]
    NotOurs {
        /// The database.
        database: DatabaseUrl,
    },
    /// Any other failure.
    #[error("cannot open {database}: {cause}")]
    Database {
        /// The database.
        database: DatabaseUrl,
        /// The reason.
        cause: StoreError,
    },
}
