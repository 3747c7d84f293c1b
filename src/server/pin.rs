//! Pins a worker to a core: its buffers and counters stay in that core's cache.
#![allow(unsafe_code)]

/// Pins the calling thread to the `worker`th (mod their number) of the cores this process may use.
/// Best effort: says whether it worked, and a worker that floats serves just as right.
pub(super) fn pin_to_core(worker: usize) -> bool {
    const SIZE: usize = size_of::<libc::cpu_set_t>();
    // SAFETY: a cpu_set_t is an array of integers; all zeroes is the empty set.
    let mut allowed: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most SIZE bytes into `allowed`, which lives across the call.
    if unsafe { libc::sched_getaffinity(0, SIZE, &raw mut allowed) } != 0 {
        return false;
    }
    // SAFETY: CPU_ISSET reads the set at an index below CPU_SETSIZE, the number of bits it has.
    let is_allowed = |core: usize| unsafe { libc::CPU_ISSET(core, &allowed) };
    let cores: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(|core| is_allowed(*core)).collect();
    if cores.is_empty() {
        return false;
    }
    // SAFETY: as above, all zeroes is the empty set.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the index came from the filter above, so it is below CPU_SETSIZE.
    unsafe { libc::CPU_SET(cores[worker % cores.len()], &mut one) };
    // SAFETY: the kernel reads SIZE bytes from `one`, which lives across the call.
    unsafe { libc::sched_setaffinity(0, SIZE, &raw const one) == 0 }
}

#[cfg(test)]
mod tests {
    use super::pin_to_core;

    #[test]
    fn a_worker_past_the_last_core_wraps_around() {
        // In a thread of its own: the pin would outlast the test otherwise.
        let pinned = std::thread::spawn(|| pin_to_core(100_003)).join().unwrap();
        assert!(pinned);
    }
}
