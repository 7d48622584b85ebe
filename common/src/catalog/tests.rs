mod crate_codes;
mod header;
mod running_kernel;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::borrowed::BORROWED;
use super::*;

fn all_tables() -> impl Iterator<Item = &'static Table> {
    TABLES.into_iter().chain(BORROWED)
}

#[test]
fn operations_have_no_gaps() {
    let codes: Vec<u32> = OPERATIONS.entries.iter().map(|entry| entry.code).collect();
    assert_eq!(codes, (0..codes.len() as u32).collect::<Vec<_>>());
    assert_eq!(OPERATIONS.name(62).to_string(), "IORING_OP_PIPE", "the last one of Linux 6.18");
}

#[test]
fn codes_are_unique_and_in_order() {
    for table in all_tables() {
        for pair in table.entries.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} and {}", pair[0].name, pair[1].name);
        }
    }
}

#[test]
fn flags_are_single_bits() {
    for table in all_tables().filter(|table| table.kind == Kind::Flags) {
        for entry in table.entries {
            assert!(entry.code.is_power_of_two(), "{}", entry.name);
        }
    }
}

#[test]
fn names_are_unique_and_have_their_prefix() {
    let mut names = BTreeSet::new();
    for table in all_tables() {
        let mut shorts = BTreeSet::new();
        for entry in table.entries {
            assert!(names.insert(entry.name), "{} twice", entry.name);
            assert!(shorts.insert(entry.short), "{} twice", entry.short);
            let prefix =
                if entry.name == "IORING_LINK_TIMEOUT_UPDATE" { "IORING_" } else { table.prefix };
            assert_eq!(entry.name, format!("{prefix}{}", entry.short));
        }
    }
}

#[test]
fn meanings_are_one_short_line() {
    for entry in all_tables().flat_map(|table| table.entries) {
        assert!((10..=60).contains(&entry.meaning.len()), "{}: {}", entry.name, entry.meaning);
        assert!(!entry.meaning.ends_with('.'), "{}", entry.name);
    }
}

/// A number is given out once and for all, so later numbers come with later kernels. The one
/// exception was reserved while the patches of zero-copy receive were still being reviewed.
#[test]
fn later_codes_come_with_later_kernels() {
    for table in [&OPERATIONS, &SETUP_FLAGS, &FEATURES, &ENTER_FLAGS, &ENTRY_FLAGS] {
        assert!(table.entries.is_sorted_by_key(|entry| entry.since), "{}", table.what);
    }
    let register = REGISTER_OPERATIONS.entries.iter();
    let register = register.filter(|entry| entry.name != "IORING_REGISTER_ZCRX_IFQ");
    assert!(register.is_sorted_by_key(|entry| entry.since));
}

/// How many of our names the header of each release has, counted in the headers themselves;
/// and how many of them are operations. (Without `IOSQE_`, which some copies of the headers
/// lack; and only of the first tables, which are as old as this count.)
#[test]
fn each_release_has_as_many_names_as_its_header() {
    let counted = [
        ("5.17", 98, 40),
        ("6.1", 139, 49),
        ("6.2", 140, 49),
        ("6.3", 143, 49),
        ("6.4", 145, 49),
        ("6.5", 147, 49),
        ("6.8", 162, 55),
        ("6.11", 172, 58),
        ("6.12", 179, 58),
        ("6.13", 188, 58),
        ("6.15", 196, 62),
        ("6.16", 197, 63),
        ("6.17", 200, 63),
        ("7.2", 214, 65),
        ("7.3", 214, 65),
    ];
    for (release, names, operations) in counted {
        let kernel = Kernel::parse(release).expect("a release");
        let by_then = |table: &&Table| table.entries.iter().filter(|e| e.since <= kernel).count();
        let counted = &TABLES[..25];
        let others = counted.iter().filter(|table| table.prefix != ENTRY_FLAGS.prefix);
        assert_eq!(others.map(by_then).sum::<usize>(), names, "names by Linux {release}");
        assert_eq!(by_then(&&OPERATIONS), operations, "operations by Linux {release}");
    }
}

/// What Linux 6.18 answered to `IORING_REGISTER_QUERY`.
#[test]
fn linux_6_18_has_what_it_said() {
    let kernel = Kernel { major: 6, minor: 18 };
    let codes = |table: &Table| table.entries.iter().filter(|entry| entry.since <= kernel).count();
    let bits = |table: &Table| {
        table.entries.iter().filter(|entry| entry.since <= kernel).map(|entry| entry.code).sum()
    };
    assert_eq!(codes(&OPERATIONS), 63);
    assert_eq!(codes(&REGISTER_OPERATIONS), 36);
    let masks: [u32; 4] =
        [bits(&FEATURES), bits(&SETUP_FLAGS), bits(&ENTER_FLAGS), bits(&ENTRY_FLAGS)];
    assert_eq!(masks, [0x3_ffff, 0x7_ffff, 0xff, 0x7f]);
}

#[test]
fn every_operation_is_in_a_group_that_is_printed() {
    let grouped: usize = OPERATION_GROUPS
        .iter()
        .map(|group| {
            let members = OPERATIONS.in_group(group).count();
            assert!(members > 1, "{group} has {members}");
            members
        })
        .sum();
    assert_eq!(grouped, OPERATIONS.entries.len());
}

#[test]
fn entries_are_found_by_code_and_by_either_name() {
    for table in all_tables() {
        for entry in table.entries {
            assert_eq!(table.get(entry.code), Some(entry));
            assert_eq!(table.by_name(entry.name), Some(entry));
            assert_eq!(table.by_name(entry.short), Some(entry));
            assert_eq!(table.code(entry.short), entry.code);
        }
        assert_eq!(table.by_name(""), None);
    }
}

#[test]
fn the_unknown_is_printed_as_a_number() {
    assert_eq!(OPERATIONS.name(77).to_string(), "operation 77");
    assert_eq!(format!("{:#}", OPERATIONS.name(u32::MAX)), "operation 4294967295");
    assert_eq!(SETUP_FLAGS.name(1 << 31).to_string(), "setup flag 0x80000000");
    assert_eq!(ENTRY_FLAGS.flags(0x11).to_string(), "IOSQE_FIXED_FILE | IOSQE_ASYNC");
    assert_eq!(format!("{:#}", ENTRY_FLAGS.flags(0x91)), "FIXED_FILE | ASYNC | 0x80");
    assert_eq!(ENTRY_FLAGS.flags(0x80).to_string(), "0x80");
    assert_eq!(ENTRY_FLAGS.flags(0).to_string(), "none");
}

#[test]
fn names_can_be_padded_to_a_column() {
    assert_eq!(format!("{:#8}|", OPERATIONS.name(0)), "NOP     |");
    assert_eq!(format!("{:#8}|", ENTRY_FLAGS.flags(16)), "ASYNC   |");
    assert_eq!(format!("{:>5}|", Kernel { major: 6, minor: 1 }), "  6.1|");
}

#[test]
fn a_completions_upper_half_is_a_buffer_only_if_it_says_so() {
    assert_eq!(completion_flags(0).to_string(), "none");
    assert_eq!(completion_flags(0x7_0003).to_string(), "IORING_CQE_F_BUFFER 7 | IORING_CQE_F_MORE");
    assert_eq!(format!("{:#}", completion_flags(0xffff_0005)), "BUFFER 65535 | SOCK_NONEMPTY");
    assert_eq!(format!("{:#}", completion_flags(0x0001)), "BUFFER 0");
    assert_eq!(format!("{:#}", completion_flags(0x1_0002)), "MORE | 0x10000");
    assert_eq!(format!("{:#}", completion_flags(0x1_0041)), "BUFFER 1 | 0x40");
    assert_eq!(buffer_id(0x7_0001), Some(7));
    assert_eq!(buffer_id(0x7_0002), None);
}

#[test]
fn a_register_call_can_name_the_ring_by_its_index() {
    assert_eq!(register_call(20).to_string(), "IORING_REGISTER_RING_FDS");
    let both = format!("{:#}", register_call(1 << 31 | 22));
    assert_eq!(both, "REGISTER_PBUF_RING | USE_REGISTERED_RING");
    assert_eq!(register_call(99).to_string(), "register operation 99");
}

#[test]
fn releases_are_read_from_what_uname_prints() {
    let kernel = |major, minor| Some(Kernel { major, minor });
    assert_eq!(Kernel::parse("6.1.0-50-cloud-amd64"), kernel(6, 1));
    assert_eq!(Kernel::parse("5.10.223"), kernel(5, 10));
    assert_eq!(Kernel::parse("7.3-rc7+"), kernel(7, 3));
    assert_eq!(Kernel::parse("6.18"), kernel(6, 18));
    for wrong in ["", "6", "6.", ".1", "unknown", "6-1", "256.1", "6.999999999999", "六.1"] {
        assert_eq!(Kernel::parse(wrong), None, "{wrong:?}");
    }
    assert!(kernel(5, 9) < kernel(5, 10) && kernel(5, 19) < kernel(6, 0));
    assert_eq!(kernel(5, 19).unwrap().to_string(), "5.19");
}

/// The bits that a printed list of flags stands for.
fn read_back(table: &Table, text: &str) -> u32 {
    if text == "none" {
        return 0;
    }
    text.split(" | ").fold(0, |bits, word| {
        let bit = match word.strip_prefix("0x") {
            Some(number) => u32::from_str_radix(number, 16).expect("a number"),
            None => table.by_name(word).expect("a name of the table").code,
        };
        assert_eq!(bits & bit, 0, "{word} twice in {text}");
        bits | bit
    })
}

proptest! {
    #[test]
    fn any_number_can_be_printed(bits: u32) {
        for table in all_tables() {
            prop_assert!(!table.name(bits).to_string().is_empty());
            let short = format!("{:#}", table.name(bits));
            prop_assert!(!short.is_empty());
        }
        prop_assert!(!completion_flags(bits).to_string().is_empty());
        prop_assert!(!register_call(bits).to_string().is_empty());
        prop_assert_eq!(buffer_id(bits).is_some(), bits % 2 == 1);
    }

    #[test]
    fn flags_name_exactly_the_bits_that_are_set(bits: u32) {
        for table in all_tables().filter(|table| table.kind == Kind::Flags) {
            prop_assert_eq!(read_back(table, &table.flags(bits).to_string()), bits);
            prop_assert_eq!(read_back(table, &format!("{:#}", table.flags(bits))), bits);
            let known: u32 = table.set_in(bits).map(|entry| entry.code).sum();
            prop_assert_eq!(known | table.unknown_in(bits), bits);
            prop_assert_eq!(known & table.unknown_in(bits), 0);
        }
    }

    #[test]
    fn any_text_can_be_read_as_a_release(text: String, major: u8, minor: u8) {
        let _ = Kernel::parse(&text);
        let release = format!("{major}.{minor}.3-generic");
        prop_assert_eq!(Kernel::parse(&release), Some(Kernel { major, minor }));
    }
}
