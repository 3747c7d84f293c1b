//! What the screen shows, and what a key does to it. No clock and no terminal: moments are arguments.

use std::time::Instant;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::fetch::{Asked, PAGE, Told};
use crate::api::overview::{Overview, Row};

/// The longest search, in characters; the daemon takes 200 bytes.
const MAX_SEARCH: usize = 40;
/// How far a page goes when the height of the table is not known yet.
const FIRST_PAGE: usize = 10;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Go,
    Quit,
}

/// What is in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Services,
    Detail,
    Help,
}

/// Everything the screen shows.
pub(super) struct Model {
    pub address: String,
    pub colour: bool,
    pub view: View,
    pub picture: Option<Box<Overview>>,
    pub events: Vec<String>,
    pub detail: Option<String>,
    /// The first line of the detail, or of the help, that is shown.
    pub scroll: usize,
    /// When the picture came.
    pub came: Option<Instant>,
    /// Since when none comes, why, and what the daemon says of itself.
    pub silent: Option<(Instant, String, Vec<String>)>,
    /// The service the cursor is on: its place among all that are looked for.
    pub cursor: usize,
    /// Its name: it stays in sight when others move past it.
    name: Option<String>,
    pub search: String,
    /// Whether keys are letters of the search.
    pub searching: bool,
    pub off: bool,
    /// How many services fit on the screen, as it was drawn last.
    pub height: usize,
    /// How many lines the text in front can be scrolled by, as it was drawn last.
    pub spare: usize,
}

impl Model {
    pub fn new(address: String, colour: bool) -> Model {
        Model {
            address,
            colour,
            view: View::Services,
            picture: None,
            events: Vec::new(),
            detail: None,
            scroll: 0,
            came: None,
            silent: None,
            cursor: 0,
            name: None,
            search: String::new(),
            searching: false,
            off: false,
            height: FIRST_PAGE,
            spare: 0,
        }
    }

    /// What to ask the daemon for.
    pub fn asked(&self) -> Asked {
        let detail = self.name.clone().filter(|_| self.view == View::Detail);
        // The cursor stays well within the page that is held.
        let offset = self.cursor.saturating_sub(PAGE / 2) / (PAGE / 4) * (PAGE / 4);
        Asked { search: self.search.clone(), off: self.off, offset, detail }
    }

    /// What the daemon said.
    pub fn take(&mut self, told: Told, now: Instant) {
        let (asked, picture, events, detail) = match told {
            Told::Silent { why, reasons } => {
                let since = self.silent.as_ref().map_or(self.came.unwrap_or(now), |(since, ..)| *since);
                self.silent = Some((since, why, reasons));
                return;
            }
            Told::Picture { asked, picture, events, detail } => (asked, picture, events, detail),
        };
        (self.silent, self.came, self.events) = (None, Some(now), events);
        if asked.detail == self.asked().detail {
            self.detail = detail;
        }
        // What was looked for before is of no use to who looks for something else.
        if (asked.search.as_str(), asked.off) != (self.search.as_str(), self.off) {
            return;
        }
        let again =
            self.name.as_ref().and_then(|name| picture.services.iter().position(|row| row.name == *name));
        // Others got worse or better and stand elsewhere: the cursor follows its service, but the first place is
        // where the worst is seen.
        if let Some(at) = again.filter(|_| self.cursor > 0 || self.view == View::Detail) {
            self.cursor = picture.offset + at;
        }
        self.cursor = self.cursor.min(picture.matching.saturating_sub(1));
        self.picture = Some(picture);
        self.name = self.row().map(|row| row.name.clone()).or(self.name.take());
    }

    /// The service the cursor is on.
    pub fn row(&self) -> Option<&Row> {
        let picture = self.picture.as_ref()?;
        picture.services.get(self.cursor.checked_sub(picture.offset)?)
    }

    /// What a key, or a new size, does.
    pub fn press(&mut self, event: &Event) -> Then {
        let Event::Key(KeyEvent { code, modifiers, kind, .. }) = event else { return Then::Go };
        if *kind == KeyEventKind::Release {
            return Then::Go;
        }
        if modifiers.contains(KeyModifiers::CONTROL) {
            return if *code == KeyCode::Char('c') { Then::Quit } else { Then::Go };
        }
        if self.searching {
            self.type_search(*code);
            return Then::Go;
        }
        match (code, self.view) {
            (KeyCode::Char('q'), _) => return Then::Quit,
            (KeyCode::Char('?'), View::Services | View::Detail) => self.look(View::Help),
            (KeyCode::Esc | KeyCode::Backspace | KeyCode::Char('?'), View::Help | View::Detail) => {
                self.look(View::Services);
            }
            (KeyCode::Esc, View::Services) => self.find(String::new()),
            (KeyCode::Char('/'), View::Services) => self.searching = true,
            (KeyCode::Char('o'), View::Services) => {
                self.off = !self.off;
                self.go_to(0);
            }
            (KeyCode::Enter, View::Services) if self.row().is_some() => {
                self.detail = None;
                self.look(View::Detail);
            }
            (KeyCode::Down | KeyCode::Char('j'), _) => self.go(1, true),
            (KeyCode::Up | KeyCode::Char('k'), _) => self.go(1, false),
            (KeyCode::PageDown | KeyCode::Char(' '), _) => self.go(self.page(), true),
            (KeyCode::PageUp, _) => self.go(self.page(), false),
            (KeyCode::Home | KeyCode::Char('g'), _) => self.go(usize::MAX, false),
            (KeyCode::End | KeyCode::Char('G'), _) => self.go(usize::MAX, true),
            _ => {}
        }
        Then::Go
    }

    fn page(&self) -> usize {
        self.height.saturating_sub(1).max(1)
    }

    fn look(&mut self, view: View) {
        (self.view, self.scroll) = (view, 0);
    }

    fn go(&mut self, by: usize, down: bool) {
        let (at, last) = match self.view {
            View::Services => {
                let all = self.picture.as_ref().map_or(0, |picture| picture.matching);
                (self.cursor, all.saturating_sub(1))
            }
            View::Detail | View::Help => (self.scroll, self.spare),
        };
        let to = if down { at.saturating_add(by).min(last) } else { at.saturating_sub(by) };
        match self.view {
            View::Services => self.go_to(to),
            View::Detail | View::Help => self.scroll = to,
        }
    }

    fn go_to(&mut self, place: usize) {
        self.cursor = place;
        self.name = self.row().map(|row| row.name.clone());
    }

    fn type_search(&mut self, code: KeyCode) {
        let mut search = self.search.clone();
        match code {
            KeyCode::Enter => self.searching = false,
            KeyCode::Esc => {
                self.searching = false;
                search.clear();
            }
            KeyCode::Backspace => {
                search.pop();
            }
            KeyCode::Char(c) if search.chars().count() < MAX_SEARCH && !c.is_control() => search.push(c),
            _ => {}
        }
        self.find(search);
    }

    fn find(&mut self, search: String) {
        if search != self.search {
            self.search = search;
            self.cursor = 0;
            self.name = None;
        }
    }
}
