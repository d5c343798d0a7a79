//! Tests on a real PostgreSQL server. The conformance suite of `storage` has the rest.

mod conformance;
mod frozen;
mod migrating;
mod opening;
mod proxy;
mod schema;
mod upgrading;
mod writing;
