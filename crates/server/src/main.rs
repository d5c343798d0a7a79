//! The `teahouse` program.

fn main() -> std::process::ExitCode {
    teahouse::main()
}
