//! `beyond/acceptor.rs`: no client is lost, and each worker has its share.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use testkit::{
    PATIENCE, Server, end_of_file, example, ordinary_user_or_skip, start_or_skip, wait_until,
};

fn program(arguments: &[&str]) -> Command {
    let mut command = example("acceptor");
    command.args(["--listen", "127.0.0.1:0", "--json"]).args(arguments);
    command
}

fn served(server: Server) -> Vec<u64> {
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    serde_json::from_value(stopped.summary["served"].clone()).unwrap()
}

/// Sends a text and reads its echo.
fn ask(mut client: &TcpStream, text: &str) {
    client.write_all(text.as_bytes()).unwrap();
    let mut echo = vec![0; text.len()];
    client.read_exact(&mut echo).unwrap();
    assert_eq!(echo, text.as_bytes());
}

#[test]
fn each_client_goes_to_the_worker_with_the_fewest() {
    let test = "each_client_goes_to_the_worker_with_the_fewest";
    let Some(server) = start_or_skip(test, program(&["--threads", "3"])) else { return };
    let clients: Vec<TcpStream> = (0..9).map(|_| server.connect().unwrap()).collect();
    for (number, client) in clients.iter().enumerate() {
        ask(client, &format!("hello from {number}"));
    }
    drop(clients);
    assert_eq!(served(server), [3, 3, 3]);
}

#[test]
fn clients_wait_until_a_worker_has_room() {
    let test = "clients_wait_until_a_worker_has_room";
    let arguments = ["--threads", "2", "--slots", "1"];
    let Some(server) = start_or_skip(test, program(&arguments)) else { return };
    let clients: Vec<TcpStream> = (0..20).map(|_| server.connect().unwrap()).collect();
    // All are connected, and have sent. Two at a time are served, in the order they came.
    for (number, mut client) in clients.iter().enumerate() {
        write!(client, "{number:3}").unwrap();
    }
    for (number, mut client) in clients.into_iter().enumerate() {
        let mut echo = [0; 3];
        client.read_exact(&mut echo).unwrap();
        assert_eq!(echo, *format!("{number:3}").as_bytes());
    }
    assert_eq!(served(server).iter().sum::<u64>(), 20);
}

#[test]
fn a_client_that_ends_sees_the_end_before_another_one_comes() {
    let test = "a_client_that_ends_sees_the_end_before_another_one_comes";
    let Some(server) = start_or_skip(test, program(&["--threads", "1"])) else { return };
    let client = server.connect().unwrap();
    ask(&client, "the only client");
    client.shutdown(Shutdown::Write).unwrap();
    end_of_file(&client); // The acceptor's slot does not keep it open.
    assert_eq!(served(server), [1]);
}

#[test]
fn many_clients_come_and_go_and_none_is_lost() {
    const CLIENTS: u64 = 400;
    let test = "many_clients_come_and_go_and_none_is_lost";
    let arguments = ["--threads", "3", "--slots", "2"];
    let Some(server) = start_or_skip(test, program(&arguments)) else { return };
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let server = &server;
            scope.spawn(move || {
                for number in 0..CLIENTS / 8 {
                    let client = server.connect().unwrap();
                    ask(&client, &format!("client {number} of thread {thread}"));
                    if number % 3 == 0 {
                        testkit::reset(client);
                    }
                }
            });
        }
    });
    assert_eq!(served(server).iter().sum::<u64>(), CLIENTS);
}

#[test]
fn a_stop_lets_every_client_have_the_rest_of_its_echo() {
    const CLIENTS: usize = 60;
    let test = "a_stop_lets_every_client_have_the_rest_of_its_echo";
    let Some(server) = start_or_skip(test, program(&["--threads", "1"])) else { return };
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| server.connect().unwrap()).collect();
    for client in &clients {
        ask(client, "accepted");
    }
    // More than one RECV can bring. All of it has arrived before the server sees the signal.
    let text = "x".repeat(50_000);
    server.pause();
    for mut client in &clients {
        client.write_all(text.as_bytes()).unwrap();
    }
    server.signal(Signal::SIGINT);
    server.resume();
    for mut client in clients {
        let mut echo = String::new();
        client.read_to_string(&mut echo).unwrap();
        assert_eq!(echo.len(), text.len());
    }
    assert_eq!(server.wait().unwrap().well().summary["served"], json!([CLIENTS]));
}

#[test]
fn a_second_signal_ends_it_though_a_client_does_not_read() {
    let test = "a_second_signal_ends_it_though_a_client_does_not_read";
    let Some(mut server) = start_or_skip(test, program(&["--threads", "1"])) else { return };
    let mut client = server.connect().unwrap();
    client.set_nonblocking(true).unwrap();
    // Until nothing fits into the sockets, twice in a row: the server may take a little more.
    wait_until("the client's sends do not fit", || {
        while client.write(&[7; 65536]).is_ok() {}
        std::thread::sleep(Duration::from_millis(50));
        client.write(&[7]).is_err()
    });
    server.signal(Signal::SIGINT);
    // It ignores a second signal that comes sooner.
    std::thread::sleep(Duration::from_millis(1200));
    assert!(server.is_running());
    server.signal(Signal::SIGTERM);
    let status = server.ended(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(1));
    assert!(server.stderr().contains("second signal"), "{}", server.stderr());
}

#[test]
fn an_ordinary_user_with_little_memory_can_run_it() {
    let test = "an_ordinary_user_with_little_memory_can_run_it";
    let mut command = program(&["--threads", "2", "--slots", "16"]);
    if !ordinary_user_or_skip(test, &mut command, 512 << 10) {
        return;
    }
    let Some(server) = start_or_skip(test, command) else { return };
    ask(&server.connect().unwrap(), "hello");
    assert_eq!(server.listening()["workers"], json!(2));
    assert_eq!(served(server).iter().sum::<u64>(), 1);
}
