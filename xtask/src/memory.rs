//! Memory that one step of training frees, the next one takes: it stays with the process, instead of going back to the system, which
//! would clear every page of it anew.

/// To be called before anything large is allocated. Another allocator than that of glibc is left as it is.
pub(crate) fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` may be called at any time; it changes when memory goes back, never what it holds.
    unsafe {
        // From one heap, however many threads; from the system only what is larger than this.
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}
