//! Limits the memory of a reader: a counting allocator that ends the process if a reader takes too
//! much. Memory taken by the HDF5 library is not counted, except by the limit of the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The system's allocator, with a count of allocated bytes.
pub struct Counting;

// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both blocks may exist at the same time.
        take(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn take(size: usize) {
    let held = HELD.fetch_add(size, Relaxed).wrapping_add(size);
    let most = MOST.load(Relaxed);
    if held > most {
        // The report needs memory too.
        MOST.store(usize::MAX, Relaxed);
        eprintln!(
            "the reader holds {held} bytes after requesting {size}, but only {most} are allowed\n{}",
            std::backtrace::Backtrace::force_capture()
        );
        std::process::abort();
    }
}

/// Runs a reader that may hold `bytes` more than are held now.
pub fn bounded<T>(bytes: usize, read: impl FnOnce() -> T) -> T {
    MOST.store(HELD.load(Relaxed).saturating_add(bytes), Relaxed);
    let result = read();
    MOST.store(usize::MAX, Relaxed);
    result
}
