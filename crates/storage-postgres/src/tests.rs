//! Tests on a real PostgreSQL server.

mod opening;
