//! Clients of a learner's server, which explain failures from the client's side.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrStorage, bind, connect, setsockopt,
    socket, sockopt,
};

use crate::exercise::attempt::Attempt;
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::exercise::measure::rests;
use crate::exercise::record::Record;
use crate::exercise::run::Run;

use super::late_close;
use super::served::{need_no_slot_as_fd, of_requests};
use super::tokens::{another_slots, astray};

/// How long a client waits. Only a failure takes this long.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The rule that a server breaks when a client reads the end before its answer.
pub const EARLY_END: &str = "The server ended the connection before the client had the whole \
                             answer.";

/// How a connection ended.
#[derive(Debug)]
pub enum Ending {
    /// The server ended it.
    End,
    /// The connection broke, or nothing more came in time.
    Broken(io::Error),
    /// The client got more bytes than expected.
    More,
}

/// Runs the program as a server.
pub fn serve(attempt: &Attempt) -> Result<Run, Failure> {
    let mut run = attempt.run("The program was run.").patience(PATIENCE).start()?;
    run.listening()?;
    Ok(run)
}

/// Explains why a client's read or write failed, like [`Run::trouble`]. First waits for a program
/// that is about to end: its end says more than a reset.
pub fn trouble(run: &mut Run, did: &str, error: &io::Error) -> Failure {
    let silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    let deadline = Instant::now() + Duration::from_millis(if silent { 0 } else { 500 });
    while !run.ended() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut failure = run.trouble(did, error);
    if failure.id == ids::EXIT {
        failure.rule.push_str(" It must keep serving.");
    }
    match astray(&run.record()) {
        Some((kernel, rule)) if waits(&failure) => failure.kernel(kernel).rule(rule),
        _ => failure,
    }
}

/// Whether a failure only says that the program stands still.
pub fn waits(failure: &Failure) -> bool {
    [ids::NO_ANSWER, ids::HANG_WAIT, ids::HANG_IN_FLIGHT].contains(&failure.id)
}

/// A client with a small receive buffer, so that the server keeps the bytes that it does not read.
pub fn connect_narrow(run: &mut Run, receive: usize, send: usize) -> Result<TcpStream, Failure> {
    connect_with(run, |fd| {
        setsockopt(fd, sockopt::RcvBuf, &receive)?;
        setsockopt(fd, sockopt::SndBuf, &send)
    })
}

/// A client with an address of its own: all of 127.0.0.0/8 is this machine.
pub fn connect_from(run: &mut Run, address: Ipv4Addr) -> Result<TcpStream, Failure> {
    let address = SockaddrIn::from(SocketAddrV4::new(address, 0));
    connect_with(run, |fd| bind(fd.as_raw_fd(), &address))
}

/// A client whose socket gets options before it connects.
fn connect_with(
    run: &mut Run,
    ready: impl Fn(&OwnedFd) -> nix::Result<()>,
) -> Result<TcpStream, Failure> {
    let server = run.listening()?;
    let made = || -> io::Result<TcpStream> {
        let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        ready(&fd)?;
        connect(fd.as_raw_fd(), &SockaddrStorage::from(server))?;
        let stream = TcpStream::from(fd);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    made().map_err(|error| trouble(run, "A client connects.", &error))
}

/// Reads to the end of the connection, but no more than `most` bytes.
pub fn read_to_end(stream: &mut TcpStream, most: usize) -> (Vec<u8>, Ending) {
    let mut got = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (got, Ending::End),
            Ok(count) => got.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (got, Ending::Broken(error)),
        }
        if got.len() > most {
            return (got, Ending::More);
        }
    }
}

/// Sends all of it.
pub fn send(run: &mut Run, mut stream: &TcpStream, bytes: &[u8], did: &str) -> Result<(), Failure> {
    stream.write_all(bytes).map_err(|error| trouble(run, did, &error))
}

/// Sends bytes to a server that sends them back, and reads them.
pub fn echo(run: &mut Run, client: &TcpStream, bytes: &[u8], did: &str) -> Result<(), Failure> {
    send(run, client, bytes, did)?;
    expect(run, client, bytes, did)
}

/// Ends the client's side when the server sleeps, and expects the server to end its own side.
pub fn leaves(run: &mut Run, client: &TcpStream, did: &str) -> Result<(), Failure> {
    rests(run);
    client.shutdown(Shutdown::Write).map_err(|error| trouble(run, did, &error))?;
    expect_end(run, client, did)
}

/// This many bytes. Two chunks differ unless their distance is a multiple of 251 bytes.
pub fn pattern(length: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..251).collect();
    let mut bytes = period.repeat(length / period.len() + 1);
    bytes.truncate(length);
    bytes
}

/// Reads the available bytes. When its time is over, a client waits until the program is idle, and
/// looks once more, because a busy machine is slow.
fn read(run: &Run, mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let result = loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            run.settles();
            stream.set_nonblocking(true)?;
            let late = stream.read(buffer);
            stream.set_nonblocking(false)?;
            late.map_err(|_| error)
        }
        result => result,
    }
}

/// Reads exactly these bytes.
pub fn expect(
    run: &mut Run,
    stream: &TcpStream,
    expected: &[u8],
    did: &str,
) -> Result<(), Failure> {
    let mut got = vec![0; expected.len()];
    let mut len = 0;
    while len < got.len() {
        match read(run, stream, &mut got[len..]) {
            Ok(0) => {
                let error = io::Error::from(ErrorKind::UnexpectedEof);
                let mut failure = trouble(run, did, &error);
                if failure.id == ids::NO_ANSWER {
                    failure.id = if len > 0 { ids::LOST } else { ids::NO_ANSWER };
                    failure.rule = EARLY_END.to_string();
                }
                return Err(told(failure, len, expected.len()));
            }
            Ok(count) => {
                let new = len..len + count;
                len += count;
                if got[new.clone()] != expected[new] {
                    return Err(wrong_answer(run, &got[..len], expected, did));
                }
            }
            Err(error) => {
                let failure = trouble(run, did, &error);
                return Err(told(failure, len, expected.len()));
            }
        }
    }
    Ok(())
}

fn told(mut failure: Failure, got: usize, of: usize) -> Failure {
    failure.client = format!("{} This client got {got} of {of} bytes.", failure.client);
    failure
}

/// The failure of a client that got wrong bytes.
pub fn wrong_answer(run: &mut Run, got: &[u8], expected: &[u8], did: &str) -> Failure {
    run.did(did);
    let record = run.record();
    let at = got.iter().zip(expected).take_while(|(got, wanted)| got == wanted).count();
    let client = if expected.len() > 64 || got.len() > 64 {
        format!("{did} Byte {at} of the {} bytes is wrong.", got.len())
    } else {
        format!("{did} This client got {} instead of {}.", quoted(got), quoted(expected))
    };
    not_its_own(&record, client)
}

/// The failure of a client that got bytes it must not get.
fn not_its_own(record: &Record, client: String) -> Failure {
    let failure = Failure::new(ids::WRONG_ANSWER, client);
    match another_slots(record) {
        Some((kernel, rule)) => failure.kernel(kernel).rule(rule),
        None => failure.kernel(record.last_lines(of_requests)).rule(
            "A client must get the answer to its own request, and nothing else. If this answer \
             belongs to another client's request, look at the slot that the completion's \
             `user_data` names.",
        ),
    }
}

/// Bytes as a text in quotes.
pub fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

/// The server must end the connection now, without sending anything before.
pub fn expect_end(run: &mut Run, stream: &TcpStream, did: &str) -> Result<(), Failure> {
    let mut buffer = [0; 64];
    match read(run, stream, &mut buffer) {
        Ok(0) => Ok(()),
        Ok(count) => {
            let got = quoted(&buffer[..count]);
            let did = format!("{did} This client got {got}, but should only see the end.");
            Err(not_its_own(&run.record(), did))
        }
        Err(error) => {
            let failure = trouble(run, did, &error);
            if !waits(&failure) {
                return Err(failure);
            }
            need_no_slot_as_fd(&run.record())?;
            let failure = Failure { id: ids::NOT_CLOSED, ..failure }.rule(
                "The client waits for the end of its connection, but the server does not \
                       close it.",
            );
            Err(late_close::or_not_observed(failure, &run.record()))
        }
    }
}

/// The bytes that have arrived, or how the connection ended, without waiting. `None` if it is open
/// and silent.
pub fn glance(mut stream: &TcpStream) -> Option<String> {
    let _ = stream.set_nonblocking(true);
    let mut buffer = [0; 64];
    let seen = match stream.read(&mut buffer) {
        Ok(0) => Some("its end".to_string()),
        Ok(count) => Some(quoted(&buffer[..count])),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => Some(error.to_string()),
    };
    let _ = stream.set_nonblocking(false);
    seen
}

/// Stops the program (SIGSTOP), so that it then finds everything at once that clients do meanwhile.
pub fn pause(run: &Run) {
    run.signal(Signal::SIGSTOP);
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut stopped = 0;
    while stopped < 10 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(3));
        let stat = fs::read_to_string(format!("/proc/{}/stat", run.pid())).unwrap_or_default();
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        // Under a tracer a stopped process is in a tracing stop.
        stopped = if state.starts_with(['t', 'T']) { stopped + 1 } else { 0 };
    }
}

/// Continues the program (SIGCONT).
pub fn resume(run: &Run) {
    run.signal(Signal::SIGCONT);
}

/// Does something while the program is stopped, so that it then finds all of it at once.
pub fn at_once<T>(run: &mut Run, act: impl FnOnce(&mut Run) -> T) -> T {
    pause(run);
    let done = act(run);
    resume(run);
    done
}

/// Waits until the record satisfies `enough`. Returns whether it did in time.
pub fn seen(run: &Run, patience: Duration, shows: impl Fn(&Record) -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if shows(&run.record()) {
            return true;
        }
        if Instant::now() >= deadline || run.ended() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
