//! PostgreSQL's errors as the store's.

use storage::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Why a call on a session failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The error as the port reports it.
    pub(crate) error: StoreError,
    /// The session cannot be used any more: the server ended it, or did not answer in time.
    pub(crate) session_lost: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = describe(&error);
        let Some(database) = error.as_db_error() else {
            // The connection broke, or a value could not be encoded: a new session is safe after either.
            return Failure { error: StoreError::Unavailable(text), session_lost: true };
        };
        let session_lost = matches!(database.severity(), "FATAL" | "PANIC");
        if database.severity() == "PANIC" {
            // Whatever the code is: a COMMIT may have reached the log, and then the recovery applies it.
            return Failure { error: StoreError::Unavailable(text), session_lost };
        }
        Failure { error: classify(database.code(), text), session_lost }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure { error, session_lost: false }
    }
}

fn classify(code: &SqlState, text: String) -> StoreError {
    match (code.code(), code.code().get(..2)) {
        ("53100", _) => StoreError::Full(text),
        ("XX001" | "XX002", _) => StoreError::Corrupt(text),
        // A constraint, a value, a name, a privilege, the state of the transaction.
        (_, Some("22" | "23" | "0A" | "26" | "42")) => StoreError::Defect(text),
        _ => StoreError::Unavailable(text),
    }
}

/// Without `detail`, which may hold the values of a row.
fn describe(error: &Error) -> String {
    match error.as_db_error() {
        Some(database) => format!("{} (PostgreSQL {})", database.message(), database.code().code()),
        None => {
            let cause =
                std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{}", if error.to_string().ends_with(&cause) { "" } else { &cause })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_errors_has_its_meaning() {
        let classify = |code: &str| classify(&SqlState::from_code(code), String::new());
        assert!(matches!(classify("53100"), StoreError::Full(_)));
        assert!(matches!(classify("XX001"), StoreError::Corrupt(_)));
        for code in ["23505", "23503", "42703", "22021"] {
            assert!(matches!(classify(code), StoreError::Defect(_)), "{code}");
        }
        for code in ["57P01", "57P03", "55P03", "08006", "40P01", "53300", "25006", "58030"] {
            assert!(matches!(classify(code), StoreError::Unavailable(_)), "{code}");
        }
    }
}
