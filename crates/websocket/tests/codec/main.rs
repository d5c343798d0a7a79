//! Tests of the public codec API.

mod allocations;
mod any_split;
mod conversation;
mod hostile;
mod rules;
