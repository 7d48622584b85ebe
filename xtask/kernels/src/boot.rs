//! Boots one kernel under qemu's emulation and waits for its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use atlas::nvme::SERIAL;
use common::environment::Refusal;

use super::console::Console;

const QEMU: &str = "qemu-system-x86_64";

/// All CPU features that the emulator has, except an instruction that it emulates wrongly: after a
/// 16-byte compare and exchange the flags were off (qemu 7.2), and one boot of Linux 6.12 in four
/// panicked, each time elsewhere. A kernel that finds no such instruction uses other code.
const CPU: &str = "max,cx16=off";

/// The result of a boot, as far as the console shows it.
pub struct Boot {
    /// What came over the console.
    pub console: Console,
    /// Why the boot did not finish, if so.
    pub trouble: Option<String>,
    /// The kernel panicked. With two CPUs the emulator can run code that the kernel has just
    /// replaced, which is no fault of the kernel.
    pub panicked: bool,
}

/// Says what to install if there is no emulator.
///
/// # Errors
/// A [`Refusal`].
pub fn look_for_qemu() -> Result<()> {
    let asked = Command::new(QEMU).arg("--version").stdout(Stdio::null()).status();
    if asked.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(Refusal {
        what: format!("{QEMU} is not installed, or does not start"),
        why: "the kernels are booted under its emulation".to_string(),
        remedy: "sudo apt-get install qemu-system-x86 (Fedora: dnf install qemu-system-x86-core)"
            .to_string(),
    }
    .into())
}

/// Boots `image` with `initramfs`, and with an NVMe disk in files whose names begin with `disk`. It
/// must end within `deadline`. The console goes to `log`, where it can be read afterwards.
///
/// # Errors
/// If the log cannot be written. A kernel that fails is not an error but [`Boot::trouble`].
pub fn boot(
    image: &Path,
    initramfs: &Path,
    disk: Option<&Path>,
    log: &Path,
    deadline: Duration,
) -> Result<Boot> {
    let output = File::create(log).with_context(|| format!("writing {}", log.display()))?;
    let mut emulator = Command::new(QEMU);
    emulator
        // Emulation needs no rights and no hardware, and is the same everywhere.
        .args(["-accel", "tcg", "-cpu", CPU, "-smp", "2", "-m", "1024"])
        .args(["-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio"])
        // The emulator ends when the kernel ends.
        .arg("-no-reboot")
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", COMMAND_LINE])
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output);
    if let Some(disk) = disk {
        attach(&mut emulator, disk)?;
    }
    testkit::die_with_parent(&mut emulator);
    let ended = testkit::output_within(emulator, deadline).map(|output| output.status);
    let console = Console::read(&fs::read(log)?);
    let trouble = trouble(&console, &ended, log);
    let panicked = console.panic().is_some();
    Ok(Boot { console, trouble, panicked })
}

/// An NVMe disk in two parts (namespaces): one of blocks that the atlas reads and writes by its own
/// commands, and one that holds the scratch files, if this machine can format it.
fn attach(emulator: &mut Command, disk: &Path) -> Result<()> {
    emulator.args(["-device", &format!("nvme,serial={SERIAL}")]);
    for (part, is_formatted, size) in [("blocks", false, BLOCKS), ("files", true, FILES)] {
        let path = disk.with_extension(part);
        let made = File::create(&path).and_then(|file| file.set_len(size));
        made.with_context(|| format!("writing {}", path.display()))?;
        if is_formatted && !format(&path) {
            continue;
        }
        let file = path.display().to_string().replace(',', ",,");
        let drive = format!("file={file},format=raw,if=none,discard=unmap,id={part}");
        emulator.args(["-drive", &drive, "-device", &format!("nvme-ns,drive={part}")]);
    }
    Ok(())
}

/// How large the parts of the disk are. They take only as much room as is written to them.
const BLOCKS: u64 = 32 << 20;
const FILES: u64 = 1 << 30;

const MKFS: &str = "/usr/sbin/mkfs.ext4";

/// Says what to install if the disk cannot be formatted: answers about files are those of an ext4.
///
/// # Errors
/// A [`Refusal`].
pub fn look_for_mkfs() -> Result<()> {
    if Path::new(MKFS).exists() {
        return Ok(());
    }
    Err(Refusal {
        what: format!("there is no {MKFS}"),
        why: "the answers about files are recorded on an ext4".to_string(),
        remedy: "sudo apt-get install e2fsprogs, or leave --answers out".to_string(),
    }
    .into())
}

/// Makes an ext4 in a file. Without mkfs.ext4 the scratch files stay in memory, and the atlas leaves
/// out what a file system there cannot do.
fn format(file: &Path) -> bool {
    let mut mkfs = Command::new(MKFS);
    mkfs.args(["-q", "-F"]).arg(file).stdin(Stdio::null());
    mkfs.status().is_ok_and(|status| status.success())
}

/// `rdinit` names the program that the kernel starts as its first process; `--` ends the kernel's
/// own arguments; `panic=-1` means restart at once; `nvme.poll_queues` are queues of a disk that
/// io_uring can
/// poll (`IORING_SETUP_IOPOLL`); `fuse.enable_uring` lets file systems use rings. Source: the kernel's
/// `Documentation/admin-guide/kernel-parameters.rst`.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 nvme.poll_queues=2 fuse.enable_uring=1 \
                            rdinit=/kernels -- --inside";

/// Says what went wrong. A panic comes first, since it explains the rest.
fn trouble(console: &Console, ended: &Result<ExitStatus>, log: &Path) -> Option<String> {
    let what = if let Some(panic) = console.panic() {
        format!("the kernel panicked: {panic}")
    } else if console.is_complete() {
        return None;
    } else {
        match ended {
            Err(error) => format!("the boot failed: {error:#}"),
            Ok(status) if status.success() => "it ended before all was reported".to_string(),
            Ok(status) => format!("the emulator failed: {}", testkit::in_words(*status)),
        }
    };
    Some(format!("{what}; its last words (all are in {}):{}", log.display(), console.tail()))
}

/// Where the console of a kernel is kept.
pub fn log_of(cache: &Path, name: &str) -> PathBuf {
    cache.join(format!("{name}.log"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use anyhow::anyhow;

    use super::*;
    use crate::console::{Message, line};

    fn told(console: &str, ended: Result<i32>) -> String {
        let console = Console::read(console.as_bytes());
        let ended = ended.map(|code| ExitStatus::from_raw(code << 8));
        trouble(&console, &ended, Path::new("6.1.log")).unwrap_or_default()
    }

    #[test]
    fn a_boot_that_reported_all_is_no_trouble() {
        assert_eq!(told(&line(&Message::Done), Ok(0)), "");
    }

    #[test]
    fn a_panic_is_told_even_after_a_report() {
        let console =
            line(&Message::Done) + "[ 1.0] Kernel panic - not syncing: Attempted to kill init!";
        let told = told(&console, Ok(0));
        assert!(
            told.starts_with("the kernel panicked: not syncing: Attempted to kill init!"),
            "{told}"
        );
    }

    #[test]
    fn an_end_too_early_or_too_late_is_told_with_the_last_words() {
        let late = told("unpacking\n", Err(anyhow!("it still runs after 9 s")));
        assert!(late.starts_with("the boot failed: it still runs after 9 s; its last"), "{late}");
        assert!(late.contains("6.1.log") && late.ends_with("\n    unpacking"), "{late}");
        let early = told("", Ok(0));
        assert!(early.starts_with("it ended before all was reported"), "{early}");
        assert!(early.ends_with("\n    none"), "{early}");
        let failed = told("qemu: could not load kernel", Ok(1));
        assert!(failed.starts_with("the emulator failed: exit status 1"), "{failed}");
    }
}
