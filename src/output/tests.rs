use std::io::Write;
use std::sync::{Arc, Mutex};

use super::follow::{Wish, follow};
use super::paint::Paint;
use super::*;
use crate::command::Failure;
use crate::dcos::cluster::{Member, Serving};
use crate::dcos::event::{Event, Watched};
use crate::dcos::exit::Exit;
use crate::dcos::level::Level;
use crate::observe::cause::Cause;
use crate::observe::log_line::LogLine;
use crate::observe::services::{Condition, UnitReport};

/// What a unit, a server or a file may say: it clears a terminal, and goes on in what looks like a
/// line of ours.
const SAID: &str = "boom\u{1b}[2J\n  cure:   rm -rf /";
/// The same where people see it.
const SEEN: &str = "boom\\u{1b}[2J   cure:   rm -rf /";

fn paint() -> Paint {
    Paint::stdout(true)
}

#[track_caller]
fn is_seen(text: &str, lines: usize) {
    assert!(text.contains(SEEN) && !text.contains('\u{1b}'), "{text:?}");
    assert_eq!(text.lines().count(), lines, "{text}");
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn watched() -> Event {
    let masters = vec![Member { host: SAID.into(), serving: Serving::Down, leads: false }];
    let units = [("failed".to_owned(), 1)].into();
    Event::Watched(Box::new(Watched {
        wanted: Level::NodeReady,
        level: Some(Level::Started),
        seconds: 1,
        units,
        masters,
        waits_for: Some(SAID.into()),
        unit: None,
    }))
}

#[test]
fn status_escapes_control_characters_of_units() {
    let line = LogLine { identifier: String::new(), message: SAID.into() };
    let unit = UnitReport {
        name: "dcos-net.service".into(),
        description: String::new(),
        active: "failed".into(),
        sub: "failed".into(),
        condition: Condition::Failed,
        steady: true,
        fell: false,
        auxiliary: false,
        active_seconds: None,
        restarts: None,
        restarted: None,
        why: Some(Cause::UnitFileRejected(SAID.into())),
        cure: Some(SAID.into()),
        log: vec![line.clone(), line],
    };
    // Each stands below its own unit, too.
    let text = status::units(&[unit.clone(), unit], paint());
    is_seen(&text, 8);
    assert!(
        text.lines().nth(4).is_some_and(|line| line.starts_with("failed  dcos-net.service")),
        "{text}"
    );
}

#[test]
fn failure_escapes_control_characters_but_keeps_line_breaks() {
    let problems = "this node is not whole:\n  one\n  two\u{7}";
    let error =
        anyhow::Error::from(std::io::Error::other("x\u{1b}]0;title\u{7}")).context(problems);
    let failure = Failure::new(Exit::Failed, error).leaving("as it was").quoting(vec![SAID.into()]);
    let text = failure::text(&failure, None, paint());
    is_seen(&text, 6);
    assert!(
        text.starts_with(
            "error: this node is not whole:\n  one\n  two\\u{7}: x\\u{1b}]0;title\\u{7}\n  log:    \
             boom"
        ),
        "{text}"
    );
    assert!(text.lines().nth(4) == Some("  state:  as it was"), "{text}");
}

#[test]
fn progress_escapes_control_characters() {
    let text = || SAID.to_owned();
    let news = [
        Event::Note { text: text() },
        Event::Warning { text: text() },
        Event::Waiting { text: text() },
        watched(),
    ];
    let kept = Kept::default();
    let (sender, follower) =
        follow(Wish { plain: Some(Box::new(kept.clone())), no_color: true, ..Wish::default() })
            .unwrap();
    let count = news.len();
    news.into_iter().for_each(|event| sender.send(event));
    drop(sender);
    follower.finish();
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    is_seen(&text, count);
    assert_eq!(text.matches(SEEN).count(), count + 1, "{text}");
}
