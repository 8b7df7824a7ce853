//! The binary: the one place where the concrete log, the concrete SQL and the engine meet.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
