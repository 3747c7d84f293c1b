//! What commands print. A reader that stops reading, like `head`, ends the command without a word.

use std::fmt;
use std::io::{self, Write as _};
use std::process;

/// As the one of `std`, but for a reader that is gone.
macro_rules! print {
    ($($text:tt)*) => {
        $crate::cli::output::print(format_args!($($text)*))
    };
}

/// As the one of `std`, but for a reader that is gone.
macro_rules! println {
    () => {
        $crate::cli::output::print(format_args!("\n"))
    };
    ($($text:tt)*) => {
        $crate::cli::output::print(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Prints to stdout. With nobody left to read it the process ends here, as one that has said enough.
pub(super) fn print(text: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            eprintln!("detour: cannot write to stdout: {error}");
            process::exit(1);
        }
        Ok(()) => {}
    }
}

/// Whether a command ended because nobody reads what it writes.
pub(super) fn reader_is_gone(error: &anyhow::Error) -> bool {
    let broken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(broken)
}
