//! How the binary is linked: what makes it smaller, where the linker and the C library of this machine know it. Dependencies are not
//! touched, as they would be by flags of the compiler. What is asked for is tried on a program of one line, which must run.
//!
//! - `--icf=all`: functions of the same code are there once. Rust promises no address to a function, and librdkafka compares one alone,
//!   that of its syslog callback, which has no twin. (`--icf=safe` finds nothing, for the objects do not say which addresses matter.) A
//!   backtrace may name a function's twin.
//! - `-z pack-relative-relocs`: what the loader has to move is listed in a hundredth of the room. It needs glibc 2.36 where it runs.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

const ARGUMENTS: [&str; 2] = ["-Wl,--icf=all", "-Wl,-z,pack-relative-relocs"];

fn main() {
    println!("cargo::rerun-if-changed=src/link.rs");
    let of = |name: &str| env::var(name).unwrap_or_default();
    // What is made for another machine cannot be tried on this one.
    if of("HOST") != of("TARGET") || of("CARGO_CFG_TARGET_ENV") != "gnu" {
        return;
    }
    for argument in ARGUMENTS {
        if works(argument) {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}

/// Whether a program that is linked with it runs.
fn works(argument: &str) -> bool {
    let dir = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let (source, program) = (dir.join("tried.rs"), dir.join("tried"));
    if fs::write(&source, "fn main() {}").is_err() {
        return false;
    }
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={}", linker.to_string_lossy()));
    }
    rustc.arg(&source).arg("-o").arg(&program).arg("-C").arg(format!("link-arg={argument}"));
    let quietly = |command: &mut Command| {
        let ran = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ran.is_ok_and(|status| status.success())
    };
    quietly(&mut rustc) && quietly(&mut Command::new(&program))
}
