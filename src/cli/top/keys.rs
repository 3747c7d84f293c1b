//! Keys from the terminal. Reading them blocks, so a thread does, which looks now and then whether it should end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event};
use tokio::sync::mpsc;

/// How long the end may wait for the thread.
const LOOK: Duration = Duration::from_millis(100);

/// The thread; it ends with this value.
pub(super) struct Reader {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Sends what is pressed, until it is dropped or the terminal is gone.
    pub fn start(pressed: mpsc::Sender<Event>) -> Reader {
        let end = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&end);
        let read = move || {
            while !over.load(Ordering::Relaxed) {
                match event::poll(LOOK) {
                    Ok(false) => {}
                    Ok(true) => match event::read() {
                        Ok(event) => {
                            if pressed.blocking_send(event).is_err() {
                                return;
                            }
                        }
                        Err(_) => return,
                    },
                    Err(_) => return,
                }
            }
        };
        // A host without room for a thread shows the screen, and ends by a signal.
        let thread = std::thread::Builder::new().name("keys".to_owned()).spawn(read).ok();
        Reader { end, thread }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there leaves nothing to put in order.
            let _ = thread.join();
        }
    }
}
