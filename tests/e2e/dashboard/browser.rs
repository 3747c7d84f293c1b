//! A headless Chromium as the tests hold it: what a person sees, clicks and types, over WebDriver (W3C), which
//! is HTTP and JSON.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::until;

/// One browser at a time: it takes the machine as it is.
static TURN: Mutex<()> = Mutex::new(());

/// How long one answer of the driver may take; a page that loads is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What Chromium is started with: no window, and no word to anybody but the daemon.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// What an element is called in WebDriver's JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys that are no characters.
pub const ENTER: &str = "\u{e007}";
pub const ESCAPE: &str = "\u{e00c}";
pub const TAB: &str = "\u{e004}";

/// A browser with one tab; it ends with this value.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// What the driver says goes somewhere, as long as it runs.
    _said: BufReader<ChildStdout>,
    _profile: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// Opens a page in a browser that knows nothing.
    pub fn open(url: &str) -> Browser {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=WARNING"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver runs; ./test installs it");
        let mut said = BufReader::new(driver.stdout.take().unwrap());
        let port = said.by_ref().lines().map_while(Result::ok).find_map(|line| {
            let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let profile = tempfile::tempdir().unwrap();
        let data_dir = format!("--user-data-dir={}", profile.path().display());
        let mut browser = Browser {
            driver,
            port: port.expect("it says where it listens"),
            session: String::new(),
            _said: said,
            _profile: profile,
            _turn: turn,
        };
        let flags: Vec<&str> = FLAGS.iter().copied().chain([data_dir.as_str()]).collect();
        let options = json!({ "args": flags });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let begun = browser.ask("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = format!("/session/{}", begun["sessionId"].as_str().unwrap());
        browser.go(url);
        browser
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.try_ask(method, path, body);
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|e| e.to_string())?;
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let port = self.port;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .map_err(|e| e.to_string())?;
        let body = body_of(stream).map_err(|e| e.to_string())?;
        let answer: Value = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
        let value = answer["value"].clone();
        match value["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", value["message"].as_str().unwrap_or_default())),
            None => Ok(value),
        }
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, &format!("{}{path}", self.session), body)
    }

    pub fn go(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// What a function's body gives, which runs in the page.
    pub fn js(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// A command of Chromium's own protocol.
    fn devtools(&self, command: &str, params: &Value) {
        self.command("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": params }));
    }

    /// How large the window is, in pixels.
    pub fn size(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// What the person prefers: `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// The text that is seen at a selector; nothing where there is no such element.
    pub fn text(&self, selector: &str) -> String {
        let script = format!(
            "return [...document.querySelectorAll({selector:?})].map((e) => e.innerText).join('\\n')"
        );
        self.js(&script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the text at a selector holds this.
    pub fn sees(&self, selector: &str, text: &str) -> String {
        until(&format!("{selector} shows {text:?}"), || {
            let shown = self.text(selector);
            shown.contains(text).then_some(shown)
        })
    }

    fn element(&self, selector: &str) -> String {
        let by = json!({ "using": "css selector", "value": selector });
        let found = until(&format!("there is {selector}"), || {
            self.try_ask("POST", &format!("{}/element", self.session), &by).ok()
        });
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// A click, as by a mouse: what is hidden, covered or disabled does not take it.
    pub fn click(&self, selector: &str) {
        until(&format!("{selector} can be clicked"), || {
            let element = self.element(selector);
            let enabled = self.command("GET", &format!("/element/{element}/enabled"), &Value::Null);
            if enabled != true {
                return None;
            }
            self.try_ask("POST", &format!("{}/element/{element}/click", self.session), &json!({})).ok()
        });
    }

    pub fn is_enabled(&self, selector: &str) -> bool {
        self.js(&format!("return !document.querySelector({selector:?}).disabled")) == true
    }

    /// Keys, one after another, to whatever has the focus.
    pub fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
            })
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.command("POST", "/actions", &json!({ "actions": [keyboard] }));
    }

    /// What has the focus: its tag, its id, and what it is called.
    pub fn focused(&self) -> String {
        let script = "const e = document.activeElement; \
                      return `${e.tagName.toLowerCase()}#${e.id} ${e.ariaLabel ?? e.innerText ?? ''}`.trim()";
        self.js(script).as_str().unwrap_or_default().to_owned()
    }

    /// A picture of the window, as PNG in base64.
    pub fn picture(&self) -> String {
        self.command("GET", "/screenshot", &Value::Null).as_str().unwrap().to_owned()
    }

    /// What the console was told since the last time it was asked, errors and violations of the page's policy
    /// among it.
    pub fn complaints(&self) -> Vec<String> {
        let lines = self.command("POST", "/se/log", &json!({ "type": "browser" }));
        let text = |line: &Value| format!("{}: {}", line["level"], line["message"]);
        lines.as_array().unwrap().iter().map(text).collect()
    }
}

/// The body of an answer, which says how long it is; the driver leaves the connection open after it.
fn body_of(stream: TcpStream) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        answer.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((key, value)) if key.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    answer.read_exact(&mut body)?;
    Ok(body)
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what the page said ---\n{}", self.try_text());
        }
        // The session's end closes the browser; the driver is ours to end.
        let _ = self.try_ask("DELETE", &self.session, &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    fn try_text(&self) -> String {
        let script = json!({ "script": "return document.body.innerText", "args": [] });
        let text = self.try_ask("POST", &format!("{}/execute/sync", self.session), &script);
        text.ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
    }
}
