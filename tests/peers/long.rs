//! How much longer than usual the simulator and the fuzz bodies run: `./test --long` says so.

/// How many times as many runs: 1, unless `DETOUR_LONG` says.
pub fn times() -> u64 {
    std::env::var("DETOUR_LONG").map_or(1, |times| times.parse().expect("DETOUR_LONG is a number"))
}
