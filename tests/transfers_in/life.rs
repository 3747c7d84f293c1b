//! A transferred zone's life without its primary: retry, expiry, restarts; and services laid over it.

use crate::dig::dig;
use crate::harness::{Detour, until};
use crate::{addresses, config, free_port, secondary, settles_on_serial, transferred, zone};

/// A daemon that serves example.com from a file to whoever is on this host, as a primary.
fn primary(port: u16, text: &str) -> Detour {
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:{port}\"]\nthreads = 1\n[control]\nlisten = \"127.0.0.1:0\"\n[[zone]]\nname = \"example.com\"\nfile = \"example.com.zone\"\ntransfer = [\"127.0.0.0/8\"]\n"
    );
    Detour::start(&config, text)
}

#[test]
fn placeholder() {
    let _ = (primary as fn(u16, &str) -> Detour, dig as fn(_, _, _) -> _, settles_on_serial as fn(_, _));
    let _ = (addresses as fn(_, _) -> _, config as fn(_, _) -> _, free_port as fn() -> _);
    let _ = (secondary as fn(_) -> _, transferred as fn(_) -> _, zone as fn(_, _, _) -> _);
    until("now", || Some(()));
}
