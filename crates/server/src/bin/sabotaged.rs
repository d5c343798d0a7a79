//! The `teahouse` program with promises that can be broken (`sabotage.rs`), beside the honest one.

fn main() -> std::process::ExitCode {
    teahouse::main()
}
