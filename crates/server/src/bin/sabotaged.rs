//! The `teahouse` program with promises that can be broken (`sabotage.rs`), beside the honest one.

use std::process::ExitCode;

fn main() -> ExitCode {
    if !teahouse::sabotage_is_named() {
        eprintln!(
            "TEAHOUSE_SABOTAGE names no promise that can be broken; crates/server/src/sabotage.rs has their names"
        );
        return ExitCode::from(2);
    }
    teahouse::main()
}
