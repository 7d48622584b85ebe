//! Compiles with the oldest Rust that works: Debian 13's, which many classrooms have.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use toolbox::output::say;

use toolbox::debian::{Apt, Archive};

/// The suite whose `rustc` is the oldest that works.
const SUITE: &str = "trixie";

/// Compiles everything but the book with Debian's compiler.
pub fn check(workspace: &Path) -> Result<bool> {
    let target = workspace.join("target/oldest-rust");
    let compiler = compiler(&target)?;
    let version = Command::new(&compiler).arg("--version").output();
    let version = version.with_context(|| format!("starting {}", compiler.display()))?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_string();
    let declared = env!("CARGO_PKG_RUST_VERSION");
    ensure!(
        version.starts_with(&format!("rustc {declared}.")),
        "Debian's {SUITE} has {version:?}, and Cargo.toml declares Rust {declared}"
    );
    say(&format!("compiling with {version}"))?;
    let mut cargo = Command::new("cargo");
    cargo
        // mdBook needs a newer Rust.
        .args(["check", "--locked", "--all-targets", "--workspace", "--exclude", "book"])
        .arg("--target-dir")
        .arg(target.join("target"));
    let status = cargo.env("RUSTC", &compiler).current_dir(workspace).status();
    Ok(status.context("starting cargo")?.success())
}

/// The compiler, fetched if it is not here yet.
fn compiler(target: &Path) -> Result<PathBuf> {
    let compiler = target.join("rustc");
    if compiler.is_file() {
        return Ok(compiler);
    }
    let archive = Archive::find(
        "the oldest Rust that works is fetched from Debian's archive",
        "run this on Debian, or install that Rust and run: cargo +1.85 check --workspace \
         --exclude book --all-targets",
    )?;
    say(&format!("fetching rustc from Debian's {SUITE}"))?;
    let apt = Apt::new(&archive.sources(&[SUITE]), &target.join("apt"))?;
    let update = apt.run("apt-get", &["--quiet", "update"])?;
    ensure!(update.succeeded, "apt cannot read {SUITE}: {}", update.errors());
    let root = target.join("root");
    fs::rename(apt.unpack_with_dependencies(&["rustc"])?, &root)?;
    fs::remove_dir_all(target.join("apt"))?;
    // It runs with its own C library, so this machine's does not matter.
    let script = format!(
        "#!/bin/sh\nexec '{root}/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2' --library-path \
         '{root}/usr/lib/x86_64-linux-gnu' '{root}/usr/bin/rustc' --sysroot '{root}/usr' \"$@\"\n",
        root = root.display()
    );
    // Move it last: it shows that everything is here.
    let new = target.join("rustc.new");
    fs::write(&new, script).with_context(|| format!("writing {}", new.display()))?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    fs::rename(&new, &compiler)?;
    Ok(compiler)
}
