//! One connection, driven by the thread that owns it.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use storage::StoreError;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Row, Statement};

use crate::cache::FactCache;
use crate::failure::Failure;
use crate::step::Step;
use crate::url::DatabaseUrl;

/// To open a connection, including the log-in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// To answer whatever was sent together. A server that takes longer is treated as lost: a silent network looks the same.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
}

/// The settings of every session, given with the log-in: they take precedence over those of the database and of the user.
///
/// `synchronous_commit` makes an acknowledged message survive a loss of power. Nobody else locks our rows for long: a lock that
/// does not come within 800 ms is an error within the promised second. A process that is suspended within a transaction must not hold
/// its locks for ever.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("synchronous_commit", "on"),
    ("lock_timeout", "800ms"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("client_encoding", "UTF8"),
    // Each statement looks rows up by an index. Without this, a plan made while a table was small would be kept.
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// A connection to PostgreSQL.
///
/// Its runtime runs only while a call waits, so a connection that PostgreSQL closes in between is noticed by the next call.
pub(crate) struct Session {
    client: Client,
    statements: HashMap<&'static str, Statement>,
    /// Valid as long as the session holds the lock; empty in a reader's session.
    pub(crate) cache: FactCache,
    /// After the client: dropping it ends the connection's task.
    runtime: Runtime,
}

/// The parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Session {
    /// Connects. `name` is the session's `application_name`.
    pub(crate) fn open(url: &DatabaseUrl, role: Role, name: &str) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| Failure {
            error: StoreError::Unavailable(format!("no runtime: {cause}")),
            session_lost: true,
        })?;
        let mut config = url.config();
        config.application_name(name);
        config.tcp_user_timeout(ANSWER_TIMEOUT).keepalives_idle(Duration::from_secs(10));
        let mut options = config.get_options().unwrap_or_default().to_owned();
        for (key, value) in SETTINGS {
            options += &format!(" -c {key}={value}");
        }
        if role == Role::Reader {
            options += " -c default_transaction_read_only=on";
        }
        config.options(options);
        let client = runtime.block_on(within(CONNECT_TIMEOUT, async {
            let (client, connection) = config.connect(NoTls).await?;
            // Ends with the runtime, or when the server closes the connection.
            tokio::spawn(async move { drop(connection.await) });
            Ok(client)
        }))?;
        Ok(Session { client, statements: HashMap::new(), cache: FactCache::default(), runtime })
    }

    /// Prepares all of `statements` in one round trip.
    pub(crate) fn prepare(&mut self, statements: &[&'static str]) -> Result<(), Failure> {
        let client = &self.client;
        let prepared = try_join_all(statements.iter().map(|sql| client.prepare(sql)));
        let prepared = self.runtime.block_on(within(ANSWER_TIMEOUT, prepared))?;
        self.statements.extend(statements.iter().copied().zip(prepared));
        Ok(())
    }

    /// Whether a statement has been prepared on this connection.
    pub(crate) fn has_prepared(&self, sql: &'static str) -> bool {
        self.statements.contains_key(sql)
    }

    /// Runs one statement, preparing it at its first use.
    pub(crate) fn query(&mut self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        if !self.has_prepared(sql) {
            self.prepare(&[sql])?;
        }
        let statement = &self.statements[sql];
        self.runtime.block_on(within(ANSWER_TIMEOUT, self.client.query(statement, params)))
    }

    /// Sends `first`, `steps` and `last` together, and returns the rows of each of `steps`: one round trip if the statements are
    /// prepared. `first` and `last` are statements without parameters, such as BEGIN and COMMIT.
    ///
    /// In a transaction, PostgreSQL rejects every statement after one that failed, and a COMMIT then is a rollback. The error is
    /// that of the first one.
    pub(crate) fn pipeline(
        &mut self,
        first: &'static str,
        steps: &[Step<'_>],
        last: &'static str,
    ) -> Result<Vec<Vec<Row>>, Failure> {
        let unprepared = steps.iter().map(|step| step.sql).filter(|sql| !self.statements.contains_key(sql));
        let unprepared: Vec<_> = unprepared.collect();
        if !unprepared.is_empty() {
            self.prepare(&unprepared)?;
        }
        let client = &self.client;
        let queries = steps.iter().map(|step| {
            let params: Vec<&(dyn ToSql + Sync)> = step.params.iter().map(|param| &**param as _).collect();
            let statement = &self.statements[step.sql];
            async move { client.query(statement, &params).await }
        });
        let queries = join_all(queries);
        // An empty statement would cost a message.
        let simple = |sql: &'static str| async move {
            if sql.is_empty() { Ok(()) } else { client.batch_execute(sql).await }
        };
        // In this order: each future sends its message when it is first polled.
        self.runtime.block_on(within(ANSWER_TIMEOUT, async {
            let (first, rows, last) = tokio::join!(biased; simple(first), queries, simple(last));
            first?;
            let rows = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
            last?;
            Ok(rows)
        }))
    }

    /// Runs statements without parameters, one after the other.
    pub(crate) fn execute(&self, sql: &str) -> Result<(), Failure> {
        self.runtime.block_on(within(ANSWER_TIMEOUT, self.client.batch_execute(sql)))
    }

    /// The name under which PostgreSQL lists the session's process.
    pub(crate) fn setting(&mut self, name: &str) -> Result<String, Failure> {
        let rows = self.query("SELECT current_setting($1)", &[&name])?;
        rows[0].try_get(0).map_err(Failure::from)
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(Failure::from),
        Err(_) => Err(Failure {
            error: StoreError::Unavailable(format!("no answer within {} s", limit.as_secs())),
            session_lost: true,
        }),
    }
}
