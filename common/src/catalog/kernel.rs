//! Kernel releases, as far as the catalogue needs them.

use std::fmt;

/// A kernel release: the first two numbers of what `uname -r` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kernel {
    /// The 6 of 6.18.
    pub major: u8,
    /// The 18 of 6.18.
    pub minor: u8,
}

impl Kernel {
    /// Reads a release such as `6.1.0-50-cloud-amd64` or `7.3-rc7`; `None` if it does not
    /// begin with two numbers.
    pub const fn parse(release: &str) -> Option<Kernel> {
        let bytes = release.as_bytes();
        let Some((major, end)) = number(bytes, 0) else { return None };
        if end == bytes.len() || bytes[end] != b'.' {
            return None;
        }
        match number(bytes, end + 1) {
            Some((minor, _)) => Some(Kernel { major, minor }),
            None => None,
        }
    }
}

/// The decimal number at `at`, and where it ends. A `const fn`, so that the tables can be
/// written with "5.19" and a misprint does not compile.
const fn number(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let mut value: u8 = 0;
    let mut end = at;
    while end < bytes.len() && bytes[end].is_ascii_digit() {
        let Some(tens) = value.checked_mul(10) else { return None };
        let Some(sum) = tens.checked_add(bytes[end] - b'0') else { return None };
        value = sum;
        end += 1;
    }
    if end == at { None } else { Some((value, end)) }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.major, self.minor))
    }
}
