//! The binary as a user has it: flags, exit codes, the ready line, the topics' door, the demo.

mod check;
mod codes;
mod demo;
mod disk;
mod files;
mod run;
pub mod support;
mod topic;
