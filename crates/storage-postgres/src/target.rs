//! How this process reaches the database, and the right to write to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use storage::StoreError;

use crate::failure::Failure;
use crate::session::{Role, Session};
use crate::url::DatabaseUrl;
use crate::{facts, lock, write};

/// How this process reaches the database.
pub(crate) struct Target {
    pub(crate) url: DatabaseUrl,
    /// The `application_name` of this process's sessions. Random, so that after a lost connection the process can tell its own
    /// earlier session from another server's.
    pub(crate) name: String,
    pub(crate) has_writer: AtomicBool,
}

impl Target {
    pub(crate) fn connect(&self, role: Role) -> Result<Session, Failure> {
        Session::open(&self.url, role, &self.name)
    }

    /// A session that holds the lock.
    pub(crate) fn connect_for_writing(&self) -> Result<Session, Failure> {
        let mut session = self.connect(Role::Writer)?;
        if lock::acquire(&mut session, &self.name)? {
            prepare_for_writing(&mut session)?;
            return Ok(session);
        }
        Err(Failure {
            error: StoreError::Unavailable("another teahouse is using this database".to_owned()),
            session_lost: true,
        })
    }
}

/// Prepares the statements that a batch may need, unless they are prepared.
pub(crate) fn prepare_for_writing(session: &mut Session) -> Result<(), Failure> {
    if session.has_prepared(facts::STATEMENTS[0]) {
        return Ok(());
    }
    session.prepare(&[&facts::STATEMENTS[..], &write::STATEMENTS[..]].concat())
}

/// The right to write, free again when it is dropped.
pub(crate) struct WriterPermit(pub(crate) Arc<Target>);

impl WriterPermit {
    pub(crate) fn take(target: &Arc<Target>) -> Result<Self, StoreError> {
        if target.has_writer.swap(true, Ordering::AcqRel) {
            return Err(StoreError::WriterTaken);
        }
        Ok(WriterPermit(Arc::clone(target)))
    }
}

impl Drop for WriterPermit {
    fn drop(&mut self) {
        self.0.has_writer.store(false, Ordering::Release);
    }
}
