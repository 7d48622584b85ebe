//! A headless Chromium, by WebDriver, with the built book.

use std::fmt::Display;
use std::fs;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use url::Url;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);

/// What a test does with its browser.
pub type Tried = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Runs a test in its own browser, one test at a time: two cores are busy with one. Skips aloud if
/// there is no Chromium, unless `REQUIRE_IO_URING=1` makes that a failure.
pub fn in_browser<F>(test: &str, run: impl FnOnce(Page) -> F)
where
    F: Future<Output = Tried> + Send + 'static,
{
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let Some((chromium, chromedriver)) = found() else {
        let why = "there is no chromium or no chromedriver (Debian: apt install chromium \
                   chromium-driver)";
        let required = std::env::var_os("REQUIRE_IO_URING").is_some_and(|value| value == "1");
        assert!(!required, "{test}: {why}; REQUIRE_IO_URING=1 makes that a failure");
        return testkit::skipped(test, why);
    };
    let _only = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let driver = Driver::start(&chromedriver);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for one thread");
    let outcome = runtime.block_on(async {
        let client = connect(&driver.address, &chromium).await;
        let task = tokio::spawn(run(Page { client: client.clone() }));
        let outcome = tokio::time::timeout(PATIENCE * 2, task).await;
        // Close it in any case: an open session keeps its browser running.
        let _ = client.close().await;
        outcome
    });
    match outcome {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => panic!("{test}: {error}"),
        Ok(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
        Err(_) => panic!("{test}: still not done after {} s", PATIENCE.as_secs() * 2),
    }
}

/// Chromium and its driver, if both are here.
pub fn found() -> Option<(PathBuf, PathBuf)> {
    let chromium = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(which);
    Some((chromium?, which("chromedriver")?))
}

fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A running chromedriver. Dropping it kills it, and removes what its browser left.
struct Driver {
    child: Child,
    address: String,
    folder: PathBuf,
}

impl Driver {
    fn start(chromedriver: &PathBuf) -> Driver {
        let mut command = Command::new(chromedriver);
        // A short path, since the browser names sockets in it.
        let folder = std::env::temp_dir().join(format!("browser.{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        command.env("TMPDIR", &folder).env("HOME", &folder);
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("chromedriver starts");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut driver = Driver { child, address: String::new(), folder };
        // "ChromeDriver was started successfully on port 34567."
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let number = line.split_once("successfully on port ")?.1;
            Some(number.trim_end_matches('.').to_string())
        });
        driver.address = format!("http://127.0.0.1:{}", port.expect("chromedriver tells its port"));
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The browser's last processes may still write.
        testkit::holds_within(PATIENCE, || fs::remove_dir_all(&self.folder).is_ok());
    }
}

async fn connect(address: &str, chromium: &PathBuf) -> Client {
    let capabilities = json!({
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        "goog:chromeOptions": {
            "binary": chromium,
            // The sandbox needs rights that a container may lack; the pages are our own.
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        },
    });
    let Value::Object(capabilities) = capabilities else { unreachable!("an object") };
    let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
    builder.capabilities(capabilities);
    builder.connect(address).await.expect("a browser")
}

/// The folder of the built book; built once for all tests.
pub fn book() -> &'static PathBuf {
    static BOOK: OnceLock<PathBuf> = OnceLock::new();
    BOOK.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser-book");
        let mut command = Command::new(env!("CARGO_BIN_EXE_book"));
        let output = command.arg("build").arg("--dest").arg(&folder).output().expect("the book");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        folder
    })
}

/// The book's address without a server.
pub fn from_files() -> String {
    let folder = book().canonicalize().expect("the built book");
    format!("file://{}/", folder.display())
}

/// The browser's one page.
#[derive(Clone)]
pub struct Page {
    /// The address of a page that is not in the book.
    pub client: Client,
}

impl Page {
    /// Opens a page of the book with a theme and a size.
    pub async fn open(&self, url: &str, theme: &str, size: (u32, u32)) -> Tried {
        self.size(size).await?;
        self.client.goto(url).await?;
        let set = "const before = localStorage.getItem('mdbook-theme');
                   localStorage.setItem('mdbook-theme', arguments[0]);
                   return before !== arguments[0];";
        if self.js(set, vec![json!(theme)]).await? == json!(true) {
            self.client.goto(url).await?;
        }
        Ok(())
    }

    /// The size of the page; a window cannot be that narrow.
    pub async fn size(&self, (width, height): (u32, u32)) -> Tried {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await.map(drop)
    }

    /// What a script returns.
    pub async fn js(
        &self,
        script: &str,
        arguments: Vec<Value>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.client.execute(script, arguments).await?)
    }

    /// Asks Chromium's own protocol.
    pub async fn devtools(
        &self,
        command: &str,
        parameters: Value,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let body = json!({ "cmd": command, "params": parameters });
        Ok(self.client.issue_cmd(Raw { path: "goog/cdp/execute", body }).await?)
    }

    /// The log since the last time: `browser` (the console) or `performance` (the network).
    pub async fn log(
        &self,
        name: &str,
    ) -> Result<Vec<Value>, Box<dyn std::error::Error + Send + Sync>> {
        let answer =
            self.client.issue_cmd(Raw { path: "se/log", body: json!({ "type": name }) }).await?;
        Ok(answer.as_array().cloned().unwrap_or_default())
    }

    /// Waits until a script returns true.
    pub async fn until(&self, what: impl Display, script: &str) -> Tried {
        let deadline = Instant::now() + PATIENCE / 3;
        while self.js(script, vec![]).await? != json!(true) {
            if Instant::now() > deadline {
                return Err(format!("it did not happen: {what}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// A command that WebDriver knows and the crate does not.
#[derive(Debug)]
struct Raw {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Raw {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}
