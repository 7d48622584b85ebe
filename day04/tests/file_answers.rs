//! `beyond/file_answers.rs`: what of its answers holds on every kernel and file system.

use testkit::Answers;

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let Some(answers) = Answers::or_skip("file_answers") else { return };
    // The order of entries without a link is the kernel's choice. Misaligned reads are not
    // refused by every disk.
    answers.need(&[
        "WRITE of 64 MiB and FSYNC, ASYNC on both, IO_LINK on the WRITE: WRITE 67108864, then FSYNC 0",
        "WRITE of 64 MiB and FSYNC, ASYNC on both, IO_DRAIN on the FSYNC: WRITE 67108864, then FSYNC 0",
        "a, b and c at offset 0: \"cld \"",
        "a, b and c at offset -1, the file's own position: \"abc \"",
        "a, b and c at offset 0 and O_APPEND: \"old abc\"",
        "READ_FIXED to an unmapped buffer: 13",
        "a new page at the same address begins with: 0",
        "WRITE_FIXED from the unmapped buffer: 13",
        "the file then: \"from the filefrom the file\"",
        "registering 1 MiB with RLIMIT_MEMLOCK at 64 KiB: Cannot allocate memory (os error 12)",
    ]);
}
