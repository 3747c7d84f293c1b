//! Work that can wait, in a thread that gives way to all others.
#![allow(unsafe_code)]

use std::io;

use tokio::sync::oneshot;

/// By how much such a thread is nicer than the others: it has a tenth of a core that others want.
const NICER: libc::c_int = 10;

/// Does `work` in a thread of its own, called `name`, that comes after every other where the cores are busy.
/// An error says that no thread could be had, or that `work` panicked.
pub async fn aside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, io::Error> {
    let (reply, done) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        // Nobody waits any more: a client that went away.
        let _ = reply.send(work());
    })?;
    done.await.map_err(|_| io::Error::other(format!("the thread {name} panicked")))
}

/// Lowers the priority of the calling thread, for good: without privileges there is no way back. Best effort:
/// where it is refused, the work is done all the same.
fn give_way() {
    // SAFETY: getpriority and setpriority take no pointer. To Linux, process 0 is the calling thread.
    unsafe {
        let now = libc::getpriority(libc::PRIO_PROCESS, 0);
        libc::setpriority(libc::PRIO_PROCESS, 0, now + NICER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn niceness() -> libc::c_int {
        // SAFETY: as above.
        unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
    }

    #[tokio::test]
    async fn work_is_done_by_a_thread_that_gives_way_and_no_other_does() {
        let before = niceness();
        let (name, there) =
            aside("counting", || (std::thread::current().name().map(str::to_owned), niceness()))
                .await
                .unwrap();
        assert_eq!(name.as_deref(), Some("counting"));
        assert_eq!(there, (before + NICER).min(19));
        assert_eq!(niceness(), before);
    }

    #[tokio::test]
    async fn a_panic_in_it_is_an_error() {
        let error = aside("failing", || assert!(niceness() > 1000)).await.unwrap_err();
        assert_eq!(error.to_string(), "the thread failing panicked");
    }
}
