use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// `struct io_uring_params` as words, and the offsets in it (`linux/io_uring.h`).
const SQ_OFF: usize = 10;
const CQ_OFF: usize = 20;

fn main() {
    let tags: Vec<u64> =
        std::env::args().skip(1).map(|tag| tag.parse().unwrap()).collect();
    let mut params = [0_u32; 30];
    // SAFETY: the kernel fills in `params`; the mappings are as large as it says, and live until
    // the program ends. Nobody else uses the ring.
    unsafe {
        let fd = libc::syscall(libc::SYS_io_uring_setup, 8, params.as_mut_ptr())
            as i32;
        assert!(fd >= 0, "no ring");
        let map = |length: usize, offset: i64| {
            let both = libc::PROT_READ | libc::PROT_WRITE;
            let how = libc::MAP_SHARED | libc::MAP_POPULATE;
            let at = libc::mmap(ptr::null_mut(), length, both, how, fd, offset);
            assert!(at != libc::MAP_FAILED, "no memory");
            at.cast::<u8>()
        };
        let (sq_entries, cq_entries) = (params[0] as usize, params[1] as usize);
        let sq_bytes = params[SQ_OFF + 6] as usize + sq_entries * 4;
        let cq_bytes = params[CQ_OFF + 5] as usize + cq_entries * 16;
        let rings = map(sq_bytes.max(cq_bytes), 0);
        let sqes = map(sq_entries * 64, 0x1000_0000);
        let word =
            |offset: u32| &*rings.add(offset as usize).cast::<AtomicU32>();

        for (index, tag) in tags.iter().enumerate() {
            let sqe = sqes.add(index * 64);
            ptr::write_bytes(sqe, 0, 64);
            sqe.add(32).cast::<u64>().write(*tag);
            word(params[SQ_OFF + 6] + index as u32 * 4)
                .store(index as u32, Ordering::Relaxed);
        }
        word(params[SQ_OFF + 1]).store(tags.len() as u32, Ordering::Release);
        let count = tags.len() as u32;
        let (none, size) = (ptr::null::<u8>(), 0_usize);
        libc::syscall(
            libc::SYS_io_uring_enter,
            fd,
            count,
            count,
            1_u32,
            none,
            size,
        );

        let mut head = word(params[CQ_OFF]).load(Ordering::Relaxed);
        let mask = params[1] - 1;
        while head != word(params[CQ_OFF + 1]).load(Ordering::Acquire) {
            let at = params[CQ_OFF + 5] as usize + (head & mask) as usize * 16;
            println!("{}", rings.add(at).cast::<u64>().read());
            head += 1;
        }
        word(params[CQ_OFF]).store(head, Ordering::Release);
    }
}
