//! The tokens of all targets: fetched once however many want one, and kept until they run out.
//!
//! # Design notes
//!
//! - 2026-11: a fetch belongs to no probe. The first probe that finds no token starts it as a task of its
//!   thread, with a limit of its own, and waits like all others, each within its own deadline: a target with
//!   a timeout of one second must not end the fetch that a thousand others wait for.
//! - 2026-11: what was fetched is forgotten when the last target that uses it is gone, so the memory is
//!   bounded by the targets. A token lives by the clock of its issuer: only its lifetime is taken over.
//! - 2026-11: a token that is refused again and again (the user may lack a role) is dropped as rarely as a
//!   failed fetch is repeated, or each probe of each such target would fetch one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use actix_http::header::HeaderValue;
use futures_util::future::LocalBoxFuture;
use skypunch_actors::domain::Secret;
use tokio::{sync::watch, time::Instant};

use super::{AuthError, catalogue::Catalogue};

/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A token is renewed when a fifth of its lifetime is left, or this much.
const RENEW_AHEAD: Duration = Duration::from_secs(300);
/// How old a token must be to be renewed because its catalogue lacks a service.
const CATALOGUE_AGE: Duration = Duration::from_secs(60);
/// No token is kept longer, whatever its issuer says.
const LONGEST_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// The tokens of a process, by what they were issued for.
#[derive(Default)]
pub(in crate::probe) struct Tokens(Mutex<HashMap<Secret, Weak<Slot>>>);

impl Tokens {
    /// Where the token for `identity` is kept while anybody holds on to it.
    pub(super) fn slot(&self, identity: Secret) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&identity).and_then(Weak::upgrade) {
            return slot;
        }
        slots.retain(|_, slot| slot.strong_count() > 0);
        let slot = Arc::new(Slot::default());
        slots.insert(identity, Arc::downgrade(&slot));
        slot
    }
}

/// Issues the tokens of one identity.
pub(super) trait Issuer: Send + Sync {
    /// Fetches a token, within a limit of its own.
    fn issue(&self) -> LocalBoxFuture<'_, Result<Grant, AuthError>>;
}

/// What an issuer gave.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    /// The token, ready for its header.
    pub(super) value: HeaderValue,
    /// How long it lives, from when it was asked for.
    pub(super) lifetime: Duration,
    /// What the issuer said along with it of where services are.
    pub(super) catalogue: Arc<Catalogue>,
}

/// A token as a probe gets it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// The token, ready for its header.
    pub(super) value: HeaderValue,
    /// Tells it from those before and after it.
    pub(super) number: u64,
    /// How long fetching it took, if the probe waited for that.
    pub(super) fetched_in: Option<Duration>,
    /// The catalogue that came with it.
    pub(super) catalogue: Arc<Catalogue>,
}

/// What a look at a slot finds.
enum Found {
    /// A token, or why there is none.
    Now(Result<Token, AuthError>),
    /// A fetch, which is over when the sender is gone.
    Soon(watch::Receiver<()>),
}

/// The place of one token.
#[derive(Default)]
pub(super) struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The fetch under way; it is over when the sender is gone.
    flight: Option<watch::Receiver<()>>,
    failed: Option<Failed>,
    refused: Option<Refused>,
    /// How many tokens there were.
    count: u64,
}

struct Held {
    value: HeaderValue,
    catalogue: Arc<Catalogue>,
    begun: Instant,
    took: Duration,
    renew_at: Instant,
    expires_at: Instant,
}

struct Failed {
    error: AuthError,
    times: u32,
    until: Instant,
}

/// Tokens that targets refused.
struct Refused {
    times: u32,
    at: Instant,
}

impl Slot {
    /// The token, from the cache or fetched by whoever comes first; or why the last fetch failed, until it
    /// is time for the next.
    pub(super) async fn token(self: &Arc<Self>, issuer: &Arc<dyn Issuer>) -> Result<Token, AuthError> {
        let mut waited = false;
        loop {
            let (found, flight) = self.look(waited);
            if let Some(flight) = flight {
                flight.take_off(issuer);
            }
            match found {
                Found::Now(token) => return token,
                Found::Soon(mut landed) => {
                    // Nothing is ever sent: the end of the flight ends the wait.
                    landed.changed().await.ok();
                    waited = true;
                }
            }
        }
    }

    /// What there is, and the fetch that has to be started now. A flight must not end, and so not begin
    /// either, while the state is locked.
    fn look(self: &Arc<Self>, waited: bool) -> (Found, Option<Flight>) {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(token) = state.usable(now, waited) {
            let flight = state.renewable(now).then(|| self.prepare_flight(&mut state).0);
            return (Found::Now(Ok(token)), flight);
        }
        if let Some(landed) = &state.flight {
            return (Found::Soon(landed.clone()), None);
        }
        if let Some(error) = state.pausing(now) {
            return (Found::Now(Err(error.clone())), None);
        }
        let (flight, landed) = self.prepare_flight(&mut state);
        (Found::Soon(landed), Some(flight))
    }

    fn prepare_flight(self: &Arc<Self>, state: &mut State) -> (Flight, watch::Receiver<()>) {
        let (over, landed) = watch::channel(());
        state.flight = Some(landed.clone());
        (Flight { slot: Arc::clone(self), _over: over }, landed)
    }

    /// Hears that a target refused the token of this number, and says whether there will be another.
    pub(super) fn refuse(&self, number: u64) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        if state.count != number || state.held.is_none() {
            return true;
        }
        let last = state.refused.as_ref().filter(|last| now < last.at + 2 * LONGEST_PAUSE);
        let times = last.map_or(0, |last| last.times);
        if last.is_some_and(|last| now < last.at + pause(last.times)) {
            return false;
        }
        state.refused = Some(Refused { times: times.saturating_add(1), at: now });
        state.held = None;
        true
    }

    /// Hears that the catalogue of this token lacks a service: it may have it by now, so the token is renewed
    /// at its next use. It still serves meanwhile.
    pub(super) fn lacks(&self, number: u64) {
        let now = Instant::now();
        let mut state = self.state();
        let is_same = state.count == number;
        if let Some(held) = state.held.as_mut().filter(|held| is_same && now >= held.begun + CATALOGUE_AGE) {
            held.renew_at = now;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usable(&self, now: Instant, waited: bool) -> Option<Token> {
        let held = self.held.as_ref().filter(|held| now < held.expires_at)?;
        let fetched_in = waited.then_some(held.took);
        let (value, catalogue) = (held.value.clone(), Arc::clone(&held.catalogue));
        Some(Token { value, number: self.count, fetched_in, catalogue })
    }

    fn renewable(&self, now: Instant) -> bool {
        let due = self.held.as_ref().is_some_and(|held| held.renew_at <= now);
        due && self.flight.is_none() && self.pausing(now).is_none()
    }

    fn pausing(&self, now: Instant) -> Option<&AuthError> {
        self.failed.as_ref().filter(|failed| now < failed.until).map(|failed| &failed.error)
    }

    fn land(&mut self, begun: Instant, issued: Result<Grant, AuthError>) {
        let now = Instant::now();
        match issued {
            Ok(Grant { value, lifetime, catalogue }) => {
                let lifetime = lifetime.min(LONGEST_LIFETIME);
                let expires_at = begun + lifetime;
                let renew_at = expires_at - (lifetime / 5).min(RENEW_AHEAD);
                self.count += 1;
                let took = now - begun;
                self.held = Some(Held { value, catalogue, begun, took, renew_at, expires_at });
                self.failed = None;
            }
            Err(error) => {
                let times = self.failed.as_ref().map_or(1, |failed| failed.times.saturating_add(1));
                self.failed = Some(Failed { error, times, until: now + pause(times) });
            }
        }
    }
}

/// A fetch under way. However it ends, also with the thread that ran it, those who wait go on.
struct Flight {
    slot: Arc<Slot>,
    _over: watch::Sender<()>,
}

impl Flight {
    fn take_off(self, issuer: &Arc<dyn Issuer>) {
        let issuer = Arc::clone(issuer);
        actix_rt::spawn(async move {
            let begun = Instant::now();
            let issued = issuer.issue().await;
            self.slot.state().land(begun, issued);
        });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.slot.state().flight = None;
    }
}

/// How long to leave an endpoint alone after so many failures, from 1.
fn pause(times: u32) -> Duration {
    let doubled = 2u32.saturating_pow(times.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;
    use tokio::{
        task::{JoinHandle, yield_now},
        time::{advance, pause as stop_time, sleep, timeout},
    };

    use super::*;

    /// Issues tokens that live 100 s, one a second, or fails.
    #[derive(Default)]
    struct Counting {
        fetches: AtomicU32,
        failing: std::sync::atomic::AtomicBool,
    }

    impl Issuer for Counting {
        fn issue(&self) -> LocalBoxFuture<'_, Result<Grant, AuthError>> {
            Box::pin(async {
                let number = self.fetches.fetch_add(1, Ordering::Relaxed) + 1;
                sleep(Duration::from_secs(1)).await;
                if self.failing.load(Ordering::Relaxed) {
                    return Err(AuthError::auth("no token"));
                }
                let value = HeaderValue::try_from(format!("token-{number}")).unwrap();
                Ok(Grant { value, lifetime: Duration::from_secs(100), catalogue: Arc::default() })
            })
        }
    }

    struct Desk {
        issuer: Arc<Counting>,
        slot: Arc<Slot>,
    }

    impl Desk {
        fn new() -> Self {
            stop_time();
            Self { issuer: Arc::default(), slot: Arc::default() }
        }

        async fn token(&self) -> Result<Token, AuthError> {
            let issuer: Arc<dyn Issuer> = Arc::clone(&self.issuer) as _;
            self.slot.token(&issuer).await
        }

        fn spawn(&self) -> JoinHandle<Result<Token, AuthError>> {
            let desk = Self { issuer: Arc::clone(&self.issuer), slot: Arc::clone(&self.slot) };
            actix_rt::spawn(async move { desk.token().await })
        }

        fn fetches(&self) -> u32 {
            self.issuer.fetches.load(Ordering::Relaxed)
        }
    }

    #[actix_rt::test]
    async fn a_thousand_that_want_a_token_at_once_fetch_one() {
        let desk = Desk::new();
        let tokens = join_all((0..1000).map(|_| desk.spawn())).await;
        assert!(tokens.iter().all(|token| token.as_ref().unwrap().as_ref().unwrap().value == "token-1"));
        assert_eq!(desk.fetches(), 1);
        assert_eq!(desk.token().await.unwrap().fetched_in, None);
    }

    #[actix_rt::test]
    async fn who_leaves_early_does_not_end_the_fetch() {
        let desk = Desk::new();
        assert!(timeout(Duration::from_millis(10), desk.token()).await.is_err());
        let token = desk.token().await.unwrap();
        assert!(token.fetched_in.unwrap() >= Duration::from_secs(1));
        assert_eq!(desk.fetches(), 1);
    }

    #[actix_rt::test]
    async fn a_token_is_renewed_while_the_old_one_still_serves() {
        let desk = Desk::new();
        desk.token().await.unwrap();
        advance(Duration::from_secs(85)).await;
        assert_eq!(desk.token().await.unwrap().value, "token-1");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(desk.token().await.unwrap().value, "token-2");
        desk.issuer.failing.store(true, Ordering::Relaxed);
        advance(Duration::from_secs(85)).await;
        assert_eq!(desk.token().await.unwrap().value, "token-2");
        advance(Duration::from_secs(20)).await;
        assert!(desk.token().await.is_err());
    }

    #[actix_rt::test]
    async fn an_outage_is_one_reason_and_ever_fewer_fetches() {
        let desk = Desk::new();
        desk.issuer.failing.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3600) {
            assert_eq!(desk.token().await.unwrap_err().to_string(), "no token");
            advance(Duration::from_millis(100)).await;
        }
        // 1, 2, 4, … 32 s, and then one a minute; each takes a second.
        assert!((62..=66).contains(&desk.fetches()), "{}", desk.fetches());
        desk.issuer.failing.store(false, Ordering::Relaxed);
        advance(LONGEST_PAUSE).await;
        desk.token().await.unwrap();
    }

    #[actix_rt::test]
    async fn a_refused_token_is_dropped_once_for_all_who_used_it() {
        let desk = Desk::new();
        let old = desk.token().await.unwrap().number;
        assert!(desk.slot.refuse(old));
        assert!(desk.slot.refuse(old));
        let new = desk.token().await.unwrap();
        assert!(desk.slot.refuse(old));
        assert_eq!((desk.token().await.unwrap().number, desk.fetches()), (new.number, 2));
    }

    #[actix_rt::test]
    async fn a_target_that_refuses_every_token_costs_ever_fewer_fetches() {
        let desk = Desk::new();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(600) {
            let token = desk.token().await.unwrap();
            desk.slot.refuse(token.number);
            advance(Duration::from_millis(100)).await;
        }
        assert!((15..=20).contains(&desk.fetches()), "{}", desk.fetches());
    }

    #[actix_rt::test]
    async fn a_catalogue_that_lacks_a_service_is_fetched_anew_once_a_minute() {
        let desk = Desk::new();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(300) {
            let token = desk.token().await.unwrap();
            desk.slot.lacks(token.number);
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(desk.fetches(), 5);
        let token = desk.token().await.unwrap();
        assert_eq!(token.fetched_in, None);
    }

    #[actix_rt::test]
    async fn a_fetch_that_ends_with_its_thread_is_taken_over() {
        let slot = Arc::new(Slot::default());
        let issuer: Arc<dyn Issuer> = Arc::new(Counting::default());
        let lost = Arc::clone(&slot);
        let first = Arc::clone(&issuer);
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                actix_rt::spawn(async move { lost.token(&first).await });
                yield_now().await;
                yield_now().await;
            });
        });
        thread.join().unwrap();
        assert_eq!(slot.token(&issuer).await.unwrap().value, "token-2");
    }

    #[test]
    fn a_slot_is_shared_while_it_is_used_and_then_forgotten() {
        let tokens = Tokens::default();
        let slot = tokens.slot(Secret::new("a"));
        assert!(Arc::ptr_eq(&slot, &tokens.slot(Secret::new("a"))));
        assert!(!Arc::ptr_eq(&slot, &tokens.slot(Secret::new("b"))));
        drop(slot);
        tokens.slot(Secret::new("c"));
        assert_eq!(tokens.0.lock().unwrap().len(), 1);
    }
}
