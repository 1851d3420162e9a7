//! Follows the news of a run: progress bars on a terminal, plain lines elsewhere, lines of JSON for
//! programs, entries for the node's journal.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::SystemTime;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::paint::{Paint, can_draw};
use super::record::{Entry, Record};
use super::table;
use super::watch::Watch;
use crate::dcos::action_key::ActionKey;
use crate::dcos::event::{Event, Events, SCHEMA, Watched};
use crate::dcos::moment;
use crate::dcos::trust::Origin;

/// Where lines go; each is written by one call.
pub type Lines = Box<dyn Write + Send>;

/// Somebody who is told in one line what is being done, such as the service manager.
pub type Listener = Box<dyn FnMut(&str) + Send>;

/// Takes entries of the node's journal.
pub type Journal = Box<dyn FnMut(&Entry) + Send>;

/// How to follow.
#[derive(Default)]
pub struct Wish {
    /// Where plain lines go; none: bars and lines to standard error.
    pub plain: Option<Lines>,
    /// The node's journal.
    pub journal: Option<Journal>,
    /// Where lines of JSON go.
    pub lines: Option<Lines>,
    /// Who else is told what is being done.
    pub listener: Option<Listener>,
    /// Every action, not only the long ones.
    pub verbose: bool,
    /// Nothing but warnings.
    pub quiet: bool,
    /// No colour.
    pub no_color: bool,
}

/// Somebody who follows; ends when the last sender of events is gone.
#[derive(Debug)]
pub struct Follower(JoinHandle<()>);

impl Follower {
    /// Waits until everything is told.
    pub fn finish(self) {
        let _ = self.0.join();
    }
}

/// Lines to standard output.
pub fn stdout() -> Lines {
    Box::new(io::stdout())
}

/// Lines to nobody.
pub fn nowhere() -> Lines {
    Box::new(io::sink())
}

/// Begins to follow.
///
/// # Errors
/// The thread for it is refused.
pub fn follow(wish: Wish) -> io::Result<(Events, Follower)> {
    let (sender, receiver) = channel();
    let teller = Teller {
        // What would hide its bars would hide the lines between them too.
        bars: (wish.plain.is_none() && can_draw(&io::stderr()))
            .then(MultiProgress::new)
            .filter(|bars| !bars.is_hidden()),
        plain: wish.plain,
        paint: Paint::stderr(wish.no_color),
        verbose: wish.verbose,
        quiet: wish.quiet,
        watch: Watch::default(),
        open: HashMap::new(),
    };
    let told = Told {
        lines: wish.lines,
        journal: wish.journal.map(|journal| (journal, Record::default())),
        listener: wish.listener,
    };
    let thread = std::thread::Builder::new().spawn(move || tell(&receiver, teller, told))?;
    Ok((Events::to(sender), Follower(thread)))
}

/// A line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// Those who are told besides people.
struct Told {
    lines: Option<Lines>,
    journal: Option<(Journal, Record)>,
    listener: Option<Listener>,
}

fn tell(receiver: &Receiver<Event>, mut teller: Teller, mut told: Told) {
    for event in receiver {
        tracing::debug!(target: "dcos_node::event", ?event);
        told.tell(&event);
        teller.tell(&event);
    }
    teller.clear();
}

impl Told {
    fn tell(&mut self, event: &Event) {
        let line = || Line { schema: SCHEMA, time: moment::rfc3339(SystemTime::now()), event };
        if let Some(lines) = &mut self.lines
            && let Ok(line) = serde_json::to_string(&line())
        {
            // A reader that has gone away is no reason to stop an install.
            let _ = lines.write_all((line + "\n").as_bytes()).and_then(|()| lines.flush());
        }
        if let Some((journal, record)) = &mut self.journal
            && let Some(entry) = record.entry(event)
        {
            journal(&entry);
        }
        if let (Some(listener), Some(text)) = (&mut self.listener, in_one_line(event)) {
            listener(text);
        }
    }
}

/// What is being done now, if the event tells.
fn in_one_line(event: &Event) -> Option<&str> {
    match event {
        Event::Begun { text, .. }
        | Event::Undone { text, .. }
        | Event::Waiting { text }
        | Event::Note { text }
        | Event::Warning { text } => Some(text),
        Event::Watched(watched) => watched.waits_for.as_deref(),
        Event::Started { .. }
        | Event::Planned { .. }
        | Event::Progress { .. }
        | Event::Ended { .. } => None,
        Event::Done { .. }
        | Event::Failed { .. }
        | Event::Package { .. }
        | Event::Answered { .. } => None,
    }
}

struct Teller {
    bars: Option<MultiProgress>,
    plain: Option<Lines>,
    paint: Paint,
    verbose: bool,
    quiet: bool,
    watch: Watch,
    open: HashMap<ActionKey, ProgressBar>,
}

impl Teller {
    fn tell(&mut self, event: &Event) {
        match event {
            Event::Warning { text } => self.write(&format!(
                "{} {}",
                self.paint.doubtful("warning:"),
                table::in_one_line(text)
            )),
            _ if self.quiet => {}
            Event::Note { text } => self.line(text),
            Event::Answered { at, client, method, path, status, bytes, milliseconds } => self
                .line(&format!("{at} {client} {method} {path} {status} {bytes} {milliseconds}ms")),
            Event::Waiting { text } => self.line(&format!("waiting {text}")),
            Event::Watched(watched) => self.watch(watched),
            Event::Package { id, origin, .. } if self.verbose || *origin != Origin::Fetched => {
                self.line(&format!("{id}: {origin}"))
            }
            Event::Undone { text, .. } if self.verbose => self.line(text),
            Event::Begun { text, .. } if self.verbose => self.line(text),
            Event::Begun { key, text } if key.is_long() => self.begin(key, text),
            Event::Progress { key, bytes, total } => self.progress(key, *bytes, *total),
            Event::Done { key } | Event::Failed { key, .. } => self.end(key),
            Event::Started { .. }
            | Event::Ended { .. }
            | Event::Planned { .. }
            | Event::Begun { .. }
            | Event::Package { .. }
            | Event::Undone { .. } => {}
        }
    }

    fn begin(&mut self, key: &ActionKey, text: &str) {
        match &self.bars {
            Some(bars) if key.is_transfer() => {
                let bar = bars.add(ProgressBar::new_spinner());
                bar.set_message(table::in_one_line(&key.to_string()));
                self.open.insert(key.clone(), bar);
            }
            _ => self.line(text),
        }
    }

    fn progress(&mut self, key: &ActionKey, bytes: u64, total: Option<u64>) {
        let Some(bar) = self.open.get(key) else { return };
        if let (Some(total), None) = (total, bar.length()) {
            bar.set_length(total);
            // The template is constant; if it did not parse, the default form would do.
            if let Ok(style) = ProgressStyle::with_template(
                "{wide_msg} {bytes:>10}/{total_bytes:10} {bytes_per_sec:>12}",
            ) {
                bar.set_style(style);
            }
        }
        bar.set_position(bytes);
    }

    /// A live table on a terminal; elsewhere a line when something changes.
    fn watch(&mut self, watched: &Watched) {
        match &self.bars {
            Some(bars) => self.watch.draw(bars, watched, self.paint),
            None => {
                if let Some(line) = self.watch.news(watched) {
                    self.line(&line);
                }
            }
        }
    }

    fn end(&mut self, key: &ActionKey) {
        if let Some(bar) = self.open.remove(key) {
            bar.finish_and_clear();
        }
    }

    fn line(&mut self, text: &str) {
        self.write(&table::in_one_line(text));
    }

    fn write(&mut self, text: &str) {
        match (&self.bars, &mut self.plain) {
            (Some(bars), _) => drop(bars.println(text)),
            // As with standard error: nobody has to read it.
            (None, Some(plain)) => drop(plain.write_all(format!("{text}\n").as_bytes())),
            (None, None) => super::complaint(&format!("{text}\n")),
        }
    }

    fn clear(&self) {
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
        }
    }
}
