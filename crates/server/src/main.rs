//! The `teahouse` program.
fn main() {}
