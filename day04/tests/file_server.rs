//! `beyond/file_server`: each way sends the bytes of the file, also to slow readers.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;

use testkit::{
    Folder, PATIENCE, Talking, example, io_uring_or_skip, ordinary_user_or_skip, output_within,
    skipped,
};

const WAYS: [&str; 5] = ["read-send", "bundle", "zc", "fixed", "splice"];
const PART: usize = 64 << 10;
/// More than the sockets of both sides take.
const LARGE: usize = 24 << 20;

/// Makes a file of this length in the folder, of which no two parts are alike.
fn file(folder: &Path, name: &str, length: usize) -> Vec<u8> {
    let bytes: Vec<u8> =
        (0..length.div_ceil(4) as u32).flat_map(u32::to_ne_bytes).take(length).collect();
    fs::write(folder.join(name), &bytes).unwrap();
    bytes
}

fn serve(way: &str, folder: &Path) -> Talking {
    let mut command = example("file_server");
    command.args(["--by", way, "--listen", "127.0.0.1:0"]).arg(folder);
    Talking::start(command).unwrap()
}

/// A client that has sent its request.
fn client(server: &Talking, request: &str) -> TcpStream {
    let mut client = server.connect().unwrap();
    client.write_all(request.as_bytes()).unwrap();
    client
}

fn get(server: &Talking, name: &str) -> Vec<u8> {
    body(client(server, &format!("GET /{name} HTTP/1.0\r\n\r\n")))
}

/// Reads a reply to its end, and checks that it is as long as it says.
fn body(mut client: TcpStream) -> Vec<u8> {
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).unwrap();
    let end = reply.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let body = reply.split_off(end + 4);
    let head = String::from_utf8(reply).unwrap();
    assert_eq!(head, format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
    body
}

/// The ways that this kernel has.
fn ways_or_skip(test: &str, folder: &Path) -> Vec<&'static str> {
    if !io_uring_or_skip(test) {
        return Vec::new();
    }
    file(folder, "small", 10);
    let mut command = example("file_server");
    command.arg("--compare").arg(folder.join("small"));
    let output = output_within(command, PATIENCE).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(rows.len(), WAYS.len(), "{text}");
    // Where something is lacking, the row has words instead of counts.
    let counts =
        |row: &str| row.split_whitespace().nth(2).is_some_and(|word| word.parse::<u64>().is_ok());
    let (has, lacks): (Vec<_>, Vec<_>) =
        WAYS.into_iter().zip(rows).partition(|(_, row)| counts(row) && !row.contains("failed"));
    for (_, row) in lacks {
        skipped(test, row);
    }
    has.into_iter().map(|(way, _)| way).collect()
}

#[test]
fn each_way_sends_files_of_all_lengths() {
    let test = "each_way_sends_files_of_all_lengths";
    let folder = Folder::new(test);
    let lengths = [0, 1, PART - 1, PART, PART + 1, 4 * PART, 4 * PART + 1, 9 * PART + 77];
    let files = lengths.map(|length| file(&folder, &length.to_string(), length));
    for way in ways_or_skip(test, &folder) {
        let server = serve(way, &folder);
        for (length, file) in lengths.iter().zip(&files) {
            assert!(get(&server, &length.to_string()) == *file, "{length} bytes by {way}");
        }
        // More clients at once than the server has places for.
        thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| assert!(get(&server, "589901") == files[7], "at once by {way}"));
            }
        });
    }
}

#[test]
fn a_slow_reader_gets_the_files_bytes_and_holds_up_nobody() {
    let test = "a_slow_reader_gets_the_files_bytes_and_holds_up_nobody";
    let folder = Folder::new(test);
    let large = file(&folder, "large", LARGE);
    for way in ways_or_skip(test, &folder) {
        let server = serve(way, &folder);
        let slow: Vec<TcpStream> =
            (0..4).map(|_| client(&server, "GET /large HTTP/1.0\r\n\r\n")).collect();
        // While these read nothing, others are served.
        for _ in 0..20 {
            assert_eq!(get(&server, "small").len(), 10, "{way}");
        }
        for client in slow {
            assert!(body(client) == large, "a slow reader by {way}");
        }
    }
}

#[test]
fn a_client_that_goes_leaves_nothing_to_the_next_one() {
    let test = "a_client_that_goes_leaves_nothing_to_the_next_one";
    let folder = Folder::new(test);
    let (large, other) = (file(&folder, "large", LARGE), file(&folder, "other", 3 * PART));
    for way in ways_or_skip(test, &folder) {
        let server = serve(way, &folder);
        for round in 0..20 {
            let mut client = client(&server, "GET /large HTTP/1.0\r\n\r\n");
            client.read_exact(&mut [0; 100]).unwrap();
            if round % 2 == 0 {
                testkit::reset(client);
            } else {
                drop(client);
            }
            assert!(get(&server, "other") == other, "round {round} by {way}");
        }
        assert!(get(&server, "large") == large, "afterwards by {way}");
    }
}

#[test]
fn a_file_that_gets_shorter_ends_the_connection() {
    let test = "a_file_that_gets_shorter_ends_the_connection";
    let folder = Folder::new(test);
    let other = file(&folder, "other", 3 * PART);
    for way in ways_or_skip(test, &folder) {
        file(&folder, "large", LARGE);
        let server = serve(way, &folder);
        // As many clients as there are places. Each place must be free for the next client.
        let clients: Vec<TcpStream> =
            (0..16).map(|_| client(&server, "GET /large HTTP/1.0\r\n\r\n")).collect();
        for mut client in &clients {
            client.read_exact(&mut [0; 100]).unwrap();
        }
        let file = File::options().write(true).open(folder.join("large")).unwrap();
        file.set_len((LARGE - PART / 2) as u64).unwrap();
        for mut client in clients {
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).unwrap();
            assert!(rest.len() < LARGE, "{} bytes by {way}", rest.len());
        }
        for _ in 0..16 {
            assert!(get(&server, "other") == other, "afterwards by {way}");
        }
    }
}

#[test]
fn only_files_of_the_folder_are_served() {
    let test = "only_files_of_the_folder_are_served";
    let folder = Folder::new(test);
    if ways_or_skip(test, &folder).is_empty() {
        return;
    }
    fs::create_dir(folder.join("inner")).unwrap();
    symlink("/etc/passwd", folder.join("link")).unwrap();
    nix::unistd::mkfifo(&folder.join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let server = serve("zc", &folder);
    for (request, status) in [
        ("GET /none HTTP/1.0\r\n\r\n", "404"),
        ("GET /../Cargo.toml HTTP/1.0\r\n\r\n", "403"),
        ("GET //etc/passwd HTTP/1.0\r\n\r\n", "404"),
        ("GET /link HTTP/1.0\r\n\r\n", "403"),
        ("GET /inner HTTP/1.0\r\n\r\n", "403"),
        ("GET /fifo HTTP/1.0\r\n\r\n", "403"),
        ("GET / HTTP/1.0\r\n\r\n", "40"),
        ("GET /a\0b HTTP/1.0\r\n\r\n", "403"),
        ("POST /small HTTP/1.0\r\n\r\n", "400"),
        ("\r\n\r\n", "400"),
    ] {
        let mut reply = String::new();
        client(&server, request).read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with(&format!("HTTP/1.0 {status}")), "{request:?}: {reply:?}");
        assert!(reply.ends_with("\r\nContent-Length: 0\r\n\r\n"), "{reply:?}");
    }
    // A request without an end, and one that is too long.
    let mut nothing = Vec::new();
    let half = client(&server, "GET /small");
    half.shutdown(std::net::Shutdown::Write).unwrap();
    (&half).read_to_end(&mut nothing).unwrap();
    let long = client(&server, &"x".repeat(4096));
    (&long).read_to_end(&mut nothing).unwrap();
    assert_eq!(nothing, b"");
    // One that comes byte by byte.
    let mut slow = client(&server, "");
    for byte in b"GET /small HTTP/1.1\r\nHost: here\r\n\r\n" {
        slow.write_all(&[*byte]).unwrap();
    }
    assert_eq!(body(slow).len(), 10);
}

#[test]
fn an_ordinary_user_can_compare_the_costs() {
    let test = "an_ordinary_user_can_compare_the_costs";
    if !io_uring_or_skip(test) {
        return;
    }
    let folder = Folder::new(test);
    file(&folder, "mib", 16 * PART);
    let mut command = example("file_server");
    command.arg("--compare").arg(folder.join("mib"));
    if !ordinary_user_or_skip(test, &mut command, 8 << 20) {
        return;
    }
    let output = output_within(command, PATIENCE).unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    // ACCEPT, RECV, SEND of the head, and the parts: 16 of two entries, or 4 of five.
    for (way, entries, completions) in [
        ("read-send", 35, 35),
        ("bundle", 23, 23),
        ("zc", 35, 51),
        ("fixed", 35, 51),
        ("splice", 35, 35),
    ] {
        let row = text.lines().find(|line| line.starts_with(way)).expect(&text);
        let words: Vec<&str> = row.split_whitespace().collect();
        if words.get(1) != Some(&"1") {
            skipped(test, row);
            continue;
        }
        assert_eq!(words[2..4], [entries.to_string(), completions.to_string()], "{text}");
        let copied = words[7..].join(" ");
        assert_eq!(copied, if completions == 51 { "16 of 16" } else { "" }, "{text}");
    }
}

#[test]
fn a_file_is_no_folder() {
    let test = "a_file_is_no_folder";
    let folder = Folder::new(test);
    file(&folder, "small", 10);
    let mut command = example("file_server");
    command.args(["--listen", "127.0.0.1:0"]).arg(folder.join("small"));
    let output = output_within(command, PATIENCE).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(error.contains("is no folder") && error.contains("--compare"), "{error}");
}

#[test]
fn too_little_locked_memory_is_explained() {
    let test = "too_little_locked_memory_is_explained";
    let folder = Folder::new(test);
    if ways_or_skip(test, &folder).is_empty() {
        return;
    }
    let mut command = example("file_server");
    command.args(["--by", "fixed", "--listen", "127.0.0.1:0"]).arg(&*folder);
    if !ordinary_user_or_skip(test, &mut command, 1 << 20) {
        return;
    }
    let output = output_within(command, PATIENCE).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(error.contains("RLIMIT_MEMLOCK allows 1 MiB"), "{error}");
}
