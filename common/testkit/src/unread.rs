//! A server whose output is not read for a while.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::PATIENCE;
use super::program::{cannot_start, exit_within, heed_stop_signals};
use super::server::listening;

/// A day that runs as a child process with `--json` and listens. After that line its output is not
/// read, and the pipe holds no more than a page. Dropping it kills it.
#[derive(Debug)]
pub struct Unread {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Unread {
    /// Starts `command` and reads one line.
    ///
    /// # Errors
    /// If it cannot be started, or says something else than where it listens.
    pub fn start(mut command: Command) -> Result<Unread> {
        heed_stop_signals(&mut command);
        command.stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| cannot_start(&command))?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        fcntl(&stdout, FcntlArg::F_SETPIPE_SZ(4096))?;
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        // From here on a failure drops the server, which ends the child.
        let mut server = Unread { child, stdout: BufReader::with_capacity(1, stdout), address };
        let mut line = String::new();
        server.stdout.read_line(&mut line)?;
        server.address = listening(&serde_json::from_str(&line)?)?;
        Ok(server)
    }

    /// A client's connection, whose reads give up after [`PATIENCE`].
    ///
    /// # Errors
    /// If the server does not take it.
    pub fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends it a signal and waits for its end, without reading its output.
    ///
    /// # Errors
    /// If it has not ended within [`PATIENCE`].
    pub fn stop(mut self, signal: Signal) -> Result<ExitStatus> {
        kill(Pid::from_raw(self.child.id() as i32), signal)?;
        exit_within(&mut self.child, PATIENCE)?.context("it still runs")
    }

    /// Sends it a signal and reads to the end: every event since it listened.
    ///
    /// # Errors
    /// If a line is not JSON, or it has not ended within [`PATIENCE`].
    pub fn stop_and_read(mut self, signal: Signal) -> Result<Vec<Value>> {
        kill(Pid::from_raw(self.child.id() as i32), signal)?;
        let mut said = String::new();
        self.stdout.read_to_string(&mut said)?;
        exit_within(&mut self.child, PATIENCE)?.context("it still runs")?;
        said.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // Both do nothing if it was reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
