//! The tables against a kernel header: by default the one of the machine, or the one that
//! `IO_URING_HEADER` names, to update the tables from a newer one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// Names that begin like ours and are no single code or bit.
const NOT_OURS: [&str; 12] = [
    "IORING_OP_LAST",
    "IORING_REGISTER_LAST",
    "IORING_RESTRICTION_LAST",
    "IORING_MOCK_FEAT_END",
    "IORING_TIMEOUT_CLOCK_MASK",
    "IORING_TIMEOUT_UPDATE_MASK",
    "IORING_URING_CMD_MASK",
    "IORING_CQE_BUFFER_SHIFT",
    "IORING_OFF_PBUF_SHIFT",
    "IORING_OFF_MMAP_MASK",
    "IORING_ZCRX_AREA_SHIFT",
    // Kept inside the kernel by Linux 5.19 to 6.5.
    "IORING_URING_CMD_POLLED",
];

/// How the names of our tables begin. The bare `IORING_` of two tables is spelled out, or it
/// would claim every other constant of the header.
fn prefixes() -> BTreeSet<&'static str> {
    let spelled_out = ["IORING_UNREGISTER_", "IORING_RECV", "IORING_SEND_", "IORING_LINK_TIMEOUT_"];
    let ours = TABLES.iter().map(|table| table.prefix).filter(|prefix| *prefix != "IORING_");
    ours.chain(spelled_out).collect()
}

/// The named integers of a header: the members of its enums, and its single-number defines.
fn constants(header: &str) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut next = None;
    for line in without_comments(header).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["enum", .., "{"] => next = Some(0),
            ["}", ..] | ["};", ..] => next = None,
            ["#define", name, ..] => {
                let value = line.split_once(name).map(|(_, value)| value);
                if let Some(value) = value.and_then(|value| number(value, &found)) {
                    found.insert(name.to_owned(), value);
                }
            }
            [_, ..] => {
                let Some(counted) = next else { continue };
                let (name, given) = line.split_once('=').unwrap_or((line, ""));
                let value = number(given.trim_end_matches([',', ' ']), &found).unwrap_or(counted);
                found.insert(name.trim().trim_end_matches(',').to_owned(), value);
                next = Some(value.wrapping_add(1));
            }
            [] => {}
        }
    }
    found
}

/// `3`, `1U << 4`, `(1U << NAME)`, `((type)1)`, `(-2)`, `(~0U)`; `None` for anything else.
fn number(text: &str, known: &BTreeMap<String, u32>) -> Option<u32> {
    let text = text.trim().trim_start_matches('(').trim_end_matches(')');
    // A cast, such as `(__kernel_rwf_t)0x8`.
    let text = text.rsplit(')').next().unwrap_or(text);
    let one = |word: &str| {
        let word = word.trim();
        let digits = word.trim_end_matches(['U', 'L']);
        let hex = digits.strip_prefix("0x").map(|hex| u32::from_str_radix(hex, 16).ok());
        known.get(word).copied().or(hex.unwrap_or_else(|| digits.parse().ok()))
    };
    if let Some(text) = text.strip_prefix('-') {
        return one(text).map(u32::wrapping_neg);
    }
    if let Some(text) = text.strip_prefix('~') {
        return one(text).map(|value| !value);
    }
    match text.split_once("<<") {
        Some((left, right)) => one(left)?.checked_shl(one(right)?),
        None => one(text),
    }
}

fn without_comments(header: &str) -> String {
    let mut pieces = header.split("/*");
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        kept.push_str(piece.split_once("*/").map_or("", |(_, after)| after));
    }
    kept
}

/// The path of `io_uring.h`, and its text with that of the headers in `io_uring/` beside it.
fn header() -> Option<(PathBuf, String)> {
    let path = std::env::var_os("IO_URING_HEADER")
        .map_or_else(|| "/usr/include/linux/io_uring.h".into(), PathBuf::from);
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("skipped: {} cannot be read: {error}", path.display());
            return None;
        }
    };
    // Since 6.18; there is nothing to read before.
    for more in fs::read_dir(path.with_extension("")).into_iter().flatten().flatten() {
        text += &fs::read_to_string(more.path()).expect("a header");
    }
    Some((path, text))
}

/// The release of a header: `version.h` lies beside it.
fn release(header: &Path) -> Option<Kernel> {
    let version = fs::read_to_string(header.with_file_name("version.h")).ok()?;
    let code = *constants(&version).get("LINUX_VERSION_CODE")?;
    Some(Kernel { major: (code >> 16) as u8, minor: (code >> 8) as u8 })
}

#[test]
fn every_name_of_the_header_is_in_the_catalogue() {
    let Some((path, header)) = header() else { return };
    let ours: BTreeMap<&str, u32> = TABLES
        .iter()
        .flat_map(|table| table.entries)
        .map(|entry| (entry.name, entry.code))
        .collect();
    let prefixes = prefixes();
    let theirs: Vec<(String, u32)> = constants(&header)
        .into_iter()
        .filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .filter(|(name, _)| !NOT_OURS.contains(&name.as_str()))
        .filter(|(name, _)| !name.ends_with("_BIT"))
        .collect();
    assert!(theirs.len() > 80, "{} has only {} names", path.display(), theirs.len());
    for (name, value) in theirs {
        assert_eq!(ours.get(name.as_str()), Some(&value), "{name} of {}", path.display());
    }
}

/// The header may have more names: a stable kernel can have more than its number says.
#[test]
fn the_header_has_what_its_release_is_said_to_have() {
    let Some((path, header)) = header() else { return };
    let Some(release) = release(&path) else {
        eprintln!("skipped: no version.h beside {}", path.display());
        return;
    };
    let theirs = constants(&header);
    for entry in TABLES.iter().flat_map(|table| table.entries) {
        if entry.since <= release {
            assert!(theirs.contains_key(entry.name), "{} in Linux {release}", entry.name);
        }
    }
}

/// Names that no header here has are newer than it, or of the C library's own headers.
#[test]
fn borrowed_names_have_the_values_of_their_headers() {
    let headers = [
        "linux/fs.h",
        "linux/falloc.h",
        "linux/fcntl.h",
        "linux/openat2.h",
        "linux/fadvise.h",
        "asm-generic/mman-common.h",
        "linux/xattr.h",
        "linux/eventpoll.h",
        "linux/wait.h",
        "linux/futex.h",
        "linux/net.h",
    ];
    let mut compared = 0;
    for name in headers {
        let Ok(header) = fs::read_to_string(Path::new("/usr/include").join(name)) else {
            eprintln!("skipped: there is no {name}");
            continue;
        };
        let theirs = constants(&header);
        for entry in borrowed::BORROWED.iter().flat_map(|table| table.entries) {
            if let Some(value) = theirs.get(entry.name) {
                assert_eq!(*value, entry.code, "{} of {name}", entry.name);
                compared += 1;
            }
        }
    }
    assert!(compared > 50 || !Path::new("/usr/include/linux/fs.h").exists(), "only {compared}");
}

#[test]
fn a_header_is_read_as_a_compiler_would() {
    let text = "#define A (1U << 3) /* a,\n = 9 */\n#define SHIFT 5\n#define B ((type)0x10ULL)\n\
        enum {\n\tFIRST,\n\tSECOND = 7, /* x */\n\n\tTHIRD,\n\tHIGH = 1U << 31\n};\n\
        #define C (1U << SHIFT)\nstruct s {\n\t__u32 field;\n};\n#define D (A | B)\n\
        #define SKIP (-2)\n#define ANY (~0U)\n";
    let wanted = [
        ("A", 8),
        ("ANY", u32::MAX),
        ("B", 16),
        ("C", 32),
        ("FIRST", 0),
        ("HIGH", 1 << 31),
        ("SECOND", 7),
        ("SHIFT", 5),
        ("SKIP", u32::MAX - 1),
        ("THIRD", 8),
    ];
    let wanted = wanted.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(constants(text), BTreeMap::from(wanted));
}
