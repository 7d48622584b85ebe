//! `peer_name`: every client is told its own address, though it sits in a slot.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrStorage, bind,
    connect, socket,
};

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    for _ in 0..3 {
        let client = connect_from(&mut run, attempt)?;
        let did = format!("A client connects from {}.", client.1);
        told(&mut run, client, &did, &[])?;
    }
    let count = attempt.number(8..=14);
    pause(&run);
    let came: Result<Vec<_>, Failure> =
        (0..count).map(|_| connect_from(&mut run, attempt)).collect();
    resume(&run);
    let came = came?;
    let all: Vec<SocketAddrV4> =
        came.iter().map(|(_, address)| *address).collect();
    for client in came {
        let did = format!(
            "{count} clients connect at once, one of them from {}.",
            client.1
        );
        told(&mut run, client, &did, &all)?;
    }
    need_slots(&run.record())?;
    need_free_slots(&mut run, "All clients have got their line.")?;
    sleeps(&mut run)?;
    run.stop();
    Ok(Passed::new(format!(
        "{} clients, each in a slot, each told its own address.",
        count + 3
    )))
}

/// A client with an address of its own: all of 127.0.0.0/8 is this machine.
fn connect_from(
    run: &mut Run,
    attempt: &Attempt,
) -> Result<(TcpStream, SocketAddrV4), Failure> {
    let server = run.listening()?;
    let own = Ipv4Addr::new(
        127,
        attempt.number(1..=250) as u8,
        0,
        attempt.number(2..=250) as u8,
    );
    let made = || -> std::io::Result<(TcpStream, SocketAddrV4)> {
        let fd = socket(
            AddressFamily::Inet,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(own, 0)))?;
        connect(fd.as_raw_fd(), &SockaddrStorage::from(server))?;
        let stream = TcpStream::from(fd);
        stream.set_read_timeout(Some(PATIENCE))?;
        match stream.local_addr()? {
            SocketAddr::V4(address) => Ok((stream, address)),
            SocketAddr::V6(_) => Err(std::io::Error::other("an IPv6 address")),
        }
    };
    made().map_err(|error| {
        if run.ended() {
            return trouble(
                run,
                &format!("A client connects from {own}."),
                &error,
            );
        }
        Failure::new(
            ids::NO_LISTENER,
            format!("A client connects from {own} to {server}: {error}"),
        )
        .rule("Nobody listens where the program says that it listens.")
    })
}

fn told(
    run: &mut Run,
    (mut stream, own): (TcpStream, SocketAddrV4),
    did: &str,
    others: &[SocketAddrV4],
) -> Result<(), Failure> {
    run.did(did);
    let expected = format!("you are {own}\n");
    let (got, ending) = read_to_end(&mut stream, 256);
    if got == expected.as_bytes() {
        return match ending {
            Ending::Broken(error) => {
                let failure = trouble(run, did, &error);
                if !waits(&failure) {
                    return Err(failure);
                }
                Err(Failure { id: ids::NOT_CLOSED, ..failure }.rule(
                    "The client was told its address and never let go: close the slot after the \
                     line was sent.",
                ))
            }
            _ => Ok(()),
        };
    }
    let record = run.record();
    need_slots(&record)?;
    let asked = record.plain_calls(&["getpeername"]);
    let installed = !record.submitted("FIXED_FD_INSTALL").is_empty();
    if let (Some(call), false) = (asked.first(), installed) {
        return Err(record
            .fail(ids::SLOT_AS_FD)
            .kernel([
                record.last_lines(|what| matches!(what, crate::trace::event::What::Complete(it) if brought(&it))),
                vec![format!("system call getpeername, with {}", call.args[0])],
            ].concat())
            .rule(
                "A slot's number is no descriptor: getpeername(2) asks about whatever file the \
                 process has open under that number. Who called, the accept can tell: it fills in \
                 the address that it is given.",
            ));
    }
    if let (true, Ending::Broken(error)) = (got.is_empty(), &ending) {
        return Err(trouble(run, did, error));
    }
    let said = format!("{did} It was told {}.", quoted(&got));
    let failure = record
        .fail(ids::WRONG_ANSWER)
        .client(said)
        .kernel(record.last_lines(of_ops(&["ACCEPT", "SEND"])));
    Err(failure.rule(explained(
        &String::from_utf8_lossy(&got),
        own,
        others,
        &record,
    )))
}

/// What may be wrong with an address.
fn explained(
    said: &str,
    own: SocketAddrV4,
    others: &[SocketAddrV4],
    record: &crate::exercise::record::Record,
) -> String {
    let address: Option<SocketAddrV4> = said
        .trim()
        .strip_prefix("you are ")
        .and_then(|text| text.trim().parse().ok());
    let Some(address) = address else {
        return format!(
            "The line was to be \"you are {own}\", and nothing else."
        );
    };
    let reversed = Ipv4Addr::from(u32::from(*own.ip()).swap_bytes());
    if others.contains(&address) && address != own {
        return "That is another client's address. It was overwritten before it was read: an \
                address belongs to one accept until its completion, so each accept that is armed \
                needs a place of its own."
            .to_string();
    }
    if address.port() == own.port().swap_bytes() || *address.ip() == reversed {
        return "The kernel writes address and port in network byte order, the highest byte \
                first: `u16::from_be` and `u32::from_be` turn them round."
            .to_string();
    }
    if record.submitted("ACCEPT").iter().any(|accept| multishot(accept)) {
        return "A multishot accept has one place for the addresses of all clients, so none of \
                them can be relied on. A single accept fills in the address of its one client."
            .to_string();
    }
    if address.ip().is_unspecified() {
        return "Nothing was filled in. The kernel writes no more of the address than the length \
                says that there is room for: set it before each accept, and read the address only \
                after the completion."
            .to_string();
    }
    format!(
        "Its address is {own}. Read the place that this client's accept was given, when \
         its completion has come, for each client anew, and before the next accept is armed with \
         it."
    )
}
