//! The very screens, as `screens/` has them; with DETOUR_WRITE_SCREENS=1 they are written anew, to be looked at.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::fetch::Told;
use super::model::{Model, Then, View};
use super::{draw, fetch};
use crate::api::fixed::{Served, served};
use crate::api::overview::{Overview, Row, Stance};
use crate::cli::client::Client;
use crate::cli::find::Found;

/// A screen over a daemon of tests.
struct Screen {
    served: Served,
    model: Model,
    began: Instant,
}

fn client(served: &Served) -> Client {
    Client::new(Found::plain(served.addr, "the test")).unwrap()
}

impl Screen {
    async fn new() -> Screen {
        let served = served().await;
        // The port differs from run to run.
        let model = Model::new("127.0.0.1:8053".to_owned(), false);
        let mut screen = Screen { served, model, began: Instant::now() };
        screen.ask().await;
        screen
    }

    /// What the daemon says now.
    async fn ask(&mut self) {
        let (asked, asking) = tokio::sync::watch::channel(self.model.asked());
        let (told, mut answers) = tokio::sync::mpsc::channel(1);
        let fetching = fetch::run(client(&self.served), Duration::from_secs(1), asking, told);
        let answer = tokio::select! {
            () = fetching => panic!("it asks as long as somebody listens"),
            answer = answers.recv() => answer.unwrap(),
        };
        drop(asked);
        self.model.take(answer, self.began);
    }

    fn press(&mut self, code: KeyCode) -> Then {
        self.model.press(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn write(&mut self, text: &str) {
        for c in text.chars() {
            assert_eq!(self.press(KeyCode::Char(c)), Then::Go);
        }
    }

    /// The screen, so many seconds after the picture came.
    fn drawn(&mut self, width: u16, height: u16, secs: u64) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let now = self.began + Duration::from_secs(secs);
        terminal.draw(|frame| draw::draw(frame, &mut self.model, now)).unwrap();
        terminal
    }

    fn text(&mut self, width: u16, height: u16, secs: u64) -> String {
        let terminal = self.drawn(width, height, secs);
        let cells = terminal.backend().buffer().content();
        let lines = cells.chunks(width.into()).map(|line| {
            let line: String = line.iter().map(ratatui::buffer::Cell::symbol).collect();
            line.trim_end().to_owned() + "\n"
        });
        lines.collect()
    }

    /// Whether it looks as `screens/` has it.
    fn is(&mut self, name: &str, width: u16, height: u16, secs: u64) {
        let text = self.text(width, height, secs);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/top/screens").join(name);
        if std::env::var_os("DETOUR_WRITE_SCREENS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let want = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(text == want, "{name} is to be\n{want}\nand is\n{text}");
    }
}

#[tokio::test]
async fn the_whole_picture_on_a_small_and_on_a_wide_screen() {
    let mut screen = Screen::new().await;
    screen.is("80x24.txt", 80, 24, 1);
    screen.is("130x32.txt", 130, 32, 1);
    screen.is("narrow.txt", 44, 14, 1);
    assert!(screen.text(30, 8, 1).starts_with("too small"));
    for (width, height) in [(1, 1), (40, 10), (41, 11), (80, 10), (40, 60), (300, 100)] {
        screen.text(width, height, 1);
    }
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_is_loud_and_what_it_said_last_stays() {
    let mut screen = Screen::new().await;
    assert!(screen.text(80, 24, 11).lines().next().unwrap().ends_with(" OLD: 11s"));
    screen.served.daemon.gone.store(true, Ordering::Relaxed);
    screen.served.daemon.failing.store(true, Ordering::Relaxed);
    screen.model.asked();
    // The picture that is shared is shown again for a moment; then there is none.
    loop {
        screen.ask().await;
        if screen.model.silent.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    screen.is("stuck.txt", 80, 24, 12);

    let why = "cannot reach the daemon: connection refused".to_owned();
    screen.model.take(Told::Silent { why, reasons: vec![] }, screen.began + Duration::from_secs(20));
    let text = screen.text(80, 24, 30);
    assert!(text.lines().next().unwrap().ends_with("NO ANSWER for 30s"), "{text}");
    assert!(text.contains("connection refused"), "{text}");
}

#[tokio::test]
async fn keys_choose_explain_search_and_end() {
    let mut screen = Screen::new().await;
    assert_eq!(screen.model.row().unwrap().name, "app.example.com");
    screen.press(KeyCode::Char('j'));
    screen.press(KeyCode::Down);
    screen.press(KeyCode::Down);
    assert_eq!(screen.model.cursor, 2, "not beyond the last");
    screen.press(KeyCode::Char('k'));
    assert_eq!(screen.model.row().unwrap().name, "www.example.com");
    screen.press(KeyCode::Home);

    screen.press(KeyCode::Enter);
    screen.ask().await;
    screen.is("detail.txt", 80, 24, 1);
    screen.press(KeyCode::PageDown);
    assert!(screen.model.scroll > 0);
    screen.press(KeyCode::Esc);
    assert_eq!(screen.model.view, View::Services);

    screen.press(KeyCode::Char('/'));
    screen.write("quit www");
    assert_eq!(screen.model.search, "quit www", "q is a letter here");
    assert!(screen.text(80, 24, 1).contains("search: quit www_"));
    screen.ask().await;
    assert!(screen.text(80, 24, 1).contains("no service is what you look for"));
    for _ in 0..8 {
        screen.press(KeyCode::Backspace);
    }
    screen.write("www");
    screen.press(KeyCode::Enter);
    screen.ask().await;
    assert_eq!(screen.model.row().unwrap().name, "www.example.com");
    assert!(screen.text(80, 24, 1).contains("SERVICE 1/1"));
    screen.press(KeyCode::Esc);
    screen.ask().await;
    assert!(screen.text(80, 24, 1).contains("SERVICE 1/3"));

    screen.press(KeyCode::Char('?'));
    screen.is("help.txt", 80, 24, 1);
    screen.press(KeyCode::Char('?'));
    let control_c = Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert_eq!(screen.model.press(&control_c), Then::Quit);
    assert_eq!(screen.press(KeyCode::Char('q')), Then::Quit);
}

/// One page of so many services that are all the same.
fn page(of: &Overview, asked: &fetch::Asked, all: usize) -> Overview {
    let row = |at: usize| Row {
        name: format!("s{at:05}.example.com"),
        stance: Stance::Home,
        ..of.services[0].clone()
    };
    let upto = all.min(asked.offset + fetch::PAGE);
    let services = (asked.offset..upto).map(row).collect();
    Overview { frame: of.frame.clone(), matching: all, offset: asked.offset, services }
}

#[tokio::test]
async fn ten_thousand_services_are_walked_page_by_page() {
    let mut screen = Screen::new().await;
    let first = screen.model.picture.clone().unwrap();
    let told = |screen: &mut Screen| {
        let asked = screen.model.asked();
        let picture = Box::new(page(&first, &asked, 10_000));
        let events = vec!["2026-11-21T03:00:00.000Z  \u{1b}[2Jnasty".to_owned()];
        screen.model.take(Told::Picture { asked, picture, events, detail: None }, screen.began);
    };
    told(&mut screen);
    screen.text(80, 24, 1);
    for _ in 0..700 {
        screen.press(KeyCode::PageDown);
        told(&mut screen);
        let row = screen.model.row().expect("what the cursor is on is always held");
        assert_eq!(row.name, format!("s{:05}.example.com", screen.model.cursor));
    }
    screen.press(KeyCode::End);
    assert_eq!(screen.model.row(), None, "that page is not here yet");
    screen.text(80, 24, 1);
    told(&mut screen);
    let text = screen.text(80, 24, 1);
    assert!(
        text.contains("SERVICE 10000/10000") && text.contains("> home      s09999.example.com"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'));
    screen.press(KeyCode::Home);
    told(&mut screen);
    assert_eq!(screen.model.row().unwrap().name, "s00000.example.com");
}

#[tokio::test]
async fn colour_is_never_the_only_sign_and_can_be_had_off() {
    let mut screen = Screen::new().await;
    let coloured = |screen: &mut Screen| {
        let terminal = screen.drawn(80, 24, 1);
        let buffer = terminal.backend().buffer().clone();
        buffer.content().iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(!coloured(&mut screen));
    let plain = screen.text(80, 24, 1);
    screen.model.colour = true;
    assert!(coloured(&mut screen));
    assert_eq!(screen.text(80, 24, 1), plain, "the same words");
}
