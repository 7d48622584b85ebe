//! FUSE_IO_URING_CMD_REGISTER: be a file system, by a ring.
//!
//! Commands of `/dev/fuse`, since 6.14. Stand for read(2) and write(2) of it: REGISTER waits for
//! the first request, COMMIT_AND_FETCH answers it and waits for the next. liburing:
//! `io_uring_prep_uring_cmd`; libfuse does it; crate: `opcode::UringCmd80`.
//! Takes two buffers, for headers and for data, and 24 bytes that say which queue is meant: each CPU
//! has one, and until each has a command waiting, all goes by read and write. A request of a CPU
//! arrives in its queue, as a completion. Needs a ring with SQE128.
//! Needs CAP_SYS_ADMIN to mount, and the module's parameter `fuse.enable_uring=1`.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::thread::{self, JoinHandle};

use anyhow::{Context, ensure};
use atlas::raw::Fields;
use atlas::{Entry, Page, Result, Started, Where};
use common::catalog::borrowed::FUSE_COMMANDS;
use common::memory::forever;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::errno::Errno;
use nix::sys::stat::stat;

pub const ENTRY: Entry =
    Entry { shows: &["FUSE_IO_URING_CMD_REGISTER", "FUSE_IO_URING_CMD_COMMIT_AND_FETCH"], show };

type Ring = IoUring<squeue::Entry128, cqueue::Entry>;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let enabled = fs::read_to_string("/sys/module/fuse/parameters/enable_uring");
    if !enabled.is_ok_and(|enabled| enabled.trim() == "Y") {
        let why = "needs Linux 6.14, and the parameter fuse.enable_uring=1";
        return page.cannot(ENTRY.shows[0], why, Where::EmulatedMachine);
    }
    let Some(mount) = Mount::new(page)? else { return Ok(()) };
    let mut ring = Ring::builder().build(8)?;
    let mut queues: Vec<Queue> = (0..cpus()?).map(Queue::new).collect();
    let mut waiting: Vec<Started> = Vec::new();
    for queue in &mut queues {
        let asked = format!("REGISTER for CPU {}", queue.cpu);
        let entry = queue.command(&mount, "REGISTER", 0);
        // SAFETY: here and below, the queue's memory is never freed.
        waiting.push(unsafe { page.start(&asked, &mut ring, entry) });
    }
    let looking = mount.stat_on_cpu_0();
    page.answer(&waiting[0], &mut ring)?;
    let queue = &mut queues[0];
    page.saw("stat(2) on CPU 0 has become a GETATTR", queue.request() == GETATTR)?;
    queue.set_length(65);
    let entry = queue.command(&mount, "COMMIT_AND_FETCH", queue.headers.commit);
    // SAFETY: as above.
    let next = unsafe { page.start("COMMIT_AND_FETCH: 65 bytes long", &mut ring, entry) };
    let length = looking.join().expect("stat(2) does not panic")?;
    page.saw("stat(2) says 65", length == 65)?;

    let unknown = queue.command(&mount, "COMMIT_AND_FETCH", 99);
    let why = "there is no request 99";
    // SAFETY: as above.
    unsafe { page.refused("COMMIT_AND_FETCH of 99", &mut ring, unknown, Errno::ENOENT, why) }?;
    let why = "the file system was unmounted";
    page.call("umount2", mount.unmount())?;
    for waiting in waiting[1..].iter().chain([&next]) {
        page.ended(waiting, &mut ring, Errno::ENOTCONN, why)?;
    }
    Ok(())
}
// ANCHOR_END: show

/// A mounted file system, and the descriptor by which it is asked.
struct Mount {
    device: File,
    place: CString,
}

impl Mount {
    /// Mounts it. `None`, noted on the page, if this user may not.
    fn new(page: &mut Page) -> Result<Option<Mount>> {
        let scratch = page.scratch()?;
        fs::create_dir(scratch.path("mounted"))?;
        let place = scratch.c_path("mounted")?;
        let mut device = File::options().read(true).write(true).open("/dev/fuse")?;
        let descriptor = device.as_raw_fd();
        let data = format!("fd={descriptor},rootmode=40000,user_id=0,group_id=0");
        let (data, kind) = (CString::new(data)?, c"fuse".as_ptr());
        // SAFETY: all four strings outlive the call.
        let mounted = Errno::result(unsafe {
            libc::mount(c"atlas".as_ptr(), place.as_ptr(), kind, 0, data.as_ptr().cast())
        });
        if mounted == Err(Errno::EPERM) {
            page.cannot(ENTRY.shows[0], "mounting needs CAP_SYS_ADMIN", Where::Root)?;
            return Ok(None);
        }
        page.call("mount(2) of a FUSE", mounted)?;
        greet(&mut device)?;
        Ok(Some(Mount { device, place }))
    }

    /// Asks the kernel for the length of the mounted folder, on the first CPU.
    fn stat_on_cpu_0(&self) -> JoinHandle<nix::Result<i64>> {
        let place = self.place.clone();
        thread::spawn(move || {
            let first = 1_u64;
            // SAFETY: the call reads 8 bytes.
            Errno::result(unsafe { libc::sched_setaffinity(0, 8, (&raw const first).cast()) })?;
            // std would ask for more than GETATTR tells, by statx(2).
            Ok(stat(place.as_c_str())?.st_size)
        })
    }

    fn unmount(&self) -> nix::Result<i32> {
        // SAFETY: the path outlives the call.
        Errno::result(unsafe { libc::umount2(self.place.as_ptr(), libc::MNT_DETACH) })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A program that waits for an answer then gets an error. Normally it is unmounted already.
        let _ = self.unmount();
    }
}

/// The first message, FUSE_INIT, by read(2) and write(2): both sides say what they support.
fn greet(device: &mut File) -> Result<()> {
    let mut request = vec![0; 128 << 10];
    let length = device.read(&mut request)?;
    ensure!(length > 16 && request[4..8] == INIT.to_ne_bytes(), "the first request is FUSE_INIT");
    // `struct fuse_init_out`: the version, the flags, the longest write, more flags.
    let mut answer = [0_u32; 16];
    (answer[0], answer[1], answer[3], answer[5], answer[8]) =
        (7, 42, INIT_EXT, 4096, OVER_IO_URING);
    // `struct fuse_out_header`: the length of all, no error, and the request's number.
    let header = [80, 0, u32_at(&request, 8), u32_at(&request, 12)];
    let message: Vec<u8> = header.iter().chain(&answer).flat_map(|it| it.to_ne_bytes()).collect();
    device.write_all(&message).context("the answer to FUSE_INIT")
}

/// Requests (`enum fuse_opcode`), and flags of FUSE_INIT (`linux/fuse.h`).
const INIT: u32 = 26;
const GETATTR: u32 = 3;
const INIT_EXT: u32 = 1 << 30;
const OVER_IO_URING: u32 = 1 << (41 - 32);

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The buffers of a CPU's queue. The kernel has them as long as a command waits.
struct Queue {
    cpu: u16,
    headers: &'static mut Headers,
    data: &'static mut [u8; 128 << 10],
}

/// `struct fuse_uring_req_header`: the request's or the answer's header, the request's own part, and
/// `struct fuse_uring_ent_in_out`.
#[repr(C)]
struct Headers {
    in_out: [u8; 128],
    op_in: [u8; 128],
    flags: u64,
    commit: u64,
    data_length: u32,
    resv: [u32; 3],
}

impl Queue {
    fn new(cpu: u16) -> Queue {
        let headers = Headers {
            in_out: [0; 128],
            op_in: [0; 128],
            flags: 0,
            commit: 0,
            data_length: 0,
            resv: [0; 3],
        };
        Queue { cpu, headers: forever(headers), data: forever([0; 128 << 10]) }
    }

    /// A command with `struct fuse_uring_cmd_req`: flags, which request is answered, which queue.
    fn command(&mut self, mount: &Mount, name: &str, commit: u64) -> squeue::Entry128 {
        let iovec = |start: *mut u8, iov_len| libc::iovec { iov_base: start.cast(), iov_len };
        let headers = std::ptr::from_mut(self.headers).cast();
        let buffers = forever([
            iovec(headers, size_of::<Headers>()),
            iovec(self.data.as_mut_ptr(), self.data.len()),
        ]);
        let mut bytes = [0; 80];
        bytes[8..16].copy_from_slice(&commit.to_ne_bytes());
        bytes[16..18].copy_from_slice(&self.cpu.to_ne_bytes());
        let code = FUSE_COMMANDS.code(&format!("FUSE_IO_URING_CMD_{name}"));
        let command = opcode::UringCmd80::new(Fd(mount.device.as_raw_fd()), code).cmd(bytes);
        command.build().addr(buffers.as_ptr().expose_provenance() as u64).len(2)
    }

    /// The operation that is asked for (`struct fuse_in_header`).
    fn request(&self) -> u32 {
        u32_at(&self.headers.in_out, 4)
    }

    /// Answers a GETATTR: a folder of this length.
    fn set_length(&mut self, length: u64) {
        // `struct fuse_attr_out`: 16 bytes of how long it is valid, then inode, size, …, mode, links.
        let mut attributes = [0_u8; 104];
        attributes[16..24].copy_from_slice(&1_u64.to_ne_bytes());
        attributes[24..32].copy_from_slice(&length.to_ne_bytes());
        attributes[76..80].copy_from_slice(&(libc::S_IFDIR | 0o755).to_ne_bytes());
        attributes[80..84].copy_from_slice(&1_u32.to_ne_bytes());
        self.data[..104].copy_from_slice(&attributes);
        // `struct fuse_out_header`: the length of all, no error; the request's number stays.
        self.headers.in_out[..8].copy_from_slice(&[120, 0, 0, 0, 0, 0, 0, 0]);
        self.headers.data_length = 104;
    }
}

/// How many CPUs there can be: `0-1`.
fn cpus() -> Result<u16> {
    let text = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let last = text.trim().rsplit(['-', ',']).next().context("a number")?;
    Ok(last.parse::<u16>()? + 1)
}
