//! Socket options neither std nor socket2 has a name for.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

use libc::c_int;
use socket2::Socket;

/// Has the kernel tell, with each datagram, which local address it was sent to. A socket bound to a
/// wildcard needs it to answer from the address that was asked; a resolver drops any other answer
/// (RFC 2181 section 4.1).
pub(super) fn tell_local_address(socket: &Socket, v6: bool) -> io::Result<()> {
    if v6 {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

/// Has the kernel ignore path MTU messages for this socket and never fragment because of one: forged
/// ones are how answers get replaced piece by piece (RFC 9715 section 3.1). For IPv4 it also sets DF, so
/// that nobody on the way fragments either; such a datagram needs no identification (RFC 6864 section
/// 4.1), whose choice would be a hash and a locked instruction for each answer.
pub(super) fn ignore_path_mtu(socket: &Socket, v6: bool) -> io::Result<()> {
    if v6 {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
    }
}

fn set(socket: &Socket, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel reads
    // `size_of::<c_int>()` bytes from `value`, which lives across the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
