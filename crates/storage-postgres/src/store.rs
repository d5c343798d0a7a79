//! The store: a database, opened.

use std::str::FromStr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use domain::RoomLimits;
use protocol::Epoch;
use storage::{CommitLoop, Reader, Store, StoreError, Writer};

use crate::backend::PostgresBackend;
use crate::failure::Failure;
use crate::migrate::{self, Found, MIGRATIONS};
use crate::open_error::MINIMUM_VERSION;
use crate::reader::PostgresReader;
use crate::session::{Role, Session};
use crate::target::{Target, WriterPermit};
use crate::url::DatabaseUrl;
use crate::{OpenError, lock};

/// Rooms in a PostgreSQL database that no other process writes.
pub struct PostgresStore {
    target: Arc<Target>,
    epoch: Epoch,
    limits: RoomLimits,
    /// The session that took the lock, for the first writer.
    session: Mutex<Option<Session>>,
}

impl PostgresStore {
    /// Connects, takes the database for this process, and brings its schema up to date.
    pub fn open(url: &DatabaseUrl, limits: RoomLimits) -> Result<Self, OpenError> {
        let random = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        let target = Target {
            url: url.clone(),
            name: format!("teahouse {random:016x}"),
            has_writer: AtomicBool::new(false),
        };
        let connected = target.connect(Role::Writer);
        let mut session = connected.map_err(|failure| OpenError::Connect {
            database: url.clone(),
            cause: failure.error.to_string(),
        })?;
        let fail = |failure: Failure| OpenError::Database { database: url.clone(), cause: failure.error };
        check_server(&mut session, url)?;
        if !lock::acquire(&mut session, &target.name).map_err(fail)? {
            return Err(OpenError::Locked { database: url.clone() });
        }
        let found = migrate::find(&mut session).map_err(fail)?;
        let known = MIGRATIONS.len() as i64;
        match found {
            Found::Foreign => return Err(OpenError::NotOurs { database: url.clone() }),
            Found::Schema { version, compat } if compat > known => {
                return Err(OpenError::Newer { database: url.clone(), found: version, compat, known });
            }
            _ => {}
        }
        migrate::run(&mut session, MIGRATIONS, found, &mut |_| Ok(())).map_err(fail)?;
        let rows = session.query("SELECT value FROM meta WHERE key = 'epoch'", &[]).map_err(fail)?;
        let epoch = rows.first().and_then(|row| row.try_get(0).ok()).ok_or_else(|| OpenError::Database {
            database: url.clone(),
            cause: StoreError::Corrupt("the epoch is missing".to_owned()),
        })?;
        Ok(PostgresStore {
            target: Arc::new(target),
            epoch: Epoch(epoch),
            limits,
            session: Mutex::new(Some(session)),
        })
    }
}

/// Rejects a server on which the promises would not hold.
fn check_server(session: &mut Session, database: &DatabaseUrl) -> Result<(), OpenError> {
    let mut setting = |name: &str| {
        session
            .setting(name)
            .map_err(|failure| OpenError::Database { database: database.clone(), cause: failure.error })
    };
    let version = setting("server_version_num")?;
    let found = i32::from_str(&version).unwrap_or(0) / 10_000;
    if found < MINIMUM_VERSION {
        return Err(OpenError::Version { database: database.clone(), found });
    }
    for (name, needed) in [
        ("server_encoding", "UTF8"),
        ("transaction_read_only", "off"),
        ("synchronous_commit", "on"),
        ("lock_timeout", "800ms"),
        ("idle_in_transaction_session_timeout", "10s"),
    ] {
        let found = setting(name)?;
        if found != needed {
            return Err(OpenError::Setting { database: database.clone(), name, found, needed });
        }
    }
    Ok(())
}

impl Store for PostgresStore {
    fn epoch(&self) -> Epoch {
        self.epoch.clone()
    }

    fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        let permit = WriterPermit::take(&self.target)?;
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Box::new(CommitLoop::new(PostgresBackend::new(permit, session)?, self.limits)))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(PostgresReader::new(&self.target)?))
    }
}
