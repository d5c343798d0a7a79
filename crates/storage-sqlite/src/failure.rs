//! The conversion of SQLite's errors to the store's.

use rusqlite::ffi;
use storage::StoreError;

/// The error of a function that uses SQLite. The operator `?` converts one of SQLite's errors into it, and it into a
/// [`StoreError`].
#[derive(Debug)]
pub(crate) struct Failure(StoreError);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure(store_error(error))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

/// Maps an error of SQLite by its result code.
pub(crate) fn store_error(error: rusqlite::Error) -> StoreError {
    use rusqlite::Error as E;
    let text = error.to_string();
    let code = match &error {
        E::SqliteFailure(failure, _) => failure.extended_code,
        E::SqlInputError { error: failure, .. } => failure.extended_code,
        E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::InvalidColumnType(..) => {
            return StoreError::Corrupt(text);
        }
        _ => return StoreError::Defect(text),
    };
    let text = format!("{text} (SQLite {code})");
    match code {
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => return StoreError::Fatal(text),
        _ => {}
    }
    // The low byte is the primary result code; the rest refines it.
    match code & 0xff {
        ffi::SQLITE_FULL => StoreError::Full(text),
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => StoreError::Corrupt(text),
        ffi::SQLITE_ERROR
        | ffi::SQLITE_CONSTRAINT
        | ffi::SQLITE_MISMATCH
        | ffi::SQLITE_MISUSE
        | ffi::SQLITE_RANGE => StoreError::Defect(text),
        _ => StoreError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> StoreError {
        store_error(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn only_a_failed_fsync_ends_the_process() {
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC] {
            assert!(failure(code).fatal().is_some(), "{code}");
        }
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_CORRUPT,
        ] {
            assert_eq!(failure(code).fatal(), None, "{code}");
        }
    }

    #[test]
    fn public_error_does_not_mention_sqlite() {
        for code in
            [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CORRUPT]
        {
            let error = failure(code);
            assert!(error.to_string().contains("SQLite"), "{error}");
            assert!(!error.rejection().message.contains("SQL"), "{error}");
        }
    }
}
