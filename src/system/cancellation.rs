//! Cancellation: the one channel that a signal sets and every wait listens to, and the one loop
//! that looks again and again until something is there.

use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long a thread sleeps before it reads the channel again: a signal is answered within it.
const NAP: Duration = Duration::from_millis(100);

/// A request to stop at the next safe point. Clones share it, and it is never taken back.
#[derive(Clone, Debug)]
pub struct Cancellation(watch::Sender<bool>);

impl Default for Cancellation {
    fn default() -> Cancellation {
        Cancellation(watch::Sender::new(false))
    }
}

/// The wait ended because it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Cancelled;

/// Why [`Cancellation::poll`] found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop.
    Cancelled,
    /// The limit is over.
    TimeUp,
}

impl Cancellation {
    /// Asks everything that waits to stop.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody asked, for work that looks between two of its steps.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends as soon as somebody asks.
    pub async fn requested(&self) {
        // The channel stays open: its sender is here.
        let _ = self.0.subscribe().wait_for(|requested| *requested).await;
    }

    /// Waits for a future unless somebody asks to stop. It is dropped then, so it must be a pure
    /// wait or a question: what changes the node is never dropped midway.
    ///
    /// # Errors
    /// Somebody asked.
    pub async fn or<T>(&self, wait: impl Future<Output = T>) -> Result<T, Cancelled> {
        tokio::select! {
            biased;
            () = self.requested() => Err(Cancelled),
            done = wait => Ok(done),
        }
    }

    /// Pauses.
    ///
    /// # Errors
    /// Somebody asked to stop.
    pub async fn sleep(&self, pause: Duration) -> Result<(), Cancelled> {
        self.or(sleep(pause)).await
    }

    /// Looks at once, and again after every interval, until a look finds something; each look is
    /// given how long was waited. The last one is at the end of the limit. A look may be dropped at
    /// any point.
    ///
    /// # Errors
    /// Nothing was found within the limit, or somebody asked to stop.
    pub async fn poll<T>(
        &self,
        interval: Duration,
        limit: Duration,
        mut look: impl AsyncFnMut(Duration) -> Option<T>,
    ) -> Result<T, Ended> {
        let began = Instant::now();
        let found = self.or(async {
            loop {
                let waited = began.elapsed();
                if let Some(found) = look(waited).await {
                    return Some(found);
                }
                if waited >= limit {
                    return None;
                }
                sleep(interval.min(limit.saturating_sub(began.elapsed()))).await;
            }
        });
        match found.await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Ended::TimeUp),
            Err(Cancelled) => Err(Ended::Cancelled),
        }
    }

    /// The same for file work, on a thread that may block. A look that runs is not interrupted.
    ///
    /// # Errors
    /// As those of [`Cancellation::poll`].
    pub fn poll_blocking<T>(
        &self,
        interval: Duration,
        limit: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T, Ended> {
        let began = Instant::now();
        loop {
            if self.is_requested() {
                return Err(Ended::Cancelled);
            }
            if let Some(found) = look() {
                return Ok(found);
            }
            let waited = began.elapsed();
            if waited >= limit {
                return Err(Ended::TimeUp);
            }
            let next = waited + interval.min(limit.saturating_sub(waited));
            while !self.is_requested() && began.elapsed() < next {
                thread::sleep(NAP.min(next.saturating_sub(began.elapsed())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn poll_finds_something_and_stops_looking() {
        let mut looks = 0;
        let cancellation = Cancellation::default();
        let found = cancellation.poll(SHORT, LONG, async |_| {
            looks += 1;
            (looks == 3).then_some("it")
        });
        assert_eq!(found.await, Ok("it"));
        assert_eq!(looks, 3);
    }

    #[tokio::test]
    async fn poll_without_time_looks_once() {
        let mut looks = 0;
        let cancellation = Cancellation::default();
        let found = cancellation.poll(LONG, Duration::ZERO, async |_| {
            looks += 1;
            None::<()>
        });
        assert_eq!(found.await, Err(Ended::TimeUp));
        assert_eq!(looks, 1);
    }

    #[tokio::test]
    async fn cancelled_poll_ends_a_look_under_way() {
        let cancellation = Cancellation::default();
        let wait =
            cancellation.poll(LONG, LONG, async |_| std::future::pending::<Option<()>>().await);
        let (ended, ()) = tokio::join!(wait, async { cancellation.request() });
        assert_eq!(ended, Err(Ended::Cancelled));
    }

    #[test]
    fn blocking_poll_finds_something_and_stops_looking() {
        let mut looks = 0;
        let found = Cancellation::default().poll_blocking(SHORT, LONG, || {
            looks += 1;
            (looks == 3).then_some("it")
        });
        assert_eq!((found, looks), (Ok("it"), 3));
    }

    #[test]
    fn blocking_poll_without_time_looks_once() {
        let mut looks = 0;
        let found = Cancellation::default().poll_blocking(LONG, Duration::ZERO, || {
            looks += 1;
            None::<()>
        });
        assert_eq!((found, looks), (Err(Ended::TimeUp), 1));
    }

    #[test]
    fn cancelled_blocking_poll_ends_its_pause() {
        let cancellation = Cancellation::default();
        let found = cancellation.poll_blocking(LONG, LONG, || {
            cancellation.request();
            None::<()>
        });
        assert_eq!(found, Err(Ended::Cancelled));
    }

    #[tokio::test]
    async fn cancelled_pause_ends_for_every_clone() {
        let cancellation = Cancellation::default();
        let (one, other) = (cancellation.clone(), cancellation.clone());
        let (one, other, ()) =
            tokio::join!(one.sleep(LONG), other.sleep(LONG), async { cancellation.request() });
        assert_eq!((one, other), (Err(Cancelled), Err(Cancelled)));
        assert!(cancellation.is_requested());
        assert_eq!(cancellation.sleep(LONG).await, Err(Cancelled), "it is not taken back");
    }
}
