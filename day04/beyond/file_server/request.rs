//! What a client asks for: a line of HTTP/1.0, and the file that it names.

use std::fs::File;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// The head of a reply, and the file that follows it, with its length.
pub type Reply = (String, Option<File>, u64);

/// The reply to a request, or `None` as long as its end has not come.
pub fn reply(folder: &File, request: &[u8]) -> Option<Reply> {
    let text = String::from_utf8_lossy(request);
    let (head, _) = text.split_once("\r\n\r\n")?;
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let status = match (words.next(), words.next()) {
        (Some("GET"), Some(path)) => match open(folder, path.trim_start_matches('/')) {
            Ok((file, length)) => {
                let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n");
                return Some((head, Some(file), length));
            }
            Err(Errno::ENOENT) => "404 Not Found",
            // EXDEV: the name leads out of the folder.
            Err(_) => "403 Forbidden",
        },
        _ => "400 Bad Request",
    };
    Some((format!("HTTP/1.0 {status}\r\nContent-Length: 0\r\n\r\n"), None, 0))
}

/// Opens a regular file below the folder, and nowhere else.
fn open(folder: &File, path: &str) -> nix::Result<(File, u64)> {
    // Without O_NONBLOCK, the open of a FIFO would wait.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH);
    let file = File::from(openat2(folder, path, how)?);
    let data = file.metadata().map_err(|_| Errno::EIO)?;
    if data.is_file() { Ok((file, data.len())) } else { Err(Errno::EACCES) }
}
