//! An allocator that counts what a thread asks for, for tests that count: the one place of this crate that is `unsafe`. A test binary
//! takes it with `#[global_allocator] static ALLOCATOR: testkit::Counting = testkit::Counting;`.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counted.
#[derive(Debug)]
pub struct Counting;

fn count() {
    // While a thread ends, its counter may be gone.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: all is passed on to the system's allocator as it came; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(at, layout, size) }
    }
}

/// How often this thread asked for memory while `work` ran. Panics where nobody counts.
pub fn allocations<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = ASKED.get();
    drop(std::hint::black_box(Box::new(before)));
    let counted = ASKED.get();
    assert!(counted > before, "this binary does not count: give it testkit::Counting as its #[global_allocator]");
    let done = work();
    (done, ASKED.get() - counted)
}
