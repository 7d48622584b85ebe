//! Memory for operations in flight.
//!
//! The kernel may use the memory that an entry points at until the last completion. Nothing else
//! proves that the kernel is done with it. Closing the ring does not wait for a kernel thread that
//! is in the middle of a read, nor does unregistering a group of buffers: the thread goes on
//! writing after the call has returned.
//!
//! A program that ends with an error or a panic has not seen all completions. So memory that
//! the kernel may use is never freed here, and an early return cannot be a mistake.

/// Puts `value` where the kernel may use it until the process ends.
///
/// This is for the tables of a server: made once, and needed as long as it runs. A leak checker
/// reports what this function allocates: that is intended.
pub fn forever<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}
