//! Connections: a thread for each, with one request and one answer.
//!
//! A slow, silent or greedy client takes nothing from the others: a request has ten seconds, an
//! answer a minute, and when too many are open, the oldest one is closed, unless it shows a run.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::answer::{self, Answer, PATIENCE};
use super::request::{Method, Request, Unread};
use super::site::{Reply, Site};
use crate::output;

/// How many connections may be open. A browser opens six.
const MOST: usize = 64;

/// The open connections.
#[derive(Default)]
struct Open {
    all: usize,
    /// Those that may be closed to make room, the oldest first. On this machine an answer takes
    /// milliseconds, so the oldest is one that does not ask, or does not read.
    guests: VecDeque<Arc<TcpStream>>,
}

/// Answers as long as this program runs.
pub fn serve(listener: &TcpListener, site: &Arc<Site>) {
    let open = Arc::new(Mutex::new(Open::default()));
    loop {
        let answering = listener.accept().and_then(|(client, _)| {
            let client = Arc::new(client);
            if !admit(&open, &client) {
                return Ok(());
            }
            let guest = Guest { open: Arc::clone(&open), client };
            let site = Arc::clone(site);
            let talk = move || {
                // A client that has gone meanwhile needs no answer.
                let _ = converse(&guest, &site);
            };
            std::thread::Builder::new().spawn(talk).map(drop)
        });
        if let Err(wrong) = answering {
            // A limit on descriptors or threads. Silent clients will soon be closed.
            output::aside(&format!("a browser could not be answered: {wrong}"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a client in, if there is room for it, or if room can be made.
fn admit(open: &Mutex<Open>, client: &Arc<TcpStream>) -> bool {
    let mut open = lock(open);
    if open.all >= MOST {
        let Some(oldest) = open.guests.pop_front() else { return false };
        let _ = oldest.shutdown(Shutdown::Both);
    }
    open.all += 1;
    open.guests.push_back(Arc::clone(client));
    true
}

/// A client that was counted in, until this is dropped.
struct Guest {
    open: Arc<Mutex<Open>>,
    client: Arc<TcpStream>,
}

impl Guest {
    /// It is not closed to make room.
    fn stays(&self) {
        lock(&self.open).guests.retain(|other| !Arc::ptr_eq(other, &self.client));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stays();
        lock(&self.open).all -= 1;
    }
}

/// Reads a request, answers it, and ends the connection.
fn converse(guest: &Guest, site: &Arc<Site>) -> io::Result<()> {
    let client = guest.client.as_ref();
    let request = match Request::read(client, PATIENCE) {
        Ok(request) => request,
        Err(Unread::Gone(wrong)) => return Err(wrong),
        Err(Unread::Refused(status, why)) => {
            Answer::plain(status, why).send(client, false)?;
            return end(client);
        }
    };
    match site.reply(&request) {
        Reply::Whole(answer) => answer.send(client, request.method == Method::Head)?,
        Reply::Live(run) => {
            guest.stays();
            answer::begin_stream(client)?;
            run.play(client);
        }
    }
    end(client)
}

/// Ends the sending. The rest of a request (its body) is read, for a moment: closing would reset
/// the connection, and the client could lose the answer.
fn end(mut client: &TcpStream) -> io::Result<()> {
    client.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut piece = [0; 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        client.set_read_timeout(Some(left))?;
        if client.read(&mut piece)? == 0 {
            return Ok(());
        }
    }
}
