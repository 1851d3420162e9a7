//! A node that is waited for: a small table that redraws itself, or a line when something changes.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::paint::Paint;
use crate::dcos::cluster::{Member, Serving};
use crate::dcos::event::Watched;

/// What was told last.
#[derive(Default)]
pub struct Watch {
    told: Option<String>,
    bar: Option<ProgressBar>,
}

impl Watch {
    /// A line if something changed since the last one.
    pub fn news(&mut self, watched: &Watched) -> Option<String> {
        let level = watched.level.map_or("not unpacked", |level| level.word());
        let text = match &watched.waits_for {
            Some(what) if watched.level < Some(watched.wanted) => format!("{level}; waits for {}: {what}", watched.wanted),
            _ => level.to_owned(),
        };
        if self.told.as_ref() == Some(&text) {
            return None;
        }
        self.told = Some(text.clone());
        Some(format!("{:>5} s  {text}", watched.seconds))
    }

    /// Draws the table anew; it goes when the level is reached.
    pub fn draw(&mut self, bars: &MultiProgress, watched: &Watched, paint: Paint) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            bar
        });
        bar.set_message(table(watched, paint));
        if watched.level >= Some(watched.wanted) {
            bar.finish_and_clear();
        }
    }
}

fn table(watched: &Watched, paint: Paint) -> String {
    let level = watched.level.map_or("not unpacked", |level| level.word());
    let minutes = format!("{}:{:02}", watched.seconds / 60, watched.seconds % 60);
    let mut rows = vec![format!("{level} -> {}  {minutes}", watched.wanted)];
    let units: Vec<String> = watched.units.iter().map(|(word, count)| format!("{count} {}", coloured(word, paint))).collect();
    rows.push(format!("  units    {}", units.join(", ")));
    for Member { host, serving, leads } in &watched.masters {
        let word = match serving {
            Serving::Latent => paint.doubtful("latent"),
            Serving::Down => paint.bad("down"),
            Serving::NotServing => paint.doubtful("not serving"),
            Serving::Serving => paint.good("serving"),
        };
        rows.push(format!("  master   {host:15} {word}{}", if *leads { ", leads" } else { "" }));
    }
    if let Some(what) = &watched.waits_for {
        rows.push(format!("  waits    {what}"));
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
        let masters = vec![Member { host: "10.0.0.2".into(), serving: Serving::Down, leads: false }];
        let waits_for = waits_for.map(str::to_owned);
        Watched { wanted: Level::ClusterReady, level: Some(level), seconds: 75, units, masters, waits_for, unit: None }
    }

    #[test]
    fn a_line_is_told_when_something_changes_and_not_again() {
        let mut watch = Watch::default();
        let waiting = watched(Level::NodeReady, Some("waiting for masters: 10.0.0.2"));
        assert_eq!(watch.news(&waiting).unwrap(), "   75 s  node-ready; waits for cluster-ready: waiting for masters: 10.0.0.2");
        assert_eq!(watch.news(&waiting), None);
        assert_eq!(watch.news(&watched(Level::ClusterReady, None)).unwrap(), "   75 s  cluster-ready");
    }

    #[test]
    fn the_table_has_units_masters_and_what_it_waits_for() {
        let table = table(&watched(Level::Started, Some("dcos-net.service: is starting")), Paint::stderr(true));
        assert_eq!(
            table,
            "started -> cluster-ready  1:15\n  units    2 converging, 28 well\n  master   10.0.0.2        down\n  waits    dcos-net.service: is starting"
        );
    }
}
