//! The schema of a database, to be compared.

use crate::testing::Server;

/// All columns, constraints and indexes of the tables, in an order that does not depend on their history.
pub(super) fn schema(server: &Server, database: &str) -> String {
    let sql = "SELECT 'column', table_name::text, column_name::text, concat(data_type, ' ', is_nullable, ' ', column_default) \
               FROM information_schema.columns WHERE table_schema = 'public' \
               UNION ALL SELECT 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint \
               WHERE connamespace = 'public'::regnamespace \
               UNION ALL SELECT 'index', tablename::text, indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public' \
               UNION ALL SELECT 'table', relname::text, '', array_to_string(reloptions, ',') FROM pg_class \
               WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' \
               ORDER BY 1, 2, 3";
    server.psql(database, sql).unwrap()
}
