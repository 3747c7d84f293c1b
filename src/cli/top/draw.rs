//! The screen of a model. Every sign is a word; colour, where there is any, repeats it.

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as Cells, Table};

use super::model::{Model, View};
use crate::api::overview::{Overview, Row, Stance, Tone};
use crate::cli::show::{ago, list, printable, span};
use crate::engine::SiteView;
use crate::time::Time;

/// Below this there is no room for anything.
const LEAST: (u16, u16) = (40, 10);
/// How many sites and events are shown at most; fewer on a low screen.
const MAX_SITES: usize = 6;
const MAX_EVENTS: usize = 8;
/// What is shown is old from this age on.
const OLD: Duration = Duration::from_secs(10);

const HELP: &str = "\
detour top: what is served and why, as it changes. It changes nothing.

  Up k, Down j       one service up or down; PgUp, PgDn, Home g, End G
  Enter              the whole chain behind a service's answer; Esc goes back
  /                  search: words in names, sites and answers; Enter keeps it, Esc ends it
  o                  only services that are not where they should be, or all
  ?                  this page
  q, Ctrl-C          end

STATE of a service, the worst first:
  STRANDED    no endpoint works
  HELD        answered from a site that is Down: its move waits
  moved       answered from elsewhere than it should be
  failing     what it is answered from fails, and is not Down yet
  partial     a part of what it should be answered with is left out
  undecided   no sample has counted yet
  exposed     answered as it should be, and nobody could take over
  home        answered as it should be, with somebody to take over

The first line says how old what you see is. NO ANSWER there means that the daemon does not answer, or that its
engine is stuck: what is below is the last that it said. DNS is answered by other threads than these questions.

`detour explain`, `detour history`, `detour report` print; `detour drain`, `detour failover`, `detour failback`,
`detour approve` act.
";

pub(super) fn draw(frame: &mut Frame, model: &mut Model, now: Instant) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        frame.render_widget(Paragraph::new("too small"), area);
        return;
    }
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    header(frame, model, now, head);
    match model.view {
        View::Help => text(frame, model, HELP, body),
        View::Detail => {
            let story = model.detail.clone().unwrap_or_else(|| "asking the daemon ...".to_owned());
            text(frame, model, &printable(&story), body);
        }
        View::Services => services(frame, model, body),
    }
    footer(frame, model, foot);
}

/// Colours where they are wanted.
fn paint(model: &Model, colour: Color) -> Style {
    if model.colour { Style::new().fg(colour) } else { Style::new() }
}

fn loud(model: &Model) -> Style {
    paint(model, Color::Red).add_modifier(Modifier::REVERSED | Modifier::BOLD)
}

fn toned(model: &Model, tone: Tone) -> Style {
    match tone {
        Tone::Alarm => paint(model, Color::Red).add_modifier(Modifier::BOLD),
        Tone::Notice => paint(model, Color::Yellow),
        Tone::Well => paint(model, Color::Green),
    }
}

/// How things are, in one sentence; and how old that is.
fn header(frame: &mut Frame, model: &Model, now: Instant, area: Rect) {
    let [state, second] = Layout::vertical([Constraint::Length(1), Constraint::Length(1)]).areas(area);
    let age = model.came.map(|came| now.saturating_duration_since(came));
    let age = match (&model.silent, age) {
        (Some((since, ..)), _) => {
            let silent = span(now.saturating_duration_since(*since));
            Span::styled(format!(" NO ANSWER for {silent} "), loud(model))
        }
        (None, Some(age)) if age > OLD => Span::styled(format!(" OLD: {} ", span(age)), loud(model)),
        (None, Some(age)) => Span::raw(format!("{}s old", age.as_secs())),
        (None, None) => Span::raw("asking ..."),
    };
    let width = u16::try_from(age.width()).unwrap_or(u16::MAX);
    let [left, right] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(width)]).spacing(1).areas(state);
    frame.render_widget(age, right);
    let sentence = model.picture.as_ref().and_then(|picture| picture.frame.sentences.first());
    let said = match sentence {
        Some(sentence) => {
            let word = match sentence.tone {
                Tone::Alarm => "ALARM: ",
                Tone::Notice | Tone::Well => "",
            };
            Span::styled(
                printable(&format!("{word}{}", sentence.text)),
                toned(model, sentence.tone).add_modifier(Modifier::BOLD),
            )
        }
        None => Span::raw(format!("detour at {}", model.address)),
    };
    frame.render_widget(said, left);
    frame.render_widget(trouble(model), second);
}

/// What is wrong with the daemon itself, or with what it cannot see; else who it is.
fn trouble(model: &Model) -> Span<'static> {
    if let Some((_, why, reasons)) = &model.silent {
        let what = if reasons.is_empty() { why.clone() } else { format!("STUCK: {}", reasons.join("; ")) };
        return Span::styled(printable(&what), loud(model));
    }
    let Some(picture) = &model.picture else { return Span::raw("") };
    let frame = &picture.frame;
    let alarm = |text: String| Span::styled(printable(&text), toned(model, Tone::Alarm));
    if let Some(doubt) = &frame.doubt {
        return alarm(format!("IN DOUBT, no sample counts and nothing moves: {}", doubt.because));
    }
    if let Some(trouble) = frame.troubles.first() {
        return alarm(format!("the daemon is not well: {trouble}"));
    }
    if !frame.last_load.ok {
        return alarm("the configuration was REFUSED; the last good one serves".to_owned());
    }
    let waiting = frame.proposals.len();
    if waiting > 0 {
        let text = format!("{waiting} moves wait for an answer: `detour approve ID` or `detour reject ID`");
        return Span::styled(text, toned(model, Tone::Notice));
    }
    // The first sentence counts, where there are several; the second is the worst of them.
    if let Some(worst) = frame.sentences.get(1) {
        let silent = frame.alerts.iter().find(|receiver| receiver.failing);
        let alerts = silent.map(|receiver| format!("; alerts to {} are not delivered", receiver.id));
        let text = printable(&format!("{}{}", worst.text, alerts.unwrap_or_default()));
        return Span::styled(text, toned(model, worst.tone));
    }
    if let Some(failing) = frame.alerts.iter().find(|receiver| receiver.failing) {
        return Span::styled(
            format!("alerts to {} are not delivered", failing.id),
            toned(model, Tone::Notice),
        );
    }
    let up = span(frame.now.since(frame.started));
    Span::raw(printable(&format!(
        "detour {} at {}, up {up}, {}",
        frame.version,
        model.address,
        frame.config.display()
    )))
}

fn services(frame: &mut Frame, model: &mut Model, area: Rect) {
    let Some(picture) = model.picture.take() else { return };
    let sites = picture.frame.sites.len().min(MAX_SITES).min(usize::from(area.height) / 5).max(1);
    let events = MAX_EVENTS.min(usize::from(area.height) / 5);
    let low = |lines: usize| Constraint::Length(u16::try_from(lines).unwrap_or(u16::MAX));
    let [at, main, chosen, happened] =
        Layout::vertical([low(sites + 1), Constraint::Fill(1), low(3), low(events + 1)]).areas(area);
    sites_table(frame, model, &picture, at);
    service_table(frame, model, &picture, main);
    model.picture = Some(picture);
    choice(frame, model, chosen);
    recent(frame, model, happened);
}

fn heading<'a>(model: &Model, cells: impl IntoIterator<Item = &'a str>) -> Cells<'a> {
    let style = paint(model, Color::Cyan).add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
    Cells::new(cells.into_iter().map(Cell::from)).style(style)
}

fn sites_table(frame: &mut Frame, model: &Model, picture: &Overview, area: Rect) {
    let room = usize::from(area.height).saturating_sub(1);
    let mut sites: Vec<&SiteView> = picture.frame.sites.iter().collect();
    // Where there is no room for all, those that fail come first.
    if sites.len() > room {
        sites.sort_by_key(|site| std::cmp::Reverse((site.down, site.suspect, site.overridden.is_some())));
    }
    let more = sites.len().saturating_sub(room);
    let now = picture.frame.now;
    let row = |site: &SiteView| {
        let (word, tone) = match (site.down, site.suspect, site.up) {
            (0, 0, 0) => ("unknown", Tone::Notice),
            (0, 0, _) => ("up", Tone::Well),
            (0, ..) => ("suspect", Tone::Notice),
            (_, _, 0) => ("DOWN", Tone::Alarm),
            _ => ("partly down", Tone::Alarm),
        };
        let forced = match &site.overridden {
            Some(_) => crate::cli::show::forced(now, site.overridden.as_ref()),
            None => String::new(),
        };
        let counts =
            [site.up, site.suspect, site.down, site.serving].map(|count| Cell::from(count.to_string()));
        let mut cells =
            vec![Cell::from(printable(&site.id)), Cell::from(Span::styled(word, toned(model, tone)))];
        cells.extend(counts);
        cells.push(Cell::from(printable(&forced)));
        Cells::new(cells)
    };
    let title = if more > 0 { format!("SITE (+{more} more)") } else { "SITE".to_owned() };
    let head = heading(model, [&*title, "STATE", "UP", "SUSPECT", "DOWN", "SERVES", "OVERRIDE"]);
    let widths = [
        Constraint::Length(14),
        Constraint::Length(11),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Fill(1),
    ];
    frame.render_widget(Table::new(sites.into_iter().take(room).map(row), widths).header(head), area);
}

fn word(stance: Stance) -> &'static str {
    match stance {
        Stance::Stranded => "STRANDED",
        Stance::FamilyDown => "FAMILY DOWN",
        Stance::Held => "HELD",
        Stance::Moved => "moved",
        Stance::Failing => "failing",
        Stance::Partial => "partial",
        Stance::Undecided => "undecided",
        Stance::Exposed => "exposed",
        Stance::Home => "home",
    }
}

fn service_table(frame: &mut Frame, model: &mut Model, picture: &Overview, area: Rect) {
    let room = usize::from(area.height).saturating_sub(1);
    model.height = room.max(1);
    // The cursor's page of the whole list, as far as it is held.
    let first = model.cursor / model.height * model.height;
    let from = first.saturating_sub(picture.offset);
    let rows = picture.services.iter().enumerate().skip(from).take(room);
    let fits = Fits { wide: area.width >= 110, roomy: area.width >= 64 };
    let rows = rows.map(|(at, row)| {
        let chosen = picture.offset + at == model.cursor;
        service(model, row, picture.frame.now, chosen, fits)
    });
    let place = if picture.matching == 0 { 0 } else { model.cursor + 1 };
    let title = format!("SERVICE {place}/{}", picture.matching);
    let mut head = vec![" ", "STATE", &*title, "FROM"];
    let mut widths =
        vec![Constraint::Length(1), Constraint::Length(9), Constraint::Length(27), Constraint::Length(9)];
    if fits.roomy {
        head.extend(["SINCE", "TTL"]);
        widths.extend([Constraint::Length(7), Constraint::Length(5)]);
    } else {
        widths[2] = Constraint::Fill(2);
    }
    if fits.wide {
        head.push("ANSWER");
        widths.push(Constraint::Length(22));
    }
    head.push("WHY");
    widths.push(Constraint::Fill(1));
    let rows: Vec<Cells> = rows.collect();
    if rows.is_empty() {
        let none = if model.search.is_empty() && !model.off {
            "no service is configured"
        } else {
            "no service is what you look for: Esc ends a search, o shows all"
        };
        frame.render_widget(none, area);
        return;
    }
    frame.render_widget(Table::new(rows, widths).header(heading(model, head)), area);
}

/// Which columns there is room for.
#[derive(Clone, Copy)]
struct Fits {
    wide: bool,
    roomy: bool,
}

fn service(model: &Model, row: &Row, now: Time, chosen: bool, fits: Fits) -> Cells<'static> {
    let tone = row.stance.tone();
    let mut cells = vec![
        Cell::from(if chosen { ">" } else { " " }),
        Cell::from(Span::styled(word(row.stance), toned(model, tone))),
        Cell::from(printable(&row.name)),
        Cell::from(printable(&list(&row.sites))),
    ];
    if fits.roomy {
        cells.push(Cell::from(ago(now, row.since)));
        cells.push(Cell::from(row.ttl.map_or_else(|| "-".to_owned(), |ttl| format!("{ttl}s"))));
    }
    if fits.wide {
        let more = if row.more > 0 { format!(" +{}", row.more) } else { String::new() };
        cells.push(Cell::from(printable(&format!("{}{more}", list(&row.answers)))));
    }
    cells.push(Cell::from(printable(&row.because)));
    let style = if chosen { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    Cells::new(cells).style(style)
}

/// The service the cursor is on, in whole sentences.
fn choice(frame: &mut Frame, model: &Model, area: Rect) {
    let (Some(row), Some(picture)) = (model.row(), &model.picture) else { return };
    let now = picture.frame.now;
    let next = match row.next.at.filter(|at| *at > now) {
        Some(at) => format!("{} (in {})", row.next.text, span(at.since(now))),
        None => row.next.text.clone(),
    };
    let standby = match &row.standby {
        None => "no standby".to_owned(),
        Some(standby) => match &standby.unready {
            None => format!("{} could take over", standby.site),
            Some(why) => format!("{} could NOT take over: {why}", standby.site),
        },
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let line = |title: &'static str, text: &str| {
        Line::from(vec![Span::styled(title, bold), Span::raw(printable(text))])
    };
    let lines = vec![line("why   ", &row.because), line("next  ", &next), line("ready ", &standby)];
    frame.render_widget(Paragraph::new(lines), area);
}

fn recent(frame: &mut Frame, model: &Model, area: Rect) {
    let room = usize::from(area.height).saturating_sub(1);
    let style = paint(model, Color::Cyan).add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
    let mut lines = vec![Line::styled("RECENT, the newest first", style)];
    // The date is today's, mostly: the time is enough.
    let short = |text: &String| text.get(11..).map_or_else(|| text.clone(), str::to_owned);
    lines.extend(model.events.iter().take(room).map(|text| Line::raw(printable(&short(text)))));
    frame.render_widget(Paragraph::new(lines), area);
}

fn text(frame: &mut Frame, model: &mut Model, text: &str, area: Rect) {
    let lines: Vec<String> = text.lines().flat_map(|line| folded(line, usize::from(area.width))).collect();
    model.height = usize::from(area.height);
    model.spare = lines.len().saturating_sub(model.height);
    model.scroll = model.scroll.min(model.spare);
    let shown = lines.into_iter().skip(model.scroll).take(model.height).map(Line::raw);
    frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), area);
}

/// A line in as many as it takes, broken between words where that goes; what is broken off is set in.
fn folded(line: &str, width: usize) -> Vec<String> {
    let indent = " ".repeat((line.chars().take_while(|c| *c == ' ').count() + 2).min(width / 2));
    let mut chars: Vec<char> = line.chars().collect();
    let mut lines = Vec::new();
    while chars.len() > width.max(1) {
        let words = chars[..=width].iter().rposition(|c| *c == ' ');
        let at = words.filter(|at| *at > indent.len()).unwrap_or(width.max(1));
        let rest = chars.split_off(at);
        lines.push(chars.iter().collect());
        chars = indent.chars().chain(rest.into_iter().skip_while(|c| *c == ' ')).collect();
    }
    lines.push(chars.into_iter().collect());
    lines
}

fn footer(frame: &mut Frame, model: &Model, area: Rect) {
    let keys = match model.view {
        View::Services if model.searching => {
            let text = format!("search: {}_   Enter keeps it, Esc ends it", model.search);
            frame.render_widget(
                Span::styled(printable(&text), Style::new().add_modifier(Modifier::BOLD)),
                area,
            );
            return;
        }
        View::Services => {
            let found =
                if model.search.is_empty() { String::new() } else { format!("  [search: {}]", model.search) };
            let off = if model.off { "  [only what is off]" } else { "" };
            format!("q end  j/k move  Enter explain  / search  o only off  ? help{found}{off}")
        }
        View::Detail | View::Help => "Esc back  j/k scroll  q end".to_owned(),
    };
    frame.render_widget(Span::styled(printable(&keys), Style::new().add_modifier(Modifier::REVERSED)), area);
}
