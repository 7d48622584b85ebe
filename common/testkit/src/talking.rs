//! A running day that talks to people.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::program::{cannot_start, exit_within, heed_stop_signals};
use super::{EndedEarly, PATIENCE};

/// A day that runs as a child process without `--json` and listens. Dropping it kills it.
#[derive(Debug)]
pub struct Talking {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    address: SocketAddr,
    said: String,
}

/// How such a server ended, and what it printed.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit status.
    pub status: ExitStatus,
    /// Everything it printed, up to [`Talking::hang_up`] if that was called.
    pub stdout: String,
    /// What it printed to the standard error.
    pub stderr: String,
}

impl Talking {
    /// Starts `command` and reads its output until it listens.
    ///
    /// # Errors
    /// [`EndedEarly`] if it exits instead; another error if it cannot be started, or does not
    /// say within [`PATIENCE`] that it listens.
    pub fn start(mut command: Command) -> Result<Talking> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        heed_stop_signals(&mut command);
        let mut child = command.spawn().with_context(|| cannot_start(&command))?;
        let stdout = child.stdout.take().map(BufReader::new);
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Talking { child, stdout, address, said: String::new() };
        let line = match server.until("listening on ") {
            Ok(line) => line,
            Err(error) => match exit_within(&mut server.child, PATIENCE)? {
                Some(status) => {
                    return Err(EndedEarly { status, stderr: server.stderr()? }.into());
                }
                None => return Err(error),
            },
        };
        let address = line.trim_end().rsplit(' ').next().unwrap_or_default();
        server.address = address.parse().with_context(|| format!("no address: {line:?}"))?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
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

    /// Reads on until a line has `text`, and returns that line.
    ///
    /// # Errors
    /// If it ends without saying so, or says nothing more within [`PATIENCE`].
    pub fn until(&mut self, text: &str) -> Result<String> {
        loop {
            match self.line()? {
                Some(line) if line.contains(text) => return Ok(line),
                Some(_) => {}
                None => bail!("it ended without {text:?}:\n{}", self.said),
            }
        }
    }

    fn line(&mut self) -> Result<Option<String>> {
        let stdout = self.stdout.as_mut().context("its output is closed")?;
        if stdout.buffer().is_empty() {
            let mut fds = [PollFd::new(stdout.get_ref().as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, PollTimeout::try_from(PATIENCE)?)?;
            ensure!(ready > 0, "it said no more within {} s:\n{}", PATIENCE.as_secs(), self.said);
        }
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        self.said.push_str(&line);
        Ok((!line.is_empty()).then_some(line))
    }

    /// Closes our end of its standard output, as `| head -1` does when it has its line.
    pub fn hang_up(&mut self) {
        self.stdout = None;
    }

    /// Sends it a signal, reads on to its end, and waits for it.
    ///
    /// # Errors
    /// If it has not ended within [`PATIENCE`]; it is killed then.
    pub fn stop(mut self, signal: Signal) -> Result<Said> {
        // The child is reaped only here, so the id cannot be another process's.
        kill(Pid::from_raw(self.child.id() as i32), signal)?;
        while self.stdout.is_some() && self.line()?.is_some() {}
        let status = exit_within(&mut self.child, PATIENCE)?.context("it still runs")?;
        Ok(Said { status, stderr: self.stderr()?, stdout: std::mem::take(&mut self.said) })
    }

    /// Everything that an ended child wrote there. A server writes little, so its pipe never fills.
    fn stderr(&mut self) -> Result<String> {
        let mut stderr = String::new();
        self.child.stderr.take().context("it was read before")?.read_to_string(&mut stderr)?;
        Ok(stderr.trim_end().to_string())
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        // Both do nothing if it was reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    /// What it printed, fit for a snapshot: the address is `ADDRESS` or `IP PORT`, a slot
    /// (the kernel chooses which) is `slot S`, the number before each of the words `counts`
    /// is `N`, and lines that only some kernels need are left out.
    pub fn for_snapshot(&self, address: SocketAddr, counts: &[&str]) -> String {
        let (ip, port) = (address.ip(), address.port());
        let text = self.stdout.replace(&address.to_string(), "ADDRESS");
        let text = text.replace(&format!("{ip} {port}"), "IP PORT");
        // The message for some kernels, with its wrapped lines.
        let mut of_this_kernel = false;
        let lines = text.lines().filter(|line| {
            let begins = line.starts_with("this kernel refused") || line.starts_with("careful: ");
            of_this_kernel = begins || (of_this_kernel && line.starts_with("  "));
            !of_this_kernel
        });
        lines.map(|line| without_slots(&without_counts(line, counts)) + "\n").collect()
    }
}

fn without_slots(line: &str) -> String {
    let mut parts = line.split("slot ");
    let mut text = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        text.push_str(if rest.len() < part.len() { "slot S" } else { "slot " });
        text.push_str(rest);
    }
    text
}

fn without_counts(line: &str, counts: &[&str]) -> String {
    let mut line = line.to_string();
    for word in counts {
        let Some(at) = line.find(&format!(" {word}")) else { continue };
        let digits = line[..at].trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        line.replace_range(digits..at, "N");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_talking_server_is_heard_to_the_end() {
        let script = "trap 'echo bye; echo oops >&2; exit 3' INT; echo day 99; \
                      echo listening on 127.0.0.1:4; echo ready; while :; do sleep 0.01; done";
        let mut server = Talking::start(shell(script)).unwrap();
        assert_eq!(server.address(), "127.0.0.1:4".parse().unwrap());
        assert_eq!(server.until("read").unwrap(), "ready\n");
        let said = server.stop(Signal::SIGINT).unwrap();
        assert_eq!(said.status.code(), Some(3));
        assert_eq!(said.stdout, "day 99\nlistening on 127.0.0.1:4\nready\nbye\n");
        assert_eq!(said.stderr, "oops");
    }

    #[test]
    fn one_that_does_not_listen_is_quoted() {
        let error = Talking::start(shell("echo hm; echo no ring >&2; exit 1")).unwrap_err();
        let early = error.downcast_ref::<EndedEarly>().unwrap();
        assert_eq!((early.status.code(), early.stderr.as_str()), (Some(1), "no ring"));
    }

    #[test]
    fn a_server_may_be_left_alone() {
        let script = "trap 'exit 0' INT; echo listening on 127.0.0.1:4; \
                      while :; do sleep 0.01; done";
        let mut server = Talking::start(shell(script)).unwrap();
        server.hang_up();
        assert!(server.until("more").is_err());
        assert!(server.stop(Signal::SIGINT).unwrap().status.success());
    }

    #[test]
    fn a_snapshot_holds_nothing_of_the_moment() {
        let said = Said {
            status: ExitStatus::default(),
            stdout: "listening on 127.0.0.1:42\ncareful: old\ntry: nc 127.0.0.1 42\n\
                     in slot 17, slot of nobody\n3 clients; 17 system calls: 5.67 a request\n"
                .to_string(),
            stderr: String::new(),
        };
        assert_eq!(
            said.for_snapshot("127.0.0.1:42".parse().unwrap(), &["system calls", "a request"]),
            "listening on ADDRESS\ntry: nc IP PORT\nin slot S, slot of nobody\n\
             3 clients; N system calls: N a request\n"
        );
    }
}
