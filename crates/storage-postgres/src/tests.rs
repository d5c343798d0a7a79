//! Tests on a real PostgreSQL server. The conformance suite of `storage` has the rest.

mod conformance;
mod opening;
mod proxy;
mod writing;
