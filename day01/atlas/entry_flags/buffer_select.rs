//! IOSQE_BUFFER_SELECT: the kernel picks a buffer of group `sqe->buf_group`.
//!
//! Since 5.7. liburing: `io_uring_sqe_set_flags` and `io_uring_sqe_set_buf_group`; crate:
//! `squeue::Flags::BUFFER_SELECT` and the builder's `buf_group`.
//! For reads and receives (and SEND since 6.10). The kernel picks a provided buffer when the data
//! is there, so a thousand idle connections need no buffer each. The completion has
//! `IORING_CQE_F_BUFFER`, and the buffer's number in the upper 16 bits of its flags. The buffer is
//! the program's until it is provided again. The entry's own address is not used, but its length
//! is: at most that much comes.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;

use atlas::{Entry, Page, Result};
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IOSQE_BUFFER_SELECT", "IORING_CQE_F_BUFFER"], show };

/// The group's number, which is free to choose.
const GROUP: u16 = 7;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (socket, mut peer) = UnixStream::pair()?;
    let fd = Fd(socket.as_raw_fd());
    let pick = |group| {
        let recv = opcode::Recv::new(fd, ptr::null_mut(), 16).buf_group(group).build();
        recv.flags(Flags::BUFFER_SELECT)
    };
    // The kernel may write here as long as the group has it: two buffers of 16 bytes.
    let memory = common::memory::forever([[0_u8; 16]; 2]);
    let provide = opcode::ProvideBuffers::new(memory[0].as_mut_ptr(), 16, 2, GROUP, 40).build();
    // SAFETY: the memory is never freed, and is read only when a completion gave it back.
    unsafe {
        page.ask("PROVIDE_BUFFERS 40 and 41, of 16 bytes each", &mut ring, provide)?;
        let recv = page.start("RECV with BUFFER_SELECT", &mut ring, pick(GROUP));
        peer.write_all(b"for whom?")?;
        let answer = page.answer(&recv, &mut ring)?;
        let buffer = answer.buffer().filter(|number| (40..42).contains(number));
        let bytes = buffer.map(|number| memory[usize::from(number - 40)]);
        let is_there = bytes.is_some_and(|bytes| bytes.starts_with(b"for whom?"));
        page.saw("the bytes are in the buffer that the completion names", is_there)?;

        peer.write_all(b"one more")?;
        page.ask("RECV with BUFFER_SELECT", &mut ring, pick(GROUP))?;
        peer.write_all(b"and one more")?;
        let why = "the group is empty: provide its buffers again";
        page.refused("a third RECV", &mut ring, pick(GROUP), Errno::ENOBUFS, why)?;
        let why = "there is no such group";
        page.refused("RECV of group 8", &mut ring, pick(8), Errno::ENOBUFS, why)?;
        let nop = opcode::Nop::new().build().flags(Flags::BUFFER_SELECT);
        let why = "the operation reads nothing";
        page.refused("NOP with BUFFER_SELECT", &mut ring, nop, Errno::EOPNOTSUPP, why)
    }
}
// ANCHOR_END: show
