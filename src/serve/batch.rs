//! The system calls of a UDP worker: many datagrams in with one, many out with another.
//!
//! All memory is allocated once. The headers the kernel reads hold pointers into it, so it stays in place
//! and is reached through those pointers alone until the batch is dropped.
#![expect(unsafe_code, reason = "recvmmsg, sendmmsg and socket options are not in std")]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

use libc::{c_int, c_void, iovec, mmsghdr, sockaddr_storage};

/// Datagrams in a batch.
pub(super) const WIDTH: usize = 32;
/// The longest query read; a longer one is cut off, and then no query.
pub(super) const QUERY_LEN: usize = 2048;
/// The longest answer sent.
pub(super) const ANSWER_LEN: usize = 4096;
/// Room for one packet-information message of either family.
const CONTROL_LEN: usize = 64;

/// The memory of one batch.
#[repr(C)]
struct Memory {
    incoming: [mmsghdr; WIDTH],
    outgoing: [mmsghdr; WIDTH],
    incoming_io: [iovec; WIDTH],
    outgoing_io: [iovec; WIDTH],
    peers: [sockaddr_storage; WIDTH],
    controls: [Control; WIDTH],
    queries: [[u8; QUERY_LEN]; WIDTH],
    answers: [[u8; ANSWER_LEN]; WIDTH],
}

/// Ancillary data; the kernel wants it aligned as its own header is.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_LEN]);

/// Preallocated headers and buffers for [`WIDTH`] queries and their answers.
pub(super) struct Batch {
    memory: NonNull<Memory>,
    /// Whether destinations come with the queries and sources go with the answers.
    with_control: bool,
    received: usize,
    ready: usize,
}

// SAFETY: the memory belongs to the batch alone; nothing in it is bound to a thread.
unsafe impl Send for Batch {}

impl Batch {
    pub(super) fn new(with_control: bool) -> Batch {
        // Zeroes are valid for all of `Memory`: it is plain C data. On the heap it does not move.
        let memory = Box::new(MaybeUninit::<Memory>::zeroed());
        let memory = NonNull::from(Box::leak(memory)).cast();
        let mut batch = Batch { memory, with_control, received: 0, ready: 0 };
        for i in 0..WIDTH {
            batch.point(i);
        }
        batch
    }

    /// Sets up the headers of place `i`.
    fn point(&mut self, i: usize) {
        let memory = self.memory.as_ptr();
        // SAFETY: `i` is below WIDTH, and the places are written through the pointer that owns them, before
        // any system call sees them; no reference into the memory is alive.
        unsafe {
            let query = (&raw mut (*memory).queries[i]).cast::<c_void>();
            (*memory).incoming_io[i] = iovec { iov_base: query, iov_len: QUERY_LEN };
            let answer = (&raw mut (*memory).answers[i]).cast::<c_void>();
            (*memory).outgoing_io[i] = iovec { iov_base: answer, iov_len: 0 };

            let header = &raw mut (*memory).incoming[i].msg_hdr;
            (*header).msg_iov = &raw mut (*memory).incoming_io[i];
            (*header).msg_iovlen = 1;
            (*header).msg_name = (&raw mut (*memory).peers[i]).cast();
            if self.with_control {
                (*header).msg_control = (&raw mut (*memory).controls[i]).cast();
            }
            let header = &raw mut (*memory).outgoing[i].msg_hdr;
            (*header).msg_iov = &raw mut (*memory).outgoing_io[i];
            (*header).msg_iovlen = 1;
        }
        self.rearm(i);
    }

    /// Gives back to the kernel the room it has used of place `i`.
    #[inline]
    fn rearm(&mut self, i: usize) {
        // SAFETY: as in `point`.
        unsafe {
            let header = &raw mut (*self.memory.as_ptr()).incoming[i].msg_hdr;
            (*header).msg_namelen = size_of::<sockaddr_storage>() as u32;
            (*header).msg_controllen = if self.with_control { CONTROL_LEN } else { 0 };
        }
    }

    /// Waits for queries and takes as many as are there. With `wait` false, or at the socket's timeout, the
    /// error is `WouldBlock`.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: bool) -> io::Result<usize> {
        for i in 0..self.received {
            self.rearm(i);
        }
        (self.received, self.ready) = (0, 0);
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: `incoming` holds WIDTH headers set up by `point`, all of whose pointers lead into memory
        // that lives as long as the batch; the descriptor is open as long as `socket` is borrowed.
        let n = unsafe {
            let headers = (&raw mut (*self.memory.as_ptr()).incoming).cast::<mmsghdr>();
            libc::recvmmsg(socket.as_raw_fd(), headers, WIDTH as u32, flags, std::ptr::null_mut())
        };
        self.received = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// Query `i` of those received and the room for its answer. A query that was longer than its room is
    /// empty.
    #[inline]
    pub(super) fn pair(&mut self, i: usize) -> (&[u8], &mut [u8]) {
        assert!(i < self.received);
        let memory = self.memory.as_ptr();
        // SAFETY: `i` is below WIDTH; the two buffers do not overlap, and `&mut self` keeps everything else
        // away from them while they are borrowed.
        unsafe {
            let header = &raw const (*memory).incoming[i];
            let whole = (*header).msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            let len = if whole { ((*header).msg_len as usize).min(QUERY_LEN) } else { 0 };
            let query = std::slice::from_raw_parts((&raw const (*memory).queries[i]).cast::<u8>(), len);
            (query, &mut (*memory).answers[i])
        }
    }

    /// Sends the first `len` bytes of the room for answer `i` back to where query `i` came from, with the
    /// next [`Batch::send`].
    #[inline]
    pub(super) fn reply(&mut self, i: usize, len: usize) {
        assert!(i < self.received && self.ready < WIDTH && len <= ANSWER_LEN);
        let memory = self.memory.as_ptr();
        // SAFETY: indices are below WIDTH by the assertion; as in `point`.
        unsafe {
            let from = &raw const (*memory).incoming[i].msg_hdr;
            let to = &raw mut (*memory).outgoing[self.ready].msg_hdr;
            (*memory).outgoing_io[self.ready].iov_base = (&raw mut (*memory).answers[i]).cast();
            (*memory).outgoing_io[self.ready].iov_len = len;
            (*to).msg_name = (*from).msg_name;
            (*to).msg_namelen = (*from).msg_namelen;
            if self.with_control {
                aim_source(from);
                (*to).msg_control = (*from).msg_control;
                (*to).msg_controllen = (*from).msg_controllen;
            }
        }
        self.ready += 1;
    }

    /// Sends all replies and says how many the system refused.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> u64 {
        let (mut sent, mut refused) = (0, 0);
        while sent < self.ready {
            // SAFETY: the headers from `sent` to `ready` were set up by `reply`, their pointers lead into
            // memory that lives as long as the batch.
            let n = unsafe {
                let headers = (&raw mut (*self.memory.as_ptr()).outgoing).cast::<mmsghdr>().add(sent);
                libc::sendmmsg(socket.as_raw_fd(), headers, (self.ready - sent) as u32, 0)
            };
            match usize::try_from(n) {
                Ok(n) => sent += n.max(1),
                Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                // The first of the rest cannot be sent (its peer has port 0, a packet filter objects...):
                // the others still can.
                Err(_) => {
                    sent += 1;
                    refused += 1;
                }
            }
        }
        self.ready = 0;
        refused
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::leak` in `new`, and no borrow outlives the batch.
        drop(unsafe { Box::from_raw(self.memory.cast::<MaybeUninit<Memory>>().as_ptr()) });
    }
}

/// Turns the destination a query came with into the source its answer goes with: the address stays, the
/// interface is left to the routing table but for link-local addresses, which mean nothing without it.
///
/// # Safety
///
/// `header` must be one the kernel has filled in, its control memory still in place.
unsafe fn aim_source(header: *const libc::msghdr) {
    // SAFETY: the CMSG functions stay within `msg_controllen`, and the data of a packet-information message
    // is the struct its type names.
    unsafe {
        let cmsg = libc::CMSG_FIRSTHDR(header);
        if cmsg.is_null() {
            return;
        }
        match ((*cmsg).cmsg_level, (*cmsg).cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let mut info: libc::in_pktinfo = read_data(cmsg);
                info.ipi_ifindex = 0;
                write_data(cmsg, info);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let mut info: libc::in6_pktinfo = read_data(cmsg);
                let [a, b, ..] = info.ipi6_addr.s6_addr;
                if (a, b & 0xc0) != (0xfe, 0x80) {
                    info.ipi6_ifindex = 0;
                }
                write_data(cmsg, info);
            }
            _ => {}
        }
    }
}

/// The data of a control message, copied byte by byte since nothing promises its alignment.
///
/// # Safety
///
/// `cmsg` must hold a `T`.
unsafe fn read_data<T>(cmsg: *const libc::cmsghdr) -> T {
    let mut data = MaybeUninit::<T>::uninit();
    // SAFETY: the caller says that a `T` is there; `data` has room for one.
    unsafe {
        libc::CMSG_DATA(cmsg).copy_to_nonoverlapping(data.as_mut_ptr().cast(), size_of::<T>());
        data.assume_init()
    }
}

/// The reverse of [`read_data`].
///
/// # Safety
///
/// `cmsg` must hold a `T`.
unsafe fn write_data<T: Copy>(cmsg: *mut libc::cmsghdr, data: T) {
    // SAFETY: the caller says that there is room for a `T`.
    unsafe { libc::CMSG_DATA(cmsg).copy_from_nonoverlapping((&raw const data).cast(), size_of::<T>()) }
}

/// Asks the system to say to which of the host's addresses each datagram was sent.
pub(super) fn ask_for_destinations(socket: &impl AsRawFd, v6: bool) -> io::Result<()> {
    let (level, option) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    let on: c_int = 1;
    // SAFETY: the option's value is a C int that is alive during the call, and its size is given.
    let result = unsafe {
        let value = (&raw const on).cast::<c_void>();
        libc::setsockopt(socket.as_raw_fd(), level, option, value, size_of::<c_int>() as u32)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The cores this process may run on.
pub(super) fn allowed_cores() -> Vec<usize> {
    // SAFETY: a zeroed set is an empty one; the call fills in a set of the size given; CPU_ISSET reads
    // within CPU_SETSIZE.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return Vec::new();
        }
        (0..libc::CPU_SETSIZE as usize).filter(|&core| libc::CPU_ISSET(core, &set)).collect()
    }
}

/// Keeps the calling thread on one core. Where that is not allowed it runs anywhere, only slower.
pub(super) fn pin_to(core: usize) {
    // SAFETY: as above; `core` came out of `allowed_cores`, so it is below CPU_SETSIZE.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}
