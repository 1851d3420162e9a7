//! A node that is waited for: a small table that redraws itself, or a line when something changes.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::paint::Paint;
use super::table::in_one_line;
use crate::dcos::cluster::{Member, Serving};
use crate::dcos::event::Watched;

/// Counts of units move at nearly every look of a node that comes up: they are told at most so
/// often, in seconds.
const COUNTS: u64 = 10;

/// What was told last.
#[derive(Default)]
pub struct Watch {
    told: Option<Told>,
    bar: Option<ProgressBar>,
}

struct Told {
    /// The line without its figures, which change at every look.
    text: String,
    units: String,
    seconds: u64,
}

impl Watch {
    /// A line if something changed since the last one.
    pub fn news(&mut self, watched: &Watched) -> Option<String> {
        let level = watched.level.map_or("not unpacked", |level| level.word());
        let waits = match &watched.waits_for {
            Some(what) if watched.level < Some(watched.wanted) => {
                format!("{level}; waits for {}: {}", watched.wanted, in_one_line(what))
            }
            _ => level.to_owned(),
        };
        let masters: Vec<String> = watched
            .masters
            .iter()
            .map(|m| format!("{} {}", in_one_line(&m.host), state(m).0))
            .collect();
        let masters = if masters.is_empty() {
            String::new()
        } else {
            format!("; masters: {}", masters.join(", "))
        };
        let units = units(watched, |word| word.to_owned());
        let text = without_figures(&format!("{waits}{masters}"));
        if let Some(told) = &self.told
            && told.text == text
            && (told.units == units || watched.seconds < told.seconds + COUNTS)
        {
            return None;
        }
        self.told = Some(Told { text, units: units.clone(), seconds: watched.seconds });
        let units = if units.is_empty() { units } else { format!(" (units: {units}{masters})") };
        Some(format!("{:>5} s  {waits}{units}", watched.seconds))
    }

    /// Draws the table anew; it goes when the level is reached. Between two looks, which can take
    /// long, the time goes on.
    pub fn draw(&mut self, bars: &MultiProgress, watched: &Watched, paint: Paint) {
        let level = watched.level.map_or("not unpacked", |level| level.word());
        let bar = self.bar.get_or_insert_with(|| {
            let bar = bars
                .add(ProgressBar::new_spinner().with_elapsed(Duration::from_secs(watched.seconds)));
            if let Ok(style) = ProgressStyle::with_template("{prefix}  {minutes}\n{msg}") {
                bar.set_style(style.with_key("minutes", minutes));
            }
            bar.enable_steady_tick(Duration::from_secs(1));
            bar
        });
        bar.set_prefix(format!("{level} -> {}", watched.wanted));
        bar.set_message(table(watched, paint));
        if watched.level >= Some(watched.wanted) {
            bar.finish_and_clear();
        }
    }
}

fn minutes(state: &ProgressState, out: &mut dyn Write) {
    let seconds = state.elapsed().as_secs();
    let _ = write!(out, "{}:{:02}", seconds / 60, seconds % 60);
}

/// A text without the numbers that only count: seconds, and how often something was restarted.
fn without_figures(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let counts = |at: usize| {
        let unit = words.get(at + 1).map(|word| word.trim_end_matches([',', ';', ')']));
        words.get(at).is_some_and(|word| word.bytes().all(|b| b.is_ascii_digit()))
            && matches!(unit, Some("s" | "times"))
    };
    let kept: Vec<&str> =
        words.iter().enumerate().filter(|(at, _)| !counts(*at)).map(|(_, word)| *word).collect();
    kept.join(" ")
}

fn units(watched: &Watched, paint: impl Fn(&str) -> String) -> String {
    watched
        .units
        .iter()
        .map(|(word, count)| format!("{count} {}", paint(word)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// How a master is, in words.
fn state(member: &Member) -> (String, Serving) {
    let word = match member.serving {
        Serving::Latent => "latent",
        Serving::Down => "down",
        Serving::NotServing => "not serving",
        Serving::Serving => "serving",
    };
    (format!("{word}{}", if member.leads { ", leads" } else { "" }), member.serving)
}

fn table(watched: &Watched, paint: Paint) -> String {
    let mut rows = vec![format!("  units    {}", units(watched, |word| coloured(word, paint)))];
    for member in &watched.masters {
        let (word, serving) = state(member);
        let word = match serving {
            Serving::Latent | Serving::NotServing => paint.doubtful(&word),
            Serving::Down => paint.bad(&word),
            Serving::Serving => paint.good(&word),
        };
        rows.push(format!("  master   {:15} {word}", in_one_line(&member.host)));
    }
    if let Some(what) = &watched.waits_for {
        rows.push(format!("  waits    {}", in_one_line(what)));
    }
    rows.join("\n")
}

fn coloured(word: &str, paint: Paint) -> String {
    match word {
        "well" => paint.good(word),
        "failed" => paint.bad(word),
        other => paint.doubtful(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::level::Level;

    fn watched(level: Level, waits_for: Option<&str>) -> Watched {
        let units = [("well".to_owned(), 28), ("converging".to_owned(), 2)].into();
        let masters =
            vec![Member { host: "10.0.0.2".into(), serving: Serving::Down, leads: false }];
        let waits_for = waits_for.map(str::to_owned);
        Watched {
            wanted: Level::ClusterReady,
            level: Some(level),
            seconds: 75,
            units,
            masters,
            waits_for,
            unit: None,
        }
    }

    #[test]
    fn watch_prints_a_line_once_per_change() {
        let mut watch = Watch::default();
        let mut waiting = watched(Level::NodeReady, Some("waiting for masters: 10.0.0.2"));
        assert_eq!(
            watch.news(&waiting).unwrap(),
            "   75 s  node-ready; waits for cluster-ready: waiting for masters: 10.0.0.2 (units: 2 \
             converging, 28 well; masters: 10.0.0.2 down)"
        );
        assert_eq!(watch.news(&waiting), None);
        waiting.masters[0].serving = Serving::NotServing;
        assert!(watch.news(&waiting).unwrap().ends_with("masters: 10.0.0.2 not serving)"));
        // Units come up one by one.
        waiting.units.insert("well".into(), 29);
        assert_eq!(watch.news(&waiting), None);
        waiting.seconds += COUNTS;
        assert!(watch.news(&waiting).unwrap().contains("29 well"));
        let arrived = watched(Level::ClusterReady, None);
        assert!(watch.news(&arrived).unwrap().starts_with("   75 s  cluster-ready (units: "));
    }

    #[test]
    fn changed_counter_prints_nothing_but_changed_address_does() {
        let mut watch = Watch::default();
        let young = |seconds| {
            watched(
                Level::Started,
                Some(&format!(
                    "dcos-x.service: is active for only {seconds} s, and was restarted {seconds} \
                     times"
                )),
            )
        };
        assert!(watch.news(&young(3)).is_some());
        assert_eq!(watch.news(&young(4)), None);
        assert!(
            watch.news(&watched(Level::Started, Some("waiting for masters: 10.0.0.2"))).is_some()
        );
        assert!(
            watch.news(&watched(Level::Started, Some("waiting for masters: 10.0.0.3"))).is_some()
        );
    }

    #[test]
    fn watch_escapes_control_characters() {
        let table = table(&watched(Level::Started, Some("\u{1b}[2J\nboom")), Paint::stderr(true));
        assert!(table.ends_with("\n  waits    \\u{1b}[2J boom"), "{table:?}");
    }

    #[test]
    fn watch_table_has_units_masters_and_pending_causes() {
        let table = table(
            &watched(Level::Started, Some("dcos-net.service: is starting")),
            Paint::stderr(true),
        );
        assert_eq!(
            table,
            "  units    2 converging, 28 well\n  master   10.0.0.2        down\n  waits    \
             dcos-net.service: is starting"
        );
    }
}
