//! Keys from the terminal. Reading them blocks, so a thread does, which looks now and then whether it should end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event};
use tokio::sync::mpsc;

/// How often the thread looks.
const LOOK: Duration = Duration::from_millis(100);

/// The thread; it is asked to end with this value. Nobody waits for that: on a terminal that has hung up it may turn
/// in place until the process ends.
pub(super) struct Reader {
    end: Arc<AtomicBool>,
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
        let _ = std::thread::Builder::new().name("keys".to_owned()).spawn(read);
        Reader { end }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}
