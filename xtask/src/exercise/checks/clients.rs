//! Being the client of a learner's server, and saying in its terms what went wrong.

use std::collections::BTreeMap;
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
use crate::exercise::cost::rests;
use crate::exercise::failure::Failure;
use crate::exercise::hang;
use crate::exercise::ids;
use crate::exercise::record::Record;
use crate::exercise::run::Run;
use crate::trace::event::{Complete, Submit, What};
use crate::trace::watch::OtherCall;

use super::late_close;
use super::tokens::{another_slots, astray};

/// How long a client waits. Only a failure takes that long.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The rule that a server breaks when a client reads the end before its answer.
pub const EARLY_END: &str = "The server ended the connection before the whole answer was there.";

/// How a connection ended.
#[derive(Debug)]
pub enum Ending {
    /// The server ended it.
    End,
    /// It broke, or nothing more came in time.
    Broken(io::Error),
    /// More bytes than were expected came.
    More,
}

/// Runs the program as a server.
pub fn serve(attempt: &Attempt) -> Result<Run, Failure> {
    let mut run = attempt.run("The program was run.").patience(PATIENCE).start()?;
    run.listening()?;
    Ok(run)
}

/// What it means that a client's read or write failed, as [`Run::trouble`] has it. A program
/// that is about to end is given the time to do so: its end says more than a reset.
pub fn trouble(run: &mut Run, did: &str, error: &io::Error) -> Failure {
    let silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    let deadline = Instant::now() + Duration::from_millis(if silent { 0 } else { 500 });
    while !run.ended() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut failure = run.trouble(did, error);
    if failure.id == ids::EXIT {
        failure.rule.push_str(" It was to go on serving.");
    }
    match astray(&run.record()) {
        Some((kernel, rule)) if waits(&failure) => failure.kernel(kernel).rule(rule),
        _ => failure,
    }
}

/// Whether a failure says that the program stands still, and no more.
pub fn waits(failure: &Failure) -> bool {
    [ids::NO_ANSWER, ids::HANG_WAIT, ids::HANG_IN_FLIGHT].contains(&failure.id)
}

/// A client whose socket holds little: what it does not read stays with the server.
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

/// A client whose socket is made ready before it connects.
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

/// A client that has said and heard everything ends its side when the server sleeps, which then ends
/// its own.
pub fn leaves(run: &mut Run, client: &TcpStream, did: &str) -> Result<(), Failure> {
    rests(run);
    client.shutdown(Shutdown::Write).map_err(|error| trouble(run, did, &error))?;
    expect_end(run, client, did)
}

/// So many bytes, of which no two chunks are alike unless 251 bytes or a multiple lie between them.
pub fn pattern(length: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..251).collect();
    let mut bytes = period.repeat(length / period.len() + 1);
    bytes.truncate(length);
    bytes
}

/// Reads what there is. A client whose patience is over waits until the program has done what there
/// is to do, and looks once more: a busy machine is slow.
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

/// A client got other bytes than it should.
pub fn wrong_answer(run: &mut Run, got: &[u8], expected: &[u8], did: &str) -> Failure {
    run.did(did);
    let record = run.record();
    let at = got.iter().zip(expected).take_while(|(got, wanted)| got == wanted).count();
    let client = if expected.len() > 64 || got.len() > 64 {
        format!("{did} Byte {at} of the {} that came is another than it should be.", got.len())
    } else {
        format!("{did} This client got {} instead of {}.", quoted(got), quoted(expected))
    };
    not_its_own(&record, client)
}

/// A client got what it should not have got.
fn not_its_own(record: &Record, client: String) -> Failure {
    let failure = Failure::new(ids::WRONG_ANSWER, client);
    match another_slots(record) {
        Some((kernel, rule)) => failure.kernel(kernel).rule(rule),
        None => failure.kernel(record.last_lines(of_requests)).rule(
            "A client gets the answer to its own request, and nothing else. If this one belongs \
             to another slot's request: which slot does the completion's `user_data` name?",
        ),
    }
}

/// Bytes as a text in quotes.
pub fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

/// The server ends the connection now, and sends nothing before that.
pub fn expect_end(run: &mut Run, stream: &TcpStream, did: &str) -> Result<(), Failure> {
    let mut buffer = [0; 64];
    match read(run, stream, &mut buffer) {
        Ok(0) => Ok(()),
        Ok(count) => {
            let got = quoted(&buffer[..count]);
            let did = format!("{did} This client got {got} where only the end was due.");
            Err(not_its_own(&run.record(), did))
        }
        Err(error) => {
            let failure = trouble(run, did, &error);
            if !waits(&failure) {
                return Err(failure);
            }
            need_no_slot_as_fd(&run.record())?;
            let failure = Failure { id: ids::NOT_CLOSED, ..failure }
                .rule("The client waits for the end of the connection, and it does not come.");
            Err(late_close::or_not_observed(failure, &run.record()))
        }
    }
}

/// What arrives, or how it ended, without waiting; `None` if the connection is there and
/// silent.
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

/// Stops the program (SIGSTOP): what clients do meanwhile, it finds all at once.
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

/// Lets it go on.
pub fn resume(run: &Run) {
    run.signal(Signal::SIGCONT);
}

/// Does something while the program is stopped: it finds all of that at once.
pub fn at_once<T>(run: &mut Run, act: impl FnOnce(&mut Run) -> T) -> T {
    pause(run);
    let done = act(run);
    resume(run);
    done
}

/// Waits until the record shows it; whether it did in time.
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

/// Whether an event is about clients: an entry, a completion, or the wait for one.
pub fn of_requests(what: &What) -> bool {
    matches!(what, What::Submit(_) | What::Complete(_) | What::Enter(_))
}

/// Picks the entries and completions of some operations.
pub fn of_ops<'a>(ops: &'a [&'a str]) -> impl Fn(&What) -> bool + 'a {
    move |what| match what {
        What::Submit(submit) => ops.contains(&submit.op.as_str()),
        What::Complete(complete) => complete.op.as_deref().is_some_and(|op| ops.contains(&op)),
        _ => false,
    }
}

/// Whether an entry is a multishot.
pub fn multishot(submit: &Submit) -> bool {
    submit.details.contains_key("multishot")
}

/// Whether an accept puts its client into a slot.
pub fn into_slot(submit: &Submit) -> bool {
    submit.details.contains_key("into_slot")
}

/// Whether a completion brought a client.
pub fn brought(complete: &&Complete) -> bool {
    complete.op.as_deref() == Some("ACCEPT") && complete.res >= 0
}

/// The number that a detail holds.
pub fn number(submit: &Submit, key: &str) -> Option<u64> {
    submit.details.get(key).and_then(serde_json::Value::as_u64)
}

/// Clients go into slots, and stay there: no plain accept, neither as a call nor as an entry, no
/// descriptor made of a slot, and nothing is sent or received beside the ring.
pub fn need_slots(record: &Record) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_no_plain(&["accept", "accept4", "connect"])?;
    need_no_talk(record)?;
    if !record.submitted("FIXED_FD_INSTALL").is_empty() {
        return Err(record
            .fail(ids::DESCRIPTOR)
            .kernel(record.lines(of_ops(&["FIXED_FD_INSTALL"])))
            .rule(
                "FIXED_FD_INSTALL makes a descriptor of what is in a slot. A client has no \
                 descriptor here: an operation takes the slot itself, `types::Fixed(slot)`.",
            ));
    }
    if record.submitted("ACCEPT").iter().all(|accept| into_slot(accept)) {
        return Ok(());
    }
    Err(record.fail(ids::DESCRIPTOR).kernel(record.lines(of_ops(&["ACCEPT"]))).rule(
        "This accept makes a descriptor for every client. A file index \
             (`allocate_file_index`, or `file_index` with an auto target) puts the client into a \
             slot of the registered table.",
    ))
}

/// The number of a client's slot was never taken for a descriptor's: neither in a call nor in an
/// entry.
pub fn need_no_slot_as_fd(record: &Record) -> Result<(), Failure> {
    let slots: Vec<u64> = record.slots_of_clients().into_iter().map(u64::from).collect();
    let calls = record.plain_calls(&["close", "shutdown"]);
    let by_call = calls.iter().find(|call| slots.contains(&call.args[0]));
    let by_fd = |it: &&Submit| {
        ["CLOSE", "SHUTDOWN"].contains(&it.op.as_str())
            && number(it, "fd").is_some_and(|fd| slots.contains(&fd))
    };
    let by_entry = record.submits().find(by_fd);
    let Some(what) = by_call
        .map(|call| format!("system call {}({})", call.name, call.args[0]))
        .or_else(|| by_entry.map(|it| format!("{} {}", it.op, it.words)))
    else {
        return Ok(());
    };
    let mut kernel =
        record.lines_at_most(1, |what| matches!(what, What::Complete(it) if brought(&it)));
    kernel.push(what);
    Err(record.fail(ids::SLOT_AS_FD).kernel(kernel).rule(
        "A slot's number is no descriptor: this closes whatever file the process has open under \
         that number (0 is its standard input), and the client in the slot notices nothing. A slot \
         is closed by the ring: `opcode::Close` on `types::Fixed`.",
    ))
}

/// Nothing is sent or received by plain calls, whatever descriptor they use.
pub fn need_no_talk(record: &Record) -> Result<(), Failure> {
    let calls = record.plain_talk();
    let Some(call) = calls.first() else { return Ok(()) };
    let count = calls.len();
    let first = format!("system calls on connections: {count}; first {}", called(call));
    Err(record
        .fail(ids::NOT_THROUGH_RING)
        .kernel(record.lines_at_most(2, of_ops(&["FIXED_FD_INSTALL"])).into_iter().chain([first]))
        .rule(format!(
            "{}(2) moves bytes of a connection as a system call of its own. This is to go through \
             the ring, as an entry.",
            call.name
        )))
}

fn called(call: &OtherCall) -> String {
    format!("{}, fd {}", call.name, call.args[0] as i32)
}

/// As many clients as these came by accepts of the ring, and entries sent them at least these
/// bytes: what a client got, no plain call sent. In a ring that a kernel thread polls some of it
/// may have gone by unseen.
///
/// # Errors
/// `E-NOT-THROUGH-RING`.
pub fn need_served(record: &Record, clients: usize, bytes: u64) -> Result<(), Failure> {
    let served = record.served();
    let sent: u64 = served.iter().map(|client| client.sent).sum();
    let unseen = record.summary.unseen_entries + record.summary.unseen_completions;
    // What was not seen may also have been taken for another entry's of the same `user_data`.
    let part = |all: u64| if record.summary.polled { all - all / 10 } else { all };
    if (served.len() as u64 >= part(clients as u64) && sent >= part(bytes)) || unseen > 0 {
        return Ok(());
    }
    let told = [
        format!("clients: {clients}; accepted by the ring: {}", served.len()),
        format!("bytes that they got: {bytes}; sent by entries: {sent}"),
    ];
    Err(record.fail(ids::NOT_THROUGH_RING).kernel(told).rule(
        "The ring was to let every client in, and to send all that a client gets. Here the \
         completions do not account for it.",
    ))
}

/// The sizes with which tables of slots were registered.
fn tables(record: &Record) -> impl Iterator<Item = u64> {
    record
        .registers()
        .filter(|register| register.op == "REGISTER_FILES" || register.op == "REGISTER_FILES2")
        .filter_map(|register| register.detail.split(' ').next()?.parse().ok())
}

/// The table is as large as given.
pub fn need_table(record: &Record, slots: u64) -> Result<(), Failure> {
    match tables(record).find(|asked| *asked != slots) {
        Some(_) => Err(record
            .fail(ids::AS_GIVEN)
            .kernel(record.lines(|what| matches!(what, What::Register(_))))
            .rule(format!(
                "The table has {slots} slots in this task, and was to stay so; with another size \
                 what it is about does not happen."
            ))),
        _ => Ok(()),
    }
}

/// With nothing to do the program sleeps in the kernel, in the wait for completions: it
/// neither burns CPU time nor looks again and again. What it still has to do is waited for.
pub fn sleeps(run: &mut Run) -> Result<(), Failure> {
    sleeps_but_for(run, 100)
}

/// As [`sleeps`], but for so many enters.
pub fn sleeps_but_for(run: &mut Run, most: u64) -> Result<(), Failure> {
    const LOOKS: u32 = 20;
    const TIME: Duration = Duration::from_millis(400);
    const CALLS: u64 = 100;
    const BURNT: Duration = Duration::from_millis(50);
    let others = |record: &Record| record.summary.other_calls.values().sum::<u64>();
    run.settles();
    let (before, burnt) = (run.record(), hang::cpu(run.pid()));
    // On a busy machine one that spins gets little CPU time; it is awake all the same.
    let mut awake = 0;
    for _ in 0..LOOKS {
        std::thread::sleep(TIME / LOOKS);
        awake += u32::from(!hang::sleeps(run.pid()));
    }
    let (record, burnt) = (run.record(), hang::cpu(run.pid()).saturating_sub(burnt));
    let enters = record.summary.enters - before.summary.enters;
    let calls = others(&record) - others(&before);
    let rests = burnt < BURNT && awake < LOOKS / 2;
    if (enters <= most && calls <= CALLS && rests) || run.ended() {
        return Ok(());
    }
    run.did("Nothing happens for a moment.");
    let mut kernel = record.last_lines(of_requests);
    kernel.truncate(2);
    kernel.push(format!(
        "in {} ms: {enters} enters, {calls} other calls, {} ms of CPU time; awake at {awake} of \
         {LOOKS} looks",
        TIME.as_millis(),
        burnt.as_millis()
    ));
    Err(run.record().fail(ids::SPIN).kernel(kernel).rule(
        "Nothing happens, and the program looks again and again whether something has. A wait \
         for a completion (`submit_and_wait(1)`) sleeps until there is one, and costs nothing.",
    ))
}

/// Asks until there is none, for as long as a client waits; then once more, when the program has
/// done what there is to do: a busy machine is slow.
fn until_none<T>(run: &Run, ask: impl Fn() -> Result<Vec<T>, Failure>) -> Result<Vec<T>, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        run.need_an_end()?;
        let found = ask()?;
        if found.is_empty() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            run.settles();
            return ask();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until no client has a slot. A listener may sit in one for good.
pub fn need_free_slots(run: &mut Run, did: &str) -> Result<(), Failure> {
    let taken = until_none(run, || slots_of_clients(run))?;
    if taken.is_empty() {
        return Ok(());
    }
    run.did(did);
    let record = run.record();
    let mut kernel = record.last_lines(of_ops(&["ACCEPT", "CLOSE"]));
    kernel.push(format!("now: {}", list(&taken)));
    Err(record.fail(ids::NOT_CLOSED).kernel(kernel).rule(
        "All clients have gone, and slots are still taken. A slot is free only when an \
         IORING_OP_CLOSE for it has completed, however its client left.",
    ))
}

/// The slots that are taken now and were filled for clients. Where the tracer was too late to read
/// how a slot was filled, those that were taken before the first client do not count.
pub fn slots_of_clients(run: &Run) -> Result<Vec<u32>, Failure> {
    let taken = run.slots()?;
    let record = run.record();
    let clients = record.slots_of_clients();
    let before = run.slots_before();
    let unseen = record.summary.unseen_entries + record.summary.unseen_completions > 0;
    let counts = |slot: &u32| clients.contains(slot) || unseen && !before.contains(slot);
    Ok(taken.into_iter().filter(counts).collect())
}

/// Waits until the program has hardly more descriptors than before: `clients` came meanwhile, and
/// each cost none. A log, or a pipe, may be opened when it is needed.
pub fn need_few_descriptors(
    run: &mut Run,
    before: &BTreeMap<i32, String>,
    clients: usize,
    did: &str,
) -> Result<(), Failure> {
    const NEW: usize = 4;
    let more = until_none(run, || {
        let now = run.descriptors()?;
        let few = now.len() <= before.len() + NEW.min(clients / 2);
        let new = now.into_iter().filter(|(fd, file)| before.get(fd) != Some(file));
        Ok(if few { Vec::new() } else { new.collect() })
    })?;
    if more.is_empty() {
        return Ok(());
    }
    let lines = more.iter().take(3).map(|(fd, file)| format!("fd {fd} -> {file}"));
    run.did(did);
    Err(run.record().fail(ids::NOT_CLOSED).kernel(lines).rule(format!(
        "{clients} clients came and went, and the program has {} new descriptors. A shutdown ends a \
         connection; only a close gives its descriptor back.",
        more.len()
    )))
}

/// Taken slots, for a verdict.
fn list(slots: &[u32]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = slots.iter().take(SHOWN).map(u32::to_string).collect();
    let more = slots.len().saturating_sub(SHOWN);
    let numbers = shown.join(", ");
    match (slots.len(), more) {
        (1, _) => format!("slot {numbers} is taken"),
        (_, 0) => format!("slots {numbers} are taken"),
        _ => format!("slots {numbers} and {more} more are taken"),
    }
}
