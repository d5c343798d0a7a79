//! The `teahouse` program with one injected fault (`crates/gateway/src/fault_injection.rs`).

use std::process::ExitCode;

fn main() -> ExitCode {
    if !teahouse::fault_injection_is_named() {
        eprintln!(
            "TEAHOUSE_FAULT_INJECTION names no fault; crates/gateway/src/fault_injection.rs has their names"
        );
        return ExitCode::from(2);
    }
    teahouse::main()
}
