//! Plain system calls and register calls.

use std::io;

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::{Page, errno_of, means_unknown};
use crate::Row;
use crate::report::Kind;
use crate::shortage::Unexpected;

impl Page {
    /// Notes a plain system call or register call that must succeed.
    ///
    /// # Errors
    /// If it did not.
    pub fn call<T>(&mut self, asked: &str, result: Result<T, impl Into<io::Error>>) -> Result<T> {
        match result.map_err(Into::into) {
            Ok(value) => {
                self.report.rows.push(Row::new(Kind::Call, asked, "done"));
                Ok(value)
            }
            Err(error) => {
                let errno = errno_of(&error);
                self.call_row(asked, errno, None);
                let what = format!("{asked}: the kernel answered {errno:?} ({})", errno.desc());
                Err(Unexpected { errno: Some(errno), what }.into())
            }
        }
    }

    /// As [`Page::call`], for a newer kernel's feature. If this kernel does not know `name`
    /// (EINVAL, and its release is older), leaves it out and returns `None`.
    ///
    /// # Errors
    /// If the call failed otherwise.
    pub fn call_since<T>(
        &mut self,
        name: &str,
        asked: &str,
        result: Result<T, impl Into<io::Error>>,
    ) -> Result<Option<T>> {
        match result.map_err(Into::into) {
            Err(error) if means_unknown(errno_of(&error), name) => {
                self.lacks(name)?;
                Ok(None)
            }
            result => self.call(asked, result).map(Some),
        }
    }

    /// As [`Page::call`], for a call that must fail with this error, for this reason.
    ///
    /// # Errors
    /// If it did not.
    pub fn call_refused<T>(
        &mut self,
        asked: &str,
        result: Result<T, impl Into<io::Error>>,
        errno: Errno,
        why: &str,
    ) -> Result<()> {
        self.call_refused_by_one_of(asked, result, &[errno], why)
    }

    /// As [`Page::call_refused`], if kernels differ in the error: it must be one of these.
    ///
    /// # Errors
    /// If the call did not fail with one of them.
    pub fn call_refused_by_one_of<T>(
        &mut self,
        asked: &str,
        result: Result<T, impl Into<io::Error>>,
        errnos: &[Errno],
        why: &str,
    ) -> Result<()> {
        let names: Vec<String> = errnos.iter().map(|errno| format!("{errno:?}")).collect();
        let expected = names.join(" or ");
        let Err(error) = result.map_err(Into::into) else {
            bail!("{asked}: the call succeeded; expected was {expected} ({why})")
        };
        let got = errno_of(&error);
        let is_expected = errnos.contains(&got);
        self.call_row(asked, got, is_expected.then_some(why));
        if is_expected {
            return Ok(());
        }
        let what = format!("{asked}: the kernel answered {got:?}; expected was {expected} ({why})");
        Err(Unexpected { errno: Some(got), what }.into())
    }

    fn call_row(&mut self, asked: &str, errno: Errno, why: Option<&str>) {
        let row = Row::new(Kind::Call, asked, format!("{errno:?}"));
        let errno = Some(format!("{errno:?}"));
        self.report.rows.push(Row { errno, why: why.map(str::to_string), ..row });
    }
}
