//! A statement of a pipeline.

use tokio_postgres::types::ToSql;

/// A statement of a pipeline, with its parameters.
pub(crate) struct Step<'p> {
    pub(crate) sql: &'static str,
    pub(crate) params: Vec<Box<dyn ToSql + Sync + 'p>>,
}
