//! Whoever keeps the daemon behind something that asks for a token, or has it ask for one itself.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use super::browser::{Browser, ENTER};
use crate::harness::{Setup, World};

const TOKEN: &str = "detour_4dDbO0hZxuOVlk3Nqv4ZzSMSjKHbJKxUOjI8Y0pW6ZQ";

/// Lets requests for the API pass that have the token, and all others; gives where it listens.
fn gate(daemon: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A browser hangs up when it likes.
            std::thread::spawn(move || pass(stream, daemon));
        }
    });
    here
}

/// One request, and the answer to its end.
fn pass(browser: TcpStream, daemon: SocketAddr) -> io::Result<()> {
    let mut reader = BufReader::new(browser.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let begin = head.len();
        reader.read_line(&mut head)?;
        let line = head[begin..].trim_end().to_ascii_lowercase();
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().map_err(io::Error::other)?;
        }
        if line.starts_with("connection:") {
            head.truncate(begin);
        }
        if line.is_empty() {
            head.truncate(begin);
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut browser = browser;
    if head.contains(" /v1/") && !head.contains(&format!("uthorization: Bearer {TOKEN}\r\n")) {
        let detail = r#"{"title":"Unauthorized","status":401,"detail":"a token is missing"}"#;
        let (kind, length) = ("application/problem+json", detail.len());
        return write!(
            browser,
            "HTTP/1.1 401 Unauthorized\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{detail}"
        );
    }
    let mut daemon = TcpStream::connect(daemon)?;
    write!(daemon, "{head}Connection: close\r\n\r\n")?;
    daemon.write_all(&body)?;
    io::copy(&mut daemon, &mut browser)?;
    browser.shutdown(Shutdown::Both)
}

#[test]
fn a_token_is_asked_for_and_kept_in_the_tab() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    let browser = Browser::open(&format!("http://{}/", gate(world.detour.control)));
    browser.size(1280, 900);
    browser.sees("#token[open]", "A token, please");
    assert_eq!(browser.text("#state"), "", "nothing is shown without");
    browser.press("detour_wrong");
    browser.press(ENTER);
    browser.sees("#token[open]", "That token is not taken.");
    browser.press(TOKEN);
    browser.press(ENTER);
    browser.sees("#state", "The one service is served from where it should be");
    browser.click("button[aria-label='Drain fra']");
    browser.sees("#act-preview", "1 service moves");
    browser.press("disk swap");
    browser.click("#act-do");
    browser.sees("#act-result", "Done.");
    world.settles_on_iad();
    browser.js("location.reload()");
    browser.sees("#state", "moved off fra");
    assert_eq!(browser.js("return localStorage.getItem('detour-token')"), serde_json::Value::Null);
    // A browser tells the console of each refusal, and of nothing else here.
    let strange: Vec<String> =
        browser.complaints().into_iter().filter(|line| !line.contains("status of 401")).collect();
    assert_eq!(strange, [""; 0]);
}
