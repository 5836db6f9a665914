//! Something that blocks, such as a connection to SQLite, on a thread of its own: the actors must not wait for it.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

/// Calls that wait for the thread; more wait in their callers, and are gone when these give up.
const WAITING: usize = 16;

/// How long whoever lets go of the thread waits for it to end in good order.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// A thread that owns a `T`, which it makes itself and drops at its end.
pub struct OwnThread<T> {
    /// `None` once the thread is told to end.
    jobs: Option<mpsc::Sender<Job<T>>>,
    ended: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
}

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// There is no answer: the thread is gone, or what it was to do panicked.
#[derive(Debug, thiserror::Error)]
#[error("its thread has ended or panicked")]
pub struct Ended;

impl<T: 'static> OwnThread<T> {
    /// Starts the thread, and waits until `open` has made what it owns; tells what `open` tells beside.
    pub async fn start<N: Send + 'static, E: Send + From<io::Error> + 'static>(
        name: &str,
        open: impl FnOnce() -> Result<(T, N), E> + Send + 'static,
    ) -> Result<(Self, N), E> {
        let (jobs, mut inbox) = mpsc::channel::<Job<T>>(WAITING);
        let (opened, answer) = oneshot::channel();
        let (end, ended) = sync_channel::<()>(0);
        let serve = move || {
            // Dropped last, whatever happens.
            let _end = end;
            match open() {
                Err(error) => drop(opened.send(Err(error))),
                Ok((mut owned, news)) => {
                    if opened.send(Ok(news)).is_err() {
                        return;
                    }
                    while let Some(job) = inbox.blocking_recv() {
                        job(&mut owned);
                    }
                }
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(serve)?;
        let news = answer.await.unwrap_or_else(|_| Err(E::from(io::Error::other(Ended))))?;
        Ok((Self { jobs: Some(jobs), ended: std::sync::Mutex::new(ended) }, news))
    }

    /// Runs `work` on the thread. A caller that gives up before its turn has come wants nothing done.
    pub async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, Ended> {
        let (reply, answer) = oneshot::channel();
        let job: Job<T> = Box::new(move |owned| {
            if reply.is_closed() {
                return;
            }
            // What panics has no answer, and harms no later call: a transaction that it began is rolled back.
            if let Ok(answer) = catch_unwind(AssertUnwindSafe(|| work(owned))) {
                drop(reply.send(answer));
            }
        });
        self.jobs.as_ref().ok_or(Ended)?.send(job).await.map_err(|_| Ended)?;
        answer.await.map_err(|_| Ended)
    }
}

impl<T> Drop for OwnThread<T> {
    fn drop(&mut self) {
        self.jobs = None;
        let ended = self.ended.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if ended.recv_timeout(ENDS_WITHIN) == Err(RecvTimeoutError::Timeout) {
            log::warn!("a thread has not ended in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    struct Owned(&'static AtomicBool);

    impl Drop for Owned {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn what_a_thread_owns_is_dropped_before_whoever_lets_go_of_it_goes_on() {
        static DROPPED: AtomicBool = AtomicBool::new(false);
        let open = || Ok::<_, io::Error>((Owned(&DROPPED), 7));
        let (thread, news) = OwnThread::start("test", open).await.unwrap();
        assert_eq!((news, thread.run(|owned| owned.0.load(Ordering::SeqCst)).await.unwrap()), (7, false));
        drop(thread);
        assert!(DROPPED.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_the_thread_goes_on() {
        let (thread, ()) = OwnThread::start("test", || Ok::<_, io::Error>((7, ()))).await.unwrap();
        assert!(thread.run(|_| panic!("the test says so")).await.is_err());
        assert_eq!(thread.run(|owned| *owned).await.unwrap(), 7);
    }
}
