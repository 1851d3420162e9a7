//! Waits until DC/OS' own check-time would pass: a fresh ntpd needs about a quarter of an hour for
//! that.

use std::time::Duration;

use tokio::time::Instant;

use super::{Failure, World};
use crate::dcos::event::Event;
use crate::dcos::exit::Exit;
use crate::preflight::clock::fault;
use crate::system::cancellation::Ended;

/// How often the clock is looked at.
const STEP: Duration = Duration::from_secs(1);
/// How often it is told that it is still waited for.
const NEWS: Duration = Duration::from_secs(15);

/// Returns when the clock is in order or the time is up, which the checks then find. A clock that
/// cannot be read is not waited for.
pub(super) async fn wait(limit: Duration, world: &World) -> Result<(), Failure> {
    wait_in_steps(limit, STEP, world).await
}

async fn wait_in_steps(limit: Duration, step: Duration, world: &World) -> Result<(), Failure> {
    let mut told = None;
    let ended = world.cancellation.poll(step, limit, async |waited| {
        let Some(fault) = world.clock.state().ok().as_ref().and_then(fault) else {
            return Some(waited);
        };
        if told.is_none_or(|told: Instant| told.elapsed() >= NEWS) {
            let text = format!(
                "for the clock, {} s of up to {} s: {fault}",
                waited.as_secs(),
                limit.as_secs()
            );
            world.events.send(Event::Waiting { text });
            told = Some(Instant::now());
        }
        None
    });
    match ended.await {
        Err(Ended::Cancelled) => return Err(interrupted()),
        Ok(waited) if told.is_some() => {
            world.events.note(format!("the clock is synchronised after {} s", waited.as_secs()))
        }
        Ok(_) | Err(Ended::TimeUp) => {}
    }
    Ok(())
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, anyhow::anyhow!("interrupted while waiting for the clock"))
        .leaving("nothing was changed")
        .cured_by("run the same command again")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::dcos::event::Events;
    use crate::system::cancellation::Cancellation;
    use crate::system::clock::{Clock, ClockState};
    use crate::system::root::Root;

    /// Is in order from the `good_from`th look on.
    struct Settling {
        looks: AtomicU32,
        good_from: u32,
    }

    impl Clock for Settling {
        fn state(&self) -> io::Result<ClockState> {
            let bad = self.looks.fetch_add(1, Ordering::Relaxed) < self.good_from;
            let error = if bad { Duration::from_secs(16) } else { Duration::ZERO };
            Ok(ClockState {
                marked_bad: bad,
                unsynchronised: bad,
                estimated_error: error,
                max_error: error,
                offset: error,
            })
        }
    }

    fn world(good_from: u32) -> (World, Arc<Settling>, Receiver<Event>) {
        let (sender, news) = channel();
        let clock = Arc::new(Settling { looks: AtomicU32::new(0), good_from });
        let world = World {
            root: Root::new(Path::new("/")),
            systemd: Some(Err("not asked".into())),
            clock: clock.clone(),
            events: Events::to(sender),
            cancellation: Cancellation::default(),
            patience: Duration::ZERO,
            command_line: String::new(),
            authorities: None,
            stamp: None,
        };
        (world, clock, news)
    }

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn clock_wait_shows_its_cause_and_ends_when_clock_is_synced() {
        let (world, clock, news) = world(3);
        wait_in_steps(LONG, SHORT, &world).await.unwrap();
        assert_eq!(clock.looks.load(Ordering::Relaxed), 4);
        let told: Vec<Event> = news.try_iter().collect();
        assert!(
            matches!(
                &told[0],
                Event::Waiting { text } if text.contains("TIME_ERROR") && text.contains("3600 s")
            ),
            "{told:?}"
        );
        assert!(matches!(told.last(), Some(Event::Note { .. })), "{told:?}");
    }

    #[tokio::test]
    async fn clock_wait_with_synced_clock_returns_at_once() {
        let (world, clock, news) = world(0);
        wait_in_steps(LONG, LONG, &world).await.unwrap();
        assert_eq!((clock.looks.load(Ordering::Relaxed), news.try_iter().count()), (1, 0));
    }

    #[tokio::test]
    async fn clock_wait_at_its_limit_leaves_the_result_to_the_checks() {
        let (world, _, _news) = world(u32::MAX);
        wait_in_steps(Duration::from_millis(5), SHORT, &world).await.unwrap();
    }

    #[tokio::test]
    async fn clock_wait_interrupted_changes_nothing() {
        let (world, _, _news) = world(u32::MAX);
        world.cancellation.request();
        let failure = wait_in_steps(LONG, LONG, &world).await.unwrap_err();
        assert_eq!(
            (failure.exit, failure.state.as_deref()),
            (Exit::Interrupted, Some("nothing was changed"))
        );
    }
}
