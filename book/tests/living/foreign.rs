//! A page from elsewhere can do nothing to a book that is served.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::serving::Serving;
use crate::session::in_browser;

/// Tries everything that a page can try at an address, and returns the results.
const ATTACK: &str = "
    const address = arguments[0];
    const done = arguments[arguments.length - 1];
    const tried = {};
    const named = async (name, attempt) => {
        try { tried[name] = await attempt(); } catch (error) { tried[name] = 'refused'; }
    };
    const element = (name, attributes) => new Promise(resolve => {
        const node = Object.assign(document.createElement(name), attributes);
        node.onload = () => resolve('loaded');
        node.onerror = () => resolve('refused');
        document.body.append(node);
    });
    (async () => {
        await named('read', async () => (await fetch(address)).text());
        await named('news', async () => (await fetch(address + '-/news')).text());
        await named('start', async () =>
            (await fetch(address + '-/run/transcript/day01', { method: 'POST' })).text());
        await named('blind', async () => (await fetch(address + '-/run/transcript/day01',
            { method: 'POST', mode: 'no-cors' })).type);
        await named('script', () => element('script', { src: address + '-/main.js' }));
        await named('module', () =>
            element('script', { src: address + '-/main.js', type: 'module' }));
        await named('image', () => element('img', { src: address + 'favicon.png' }));
        await named('frame', async () => {
            const frame = document.createElement('iframe');
            frame.src = address;
            const loaded = new Promise(resolve => { frame.onload = resolve; });
            document.body.append(frame);
            await loaded;
            return frame.contentDocument === null ? 'refused' : frame.contentDocument.body.innerHTML;
        });
        const form = document.createElement('form');
        form.method = 'post';
        form.action = address + '-/run/transcript/day01';
        form.target = 'nowhere';
        const nowhere = document.createElement('iframe');
        nowhere.name = 'nowhere';
        document.body.append(nowhere, form);
        form.submit();
        done(tried);
    })();";

#[test]
fn a_page_from_elsewhere_reads_nothing_and_starts_nothing() {
    in_browser("a_page_from_elsewhere_reads_nothing_and_starts_nothing", |page| async move {
        let serving = Serving::start();
        // Even a page that has found out the word.
        for address in [serving.guessed(), serving.address.clone()] {
            page.client.goto(&elsewhere()).await?;
            let tried = page.client.execute_async(ATTACK, vec![json!(address)]).await?;
            let tried = tried.as_object().ok_or("an object")?;
            for (name, got) in tried {
                // An answer that the page cannot read.
                let refused = ["refused", "opaque"].map(Value::from);
                assert!(refused.contains(got), "{name} of {address} got {got}");
            }
            assert_eq!(tried.len(), 8, "{tried:?}");
        }
        assert_eq!(serving.said(), "", "it runs nothing");
        // The reader's own tab shows the book.
        page.client.goto(&serving.address).await?;
        let title = page.client.title().await?;
        assert!(title.contains("io_uring, day by day"), "{title}");
        Ok(())
    });
}

#[test]
fn the_book_s_own_pages_complain_of_nothing() {
    in_browser("the_book_s_own_pages_complain_of_nothing", |page| async move {
        let serving = Serving::start();
        for name in ["index.html", "day1.html", "exercises-day1.html", "day4-echo.html"] {
            let url = format!("{}{name}", serving.address);
            page.open(&url, "light", (1280, 800)).await?;
        }
        let complaints = page.log("browser").await?;
        assert!(complaints.is_empty(), "{complaints:#?}");
        // A page that does not exist shows the book's own error page, with its style sheet.
        page.client.goto(&format!("{}no/such/page.html", serving.address)).await?;
        let script = "return getComputedStyle(document.body).getPropertyValue('--sidebar-bg')";
        let ground = page.js(script, vec![]).await?;
        assert!(ground.as_str().is_some_and(|it| !it.is_empty()), "{ground}");
        Ok(())
    });
}

/// A page of another server.
fn elsewhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(&stream);
        }
    });
    format!("http://{address}/")
}

fn answer(mut stream: &TcpStream) {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let body = "<!DOCTYPE html><title>elsewhere</title><p>Elsewhere.</p>";
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
}
