//! What this process asks of its host: the time, processes, files that change whole, priorities, memory; and how to
//! count quickly. Never known here: what any of it is for.

mod allocator;
pub mod clock;
pub mod command;
pub mod files;
pub mod histogram;
mod low_priority;

pub use allocator::map_large_blocks;
pub use low_priority::aside;
