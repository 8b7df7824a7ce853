//! Gives memory that is free in this process back to the system.
//!
//! glibc keeps what was freed for the next who asks, also in between what is in use: with a limit of memory that is what others could
//! have had.
#![allow(unsafe_code)]

/// Gives back what there is; some milliseconds. Of other C libraries than glibc nothing is known that could be asked.
pub(super) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number, and locks what it looks at.
    unsafe {
        libc::malloc_trim(0);
    }
}
