//! The `teahouse` program with promises that can be broken (`fault_injection.rs`), beside the honest one.

use std::process::ExitCode;

fn main() -> ExitCode {
    if !teahouse::fault_injection_is_named() {
        eprintln!(
            "TEAHOUSE_FAULT_INJECTION names no promise that can be broken; crates/server/src/fault_injection.rs has their names"
        );
        return ExitCode::from(2);
    }
    teahouse::main()
}
