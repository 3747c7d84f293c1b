//! What the allocator does with large blocks. In: nothing. Out: nothing but a smaller process. It must never
//! know what the blocks hold.
#![allow(unsafe_code)]

/// Blocks of this many bytes and more are the kernel's to give and to take back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 1 << 20;

/// Has the allocator map each large block on its own. A zone and its table are few and large; mapped, they
/// grow without being copied and go back to the kernel when they are freed. Left to itself, glibc takes the
/// first large block that is freed for a sign that more will come, and from then on keeps what a load has
/// used. Elsewhere than on glibc this does nothing.
pub fn map_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two numbers and keeps no pointer; what it refuses, it leaves as it was.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}
