//! Many datagrams in one system call: buffers and headers for recvmmsg and sendmmsg, laid out once.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{iovec, mmsghdr, sockaddr_storage};

use crate::answer::Answered;

/// Datagrams per system call. Beyond some tens the call's own cost no longer shows, and the whole
/// batch should stay in a core's second-level cache.
pub(super) const BATCH: usize = 32;

/// The longest query over UDP. Larger ones are dropped: not even an UPDATE is sent that way.
const QUERY_SIZE: usize = 4096;

/// Room for one answer over UDP; `answer` keeps below what EDNS allows, at most 1232.
const ANSWER_SIZE: usize = 4096;

/// Room for one IP_PKTINFO or IPV6_PKTINFO message, in words as its alignment demands: 40 bytes.
const CONTROL_WORDS: usize = 5;

/// One datagram and its answer. Its size is no multiple of 4096, or all slots would contend for the
/// same few sets of the first-level cache.
#[repr(C, align(64))]
struct Slot {
    query: [u8; QUERY_SIZE],
    answer: [u8; ANSWER_SIZE],
    control: [u64; CONTROL_WORDS],
    peer: sockaddr_storage,
    query_at: iovec,
    answer_at: iovec,
}

/// Whether [`Batch::receive`] waits for the first datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// As long as the socket's read timeout.
    ForOne,
    /// Takes what is there.
    No,
}

/// Up to [`BATCH`] datagrams received at once and their answers. Holds pointers into itself and is
/// therefore bound to the thread that made it.
pub(super) struct Batch {
    /// In cells, as the headers point into them; never grown or shrunk.
    slots: Vec<UnsafeCell<Slot>>,
    receiving: Vec<mmsghdr>,
    sending: Vec<mmsghdr>,
    /// How many of `receiving` the last call filled.
    received: usize,
    /// How many of `sending` are ready to go.
    queued: usize,
    control_len: usize,
}

impl Batch {
    /// An empty batch; `local_address` where the socket [tells it](super::options::tell_local_address).
    pub(super) fn new(local_address: bool) -> Batch {
        let slots: Vec<UnsafeCell<Slot>> = (0..BATCH).map(|_| UnsafeCell::new(Slot::empty())).collect();
        let control_len = if local_address { size_of::<[u64; CONTROL_WORDS]>() } else { 0 };
        let receiving = slots.iter().map(|slot| receiving_header(slot, control_len)).collect();
        // SAFETY: an mmsghdr is integers and pointers; zeroes and nulls are an empty header.
        let sending = (0..BATCH).map(|_| unsafe { zeroed() }).collect();
        Batch { slots, receiving, sending, received: 0, queued: 0, control_len }
    }

    /// Receives a batch and says how large it is. Errors: [`io::ErrorKind::WouldBlock`] when nothing
    /// came in time, else what the kernel said.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        for header in &mut self.receiving[..self.received] {
            header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = self.control_len;
        }
        self.received = 0;
        self.queued = 0;
        let flags = match wait {
            Wait::ForOne => libc::MSG_WAITFORONE,
            Wait::No => libc::MSG_DONTWAIT,
        };
        // SAFETY: the first BATCH headers of `receiving` exist, and each points at the query buffer,
        // peer and control of its own slot with their true lengths; slots are neither moved nor
        // borrowed during the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.receiving.as_mut_ptr(),
                BATCH as libc::c_uint,
                flags,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// Has `answer` answer the `index`th datagram and queues what it says. `None` where the datagram
    /// was longer than a query can be.
    pub(super) fn answer(
        &mut self,
        index: usize,
        answer: impl FnOnce(IpAddr, &[u8], &mut [u8]) -> Answered,
    ) -> Option<Answered> {
        let header = &self.receiving[..self.received][index];
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let place = self.slots[index].get();
        // SAFETY: no system call is under way, so the headers' pointers are idle, and `&mut self`
        // makes this the only reference to any slot.
        let slot = unsafe { &mut *place };
        let ip = ip_of(&slot.peer);
        let answered = answer(ip, &slot.query[..header.msg_len as usize], &mut slot.answer);
        if answered.len > 0 {
            slot.answer_at.iov_len = answered.len.min(ANSWER_SIZE);
            let control_len = header.msg_hdr.msg_controllen;
            if control_len > 0 {
                leave_by_any_interface(&mut slot.control, control_len);
            }
            let outgoing = &mut self.sending[self.queued].msg_hdr;
            outgoing.msg_name = header.msg_hdr.msg_name;
            outgoing.msg_namelen = header.msg_hdr.msg_namelen;
            outgoing.msg_iov = &raw mut slot.answer_at;
            outgoing.msg_iovlen = 1;
            outgoing.msg_control = header.msg_hdr.msg_control;
            outgoing.msg_controllen = control_len;
            self.queued += 1;
        }
        Some(answered)
    }

    /// The `index`th datagram after [`Batch::answer`] answered it: who sent it, what they sent, and the room its
    /// answer was written into.
    pub(super) fn seen(&mut self, index: usize) -> (SocketAddr, &[u8], &[u8]) {
        let header = &self.receiving[..self.received][index];
        // SAFETY: as in `answer`.
        let slot = unsafe { &*self.slots[index].get() };
        (address_of(&slot.peer), &slot.query[..header.msg_len as usize], &slot.answer)
    }

    /// Takes back the answer that was queued last, if [`Batch::answer`] queued one, and lets go of its query
    /// with all that answering it later takes.
    pub(super) fn withdraw(&mut self, index: usize, answered: &Answered) -> Letter {
        if answered.len > 0 {
            self.queued -= 1;
        }
        let header = &self.receiving[..self.received][index];
        // SAFETY: as in `answer`.
        let slot = unsafe { &mut *self.slots[index].get() };
        let control_len = header.msg_hdr.msg_controllen;
        if control_len > 0 {
            leave_by_any_interface(&mut slot.control, control_len);
        }
        Letter {
            bytes: slot.query[..header.msg_len as usize].to_vec(),
            peer: slot.peer,
            peer_len: header.msg_hdr.msg_namelen,
            control: slot.control,
            control_len,
        }
    }

    /// Sends what is queued and says how many answers the kernel did not take. One that fails is
    /// skipped; the others go out.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> u64 {
        let mut done = 0;
        let mut errors = 0;
        while done < self.queued {
            let rest = &mut self.sending[done..self.queued];
            // SAFETY: each of the `rest` points at the answer, peer and control of the slot it was
            // queued for, whose lengths `answer` bounded; slots are not touched during the call.
            let sent = unsafe {
                libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, 0)
            };
            if let Ok(sent) = usize::try_from(sent) {
                done += sent;
                continue;
            }
            match io::Error::last_os_error().kind() {
                io::ErrorKind::Interrupted => {}
                // The way out is jammed: waiting once per answer would stall every later query.
                io::ErrorKind::WouldBlock => {
                    errors += (self.queued - done) as u64;
                    break;
                }
                // The error belongs to the first of the rest (sendmmsg(2)).
                _ => {
                    done += 1;
                    errors += 1;
                }
            }
        }
        self.queued = 0;
        errors
    }
}

impl Slot {
    fn empty() -> Slot {
        Slot {
            query: [0; QUERY_SIZE],
            answer: [0; ANSWER_SIZE],
            control: [0; CONTROL_WORDS],
            // SAFETY: a sockaddr_storage is integers; zeroes are the unspecified address.
            peer: unsafe { zeroed() },
            query_at: iovec { iov_base: ptr::null_mut(), iov_len: 0 },
            answer_at: iovec { iov_base: ptr::null_mut(), iov_len: 0 },
        }
    }
}

/// A datagram that is answered later.
pub(super) struct Letter {
    pub(super) bytes: Vec<u8>,
    peer: sockaddr_storage,
    peer_len: libc::socklen_t,
    /// The address it came to, where the socket tells it.
    control: [u64; CONTROL_WORDS],
    control_len: usize,
}

impl Letter {
    /// Who sent it.
    pub(super) fn peer(&self) -> SocketAddr {
        address_of(&self.peer)
    }

    /// Answers it through the socket it came by, without waiting.
    pub(super) fn reply(&self, socket: &UdpSocket, bytes: &[u8]) -> io::Result<()> {
        let mut at = iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        // SAFETY: a msghdr is integers and pointers; zeroes and nulls are an empty header.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_name = (&raw const self.peer).cast_mut().cast();
        header.msg_namelen = self.peer_len;
        header.msg_iov = &raw mut at;
        header.msg_iovlen = 1;
        if self.control_len > 0 {
            header.msg_control = self.control.as_ptr().cast_mut().cast();
            header.msg_controllen = self.control_len;
        }
        // SAFETY: the header points at the bytes, the peer and the control of this letter, with their true
        // lengths, all of which outlive the call; sendmsg only reads them.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// A peer's address and port.
fn address_of(peer: &sockaddr_storage) -> SocketAddr {
    // A sockaddr_in and a sockaddr_in6 have their port in the same place.
    // SAFETY: as in `ip_of`.
    let port = unsafe { (*(&raw const *peer).cast::<libc::sockaddr_in>()).sin_port };
    SocketAddr::new(ip_of(peer), u16::from_be(port))
}

/// A peer's address. An IPv4 client of an IPv6 socket is an IPv4 client.
fn ip_of(peer: &sockaddr_storage) -> IpAddr {
    let place = &raw const *peer;
    if libc::c_int::from(peer.ss_family) == libc::AF_INET6 {
        // SAFETY: a sockaddr_storage has room for every kind of address, is aligned for all of them, and
        // integers of any value are a sockaddr_in6.
        let peer = unsafe { &*place.cast::<libc::sockaddr_in6>() };
        return Ipv6Addr::from(peer.sin6_addr.s6_addr).to_canonical();
    }
    // SAFETY: as above, with a sockaddr_in; the sockets here are bound to nothing else.
    let peer = unsafe { &*place.cast::<libc::sockaddr_in>() };
    Ipv4Addr::from(u32::from_be(peer.sin_addr.s_addr)).into()
}

/// Points a slot's vectors at its buffers, and a header for recvmmsg at all of it.
fn receiving_header(cell: &UnsafeCell<Slot>, control_len: usize) -> mmsghdr {
    let place = cell.get();
    // SAFETY: an mmsghdr is integers and pointers; zeroes and nulls are an empty header.
    let mut header: mmsghdr = unsafe { zeroed() };
    // SAFETY: the cell was just made and nothing refers to it. The pointers come from the cell, not
    // from a reference, and so outlive every reference `answer` will make.
    unsafe {
        (*place).query_at = iovec { iov_base: (&raw mut (*place).query).cast(), iov_len: QUERY_SIZE };
        (*place).answer_at = iovec { iov_base: (&raw mut (*place).answer).cast(), iov_len: 0 };
        header.msg_hdr.msg_name = (&raw mut (*place).peer).cast();
        header.msg_hdr.msg_iov = &raw mut (*place).query_at;
        header.msg_hdr.msg_control = (&raw mut (*place).control).cast();
    }
    header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as libc::socklen_t;
    header.msg_hdr.msg_iovlen = 1;
    header.msg_hdr.msg_controllen = control_len;
    header
}

/// What the kernel told of the datagram's way in is sent back as the answer's way out. The address
/// it came to must be kept, the interface must not: the way back to the peer may be another. Only a
/// link-local address means nothing without its interface.
#[expect(clippy::cast_ptr_alignment, reason = "CMSG_DATA is aligned as the message's type needs")]
fn leave_by_any_interface(control: &mut [u64; CONTROL_WORDS], len: usize) {
    // SAFETY: a msghdr is integers and pointers; zeroes and nulls are an empty header.
    let mut holder: libc::msghdr = unsafe { zeroed() };
    holder.msg_control = control.as_mut_ptr().cast();
    holder.msg_controllen = len.min(size_of_val(control));
    // SAFETY: the holder's control is a borrowed, aligned buffer of at least the length it says.
    let message = unsafe { libc::CMSG_FIRSTHDR(&raw const holder) };
    if message.is_null() {
        return;
    }
    // SAFETY: not null, so a whole cmsghdr is there.
    let (level, kind) = unsafe { ((*message).cmsg_level, (*message).cmsg_type) };
    if level == libc::IPPROTO_IP && kind == libc::IP_PKTINFO {
        // SAFETY: the kernel wrote a message of this kind, so an in_pktinfo follows, in a buffer that
        // has room for it.
        let info = unsafe { &mut *libc::CMSG_DATA(message).cast::<libc::in_pktinfo>() };
        info.ipi_ifindex = 0;
    } else if level == libc::IPPROTO_IPV6 && kind == libc::IPV6_PKTINFO {
        // SAFETY: as above, with an in6_pktinfo.
        let info = unsafe { &mut *libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>() };
        let link_local = info.ipi6_addr.s6_addr[0] == 0xFE && info.ipi6_addr.s6_addr[1] & 0xC0 == 0x80;
        if !link_local {
            info.ipi6_ifindex = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_spread_over_the_cache() {
        assert_ne!(size_of::<Slot>() % 4096, 0);
    }

    #[test]
    fn an_answer_that_cannot_be_sent_does_not_hold_up_the_others() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let clients: Vec<UdpSocket> =
            (1..4).map(|host| UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).unwrap()).collect();
        for client in &clients {
            client.send_to(b"query", server.local_addr().unwrap()).unwrap();
        }
        let mut batch = Batch::new(false);
        assert_eq!(batch.receive(&server, Wait::ForOne).unwrap(), 3);
        for (index, client) in clients.iter().enumerate() {
            batch.answer(index, |ip, _, out| {
                assert_eq!(ip, client.local_addr().unwrap().ip());
                out[..2].copy_from_slice(&[b'0', b'0' + index as u8]);
                Answered { len: 2, ..Answered::default() }
            });
        }
        // The second answer's peer has port 0, as a forged query's can; the kernel refuses it.
        // SAFETY: as in `answer`.
        let slot = unsafe { &mut *batch.slots[1].get() };
        // SAFETY: the peer is an IPv4 address, as the server's socket is an IPv4 socket.
        unsafe { (*(&raw mut slot.peer).cast::<libc::sockaddr_in>()).sin_port = 0 };

        assert_eq!(batch.send(&server), 1);
        let mut answer = [0; 9];
        assert_eq!(clients[0].recv(&mut answer).unwrap(), 2);
        assert_eq!(&answer[..2], b"00");
        assert_eq!(clients[2].recv(&mut answer).unwrap(), 2);
        assert_eq!(&answer[..2], b"02");
    }
}
