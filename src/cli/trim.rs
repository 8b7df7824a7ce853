//! Gives memory back to the system that this process has and does not need: what is free in it, and its code.
//!
//! glibc keeps what was freed for the next who asks, also in between what is in use: with a limit of memory that is what others could
//! have had. Of the code most was run once, at the start: a page of it that is run again comes back from the file.
#![allow(unsafe_code)]

/// Gives back what there is; some milliseconds. Of other C libraries than glibc nothing is known that could be asked.
pub(super) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the first takes a number, and locks what it looks at. The second calls `leave_code` while it has what it gives it.
    unsafe {
        libc::malloc_trim(0);
        libc::dl_iterate_phdr(Some(leave_code), std::ptr::null_mut());
    }
}

/// Leaves the pages of the program's code to the system: nothing ever writes to them, so they are the file's.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
unsafe extern "C" fn leave_code(
    program: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the program's own headers, and whole pages within a segment of it that is not writable.
    unsafe {
        let program = &*program;
        let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
        for segment in std::slice::from_raw_parts(program.dlpi_phdr, program.dlpi_phnum.into()) {
            if segment.p_type == libc::PT_LOAD && segment.p_flags & (libc::PF_X | libc::PF_W) == libc::PF_X {
                let start = (program.dlpi_addr + segment.p_vaddr) as usize;
                let (first, end) = (start.next_multiple_of(page), (start + segment.p_memsz as usize) / page * page);
                libc::madvise(first as *mut libc::c_void, end.saturating_sub(first), libc::MADV_DONTNEED);
            }
        }
    }
    // The program is the first: no library is looked at.
    1
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    /// What of this program's code is in memory, in KiB.
    fn code_kib() -> u64 {
        let program = std::env::current_exe().expect("its path");
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("what is mapped");
        let mut is_code = false;
        let mut sum = 0;
        for line in maps.lines() {
            if line.contains(" r-xp ") {
                is_code = line.ends_with(program.to_str().expect("a path of text"));
            } else if line.contains('-') && line.contains("p ") && !line.contains(':') {
                is_code = false;
            }
            if let (true, Some(rss)) = (is_code, line.strip_prefix("Rss:")) {
                sum += rss.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
                is_code = false;
            }
        }
        sum
    }

    #[test]
    fn code_that_is_not_run_is_left_to_the_system() {
        // Other tests run theirs meanwhile.
        let is_less = |_| {
            let before = code_kib();
            super::trim();
            code_kib() < before
        };
        assert!((0..100).any(is_less));
    }
}
