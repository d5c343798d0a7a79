//! The codec as its users see it.

mod allocations;
mod any_split;
mod hostile;
mod rules;
mod talk;
