//! `peer_name`: every client is in a slot, and gets its own address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let mut bytes = 0;
    let one = |run: &mut Run| {
        let number = |most| attempt.number(2..=most) as u8;
        connect_from(run, Ipv4Addr::new(127, number(250), 0, number(250)))
    };
    let mut all = Vec::new();
    for _ in 0..3 {
        let client = one(&mut run)?;
        all.push(address(&client));
        bytes += named(&mut run, client, "A client connects", &all)?;
    }
    let count = attempt.number(8..=14) as usize;
    pause(&run);
    let came: Result<Vec<_>, _> = (0..count).map(|_| one(&mut run)).collect();
    resume(&run);
    let came = came?;
    all.extend(came.iter().map(address));
    for client in came {
        let did = format!("{count} clients connect at once, one of them");
        bytes += named(&mut run, client, &did, &all)?;
    }
    none_asked(&run.record())?;
    need_free_slots(&mut run, "All clients got their line.")?;
    sleeps(&mut run)?;
    let measured = one_by_one(&mut run, ALONE, |run| {
        let client = one(run)?;
        named(run, client, "A client connects", &all).map(drop)
    })?;
    run.did(format!("{} clients got their line.", count + 3));
    let record = run.stop();
    need_served(&record, count + 3, bytes as u64)?;
    Ok(Passed::new(format!(
        "{} clients, each in a slot, each got its own address.",
        count + 3
    ))
    .measured(measured))
}

/// A client's own address.
fn address(client: &TcpStream) -> SocketAddr {
    let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    client.local_addr().unwrap_or(nowhere.into())
}

/// The client must get its address and then the end. Returns the bytes that it got.
fn named(
    run: &mut Run,
    mut client: TcpStream,
    did: &str,
    others: &[SocketAddr],
) -> Result<usize, Failure> {
    let own = address(&client);
    let did = format!("{did} from {own}.");
    run.did(&did);
    let line = format!("you are {own}\n");
    let (got, ending) = read_to_end(&mut client, 256);
    let failure = match ending {
        Ending::End if got == line.as_bytes() => return Ok(line.len()),
        Ending::Broken(error) if got.is_empty() => trouble(run, &did, &error),
        Ending::End if got.is_empty() => {
            let kernel = run.record().last_lines(of_ops(&["SEND", "CLOSE"]));
            Failure::new(ids::NO_ANSWER, did).kernel(kernel).rule(EARLY_END)
        }
        Ending::Broken(error) if got == line.as_bytes() => {
            let failure = trouble(run, &did, &error);
            if !waits(&failure) {
                return Err(failure);
            }
            need_no_slot_as_fd(&run.record())?;
            Failure { id: ids::NOT_CLOSED, ..failure }.rule(
                "The client got its address, but its connection does not end: close the slot when \
                 the line has been sent.",
            )
        }
        _ => {
            let rule =
                explained(run, &String::from_utf8_lossy(&got), own, others);
            let record = run.record();
            let kernel = record.last_lines(of_ops(&["ACCEPT", "SEND"]));
            let did = format!("{did} It got {}.", quoted(&got));
            record.fail(ids::WRONG_ANSWER).client(did).kernel(kernel).rule(rule)
        }
    };
    none_asked(&run.record())?;
    Err(failure)
}

/// Fails if the program called getpeername(2), which knows no slots.
fn none_asked(record: &Record) -> Result<(), Failure> {
    need_slots(record)?;
    let calls = record.plain_calls(&["getpeername"]);
    let Some(call) = calls.first() else { return Ok(()) };
    let mut kernel = record.last_lines(of_ops(&["ACCEPT"]));
    kernel.push(format!("system call getpeername, with {}", call.args[0]));
    Err(record.fail(ids::SLOT_AS_FD).kernel(kernel).rule(
        "A slot's number is not a descriptor: getpeername(2) takes it for a descriptor, and \
         answers for another file of the process. An accept writes the address of its client into \
         memory that its entry names.",
    ))
}

/// Explains what is wrong with a line.
fn explained(
    run: &mut Run,
    line: &str,
    own: SocketAddr,
    others: &[SocketAddr],
) -> String {
    if line == format!("you are {own}") {
        return "The address is right, but `\\n` is missing at the end of the line."
            .into();
    }
    let text = line.trim().strip_prefix("you are ").unwrap_or_default();
    let Ok(SocketAddr::V4(said)) = text.trim().parse() else {
        return format!(
            "The whole line is \"you are {own}\", and nothing else."
        );
    };
    let (record, server) = (run.record(), run.listening());
    let written = |it: &Complete| {
        it.details.get("peer").is_some_and(|it| *it == own.to_string())
    };
    let turned = SocketAddrV4::new(
        u32::from(*said.ip()).swap_bytes().into(),
        said.port(),
    );
    let port_turned = said.port().swap_bytes() == own.port();
    let rule = if SocketAddr::V4(said) != own && others.contains(&said.into()) {
        "That is another client's address. Each armed accept needs its own memory for the address. \
         Read it when the accept has completed, and before you arm the next accept with it."
    } else if port_turned || IpAddr::V4(*turned.ip()) == own.ip() {
        "The kernel writes address and port in network byte order, the highest byte first: \
         `u16::from_be` and `u32::from_be` convert them."
    } else if server == Ok(said.into()) {
        "That is the server's own address. The accept wrote the client's address into the memory \
         that its entry names."
    } else if record.submitted("ACCEPT").iter().any(|accept| multishot(accept))
    {
        "A multishot accept writes the addresses of all clients to the same memory, so each may \
         overwrite the one before. Use a single accept, which writes the address of its one \
         client."
    } else if record.completed("ACCEPT").iter().any(|it| written(it)) {
        "The kernel wrote this client's address to the memory that its accept named, but the \
         program read it elsewhere or too late. The memory must not move while the accept is armed \
         (an element of a growing list moves). Read it before you arm the next accept with it."
    } else {
        "The kernel writes only as many bytes of the address as the length allows. Before each \
         accept, set the length to the size of the structure."
    };
    rule.into()
}
