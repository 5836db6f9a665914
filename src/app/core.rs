//! The actors of a daemon: started in order, watched, stopped in reverse.
//!
//! # Design notes
//!
//! 2026-11: when one of them dies, all are started anew: whoever is left holds addresses of the dead. Nothing is lost,
//! since what happened is in the journal; it costs the targets the results that were not enough for their
//! thresholds yet.

use std::{io, sync::Arc, time::Duration};

use actix::prelude::*;
use futures_util::future::join_all;
use log::warn;
use skypunch_actors::{
    courier::Courier,
    gate::Gate,
    historian::Historian,
    lifecycle::{Drain, Stop},
    logger::Logger,
    meter::Meter,
    notifier::{self, Notifier},
    persister::Persister,
    port::{Clock, Journal, Store},
    supervisor::{Links, ProbeThread, Supervisor},
    tester::Tester,
};
use tokio::time::{Instant, timeout, timeout_at};

use super::Kinds;
use crate::settings::Settings;

/// How long an actor is given to take notice of its end.
const STOPS_WITHIN: Duration = Duration::from_millis(500);

/// Where everything is kept.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) store: Arc<dyn Store>,
    pub(super) journal: Arc<dyn Journal>,
}

/// Every actor that lives as long as the daemon.
pub(super) struct Core {
    pub(super) persister: Addr<Persister>,
    pub(super) historian: Addr<Historian>,
    pub(super) meter: Addr<Meter>,
    pub(super) notifier: Addr<Notifier>,
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) tester: Addr<Tester>,
    logger: Addr<Logger>,
    couriers: Vec<Addr<Courier>>,
    threads: Vec<Arbiter>,
}

impl Core {
    pub(super) fn start(
        settings: &Settings,
        kept: &Kept,
        kinds: &Kinds,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let Kept { store, journal } = kept.clone();
        let delivering = Arbiter::new();
        let probing: Vec<Arbiter> = (0..settings.probe.threads).map(|_| Arbiter::new()).collect();

        let flush_interval = settings.database.flush_interval;
        let persister = Persister::new(store.clone(), journal.clone(), clock.clone(), flush_interval).start();
        let progress = persister.clone().recipient();
        let historian = Historian::new(store, journal, progress, settings.history, clock.clone()).start();
        let logger = Logger::to_log()?.start();
        let meter = Meter::new().start();
        let telling = notifier::Links {
            listen: persister.clone().recipient(),
            record: persister.clone().recipient(),
            undelivered: persister.clone().recipient(),
            sinks: kinds.sinks.clone(),
            thread: delivering.handle(),
            clock: clock.clone(),
        };
        let notifier = Notifier::new(telling, settings.notify.give_up_after).start();
        let hearers = [persister.clone().recipient(), logger.clone().recipient(), meter.clone().recipient()];
        let courier = |thread: &ArbiterHandle| {
            let hearers = hearers.to_vec();
            Courier::start_in_arbiter(thread, |_| Courier::new(hearers))
        };
        let of_supervisor = courier(&Arbiter::current());
        let mut couriers: Vec<_> = probing.iter().map(|thread| courier(&thread.handle())).collect();
        let threads = probing.iter().zip(&couriers).map(|(thread, courier)| ProbeThread {
            arbiter: thread.handle(),
            gate: Gate::default(),
            courier: courier.clone().recipient(),
        });
        let links = Links {
            rows: persister.clone().recipient(),
            states: persister.clone().recipient(),
            notifier: notifier.clone().recipient(),
            courier: of_supervisor.clone().recipient(),
            probers: kinds.probers.clone(),
            threads: threads.collect(),
            clock: clock.clone(),
        };
        couriers.push(of_supervisor);
        let supervisor = Supervisor::new(links, settings.daemon.reload_interval).start();
        let tester = Tester::new(kinds.probers.clone(), kinds.sinks.clone(), clock).start();
        let threads = [delivering].into_iter().chain(probing).collect();
        Ok(Self { persister, historian, meter, notifier, supervisor, tester, logger, couriers, threads })
    }

    /// An actor without which the daemon is of no use, if one is gone.
    pub(super) fn dead(&self) -> Option<&'static str> {
        let core = [
            ("persister", self.persister.connected()),
            ("historian", self.historian.connected()),
            ("logger", self.logger.connected()),
            ("meter", self.meter.connected()),
            ("notifier", self.notifier.connected()),
            ("supervisor", self.supervisor.connected()),
            ("tester", self.tester.connected()),
            ("courier", self.couriers.iter().all(Addr::connected)),
        ];
        core.into_iter().find(|(_, alive)| !alive).map(|(name, _)| name)
    }

    /// Targets stop, their last results are taken note of, then what is to be told is told, then what is to be written
    /// is written: each for its share of the time, so that none leaves nothing to the next. What is not done is in the journal.
    pub(super) async fn stop(self, within: Duration) {
        let begun = Instant::now();
        if timeout_at(begun + within / 4, self.supervisor.send(Drain)).await.is_err() {
            warn!("not every target stopped in time");
        }
        let delivered = join_all(self.couriers.iter().map(|courier| courier.send(Drain)));
        if timeout_at(begun + within / 2, delivered).await.is_err() {
            warn!("not every result was taken note of in time");
        }
        match timeout_at(begun + within * 3 / 4, self.notifier.send(Drain)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(left)) => warn!("{left} notifications wait for the next start: they are not delivered yet"),
            Ok(Err(_)) | Err(_) => warn!("the notifications that are left wait for the next start"),
        }
        match timeout_at(begun + within, self.persister.send(Drain)).await {
            Ok(Ok(0)) => {
                timeout_at(begun + within, self.historian.send(Drain)).await.ok();
            }
            Ok(Ok(waiting)) => warn!("news of {waiting} rows wait for the next start: the database is away"),
            Ok(Err(_)) | Err(_) => warn!("not all was written before the end"),
        }
        // Their timers would go on, and an old life would work beside the next.
        let ended = [
            self.supervisor.recipient().send(Stop),
            self.notifier.recipient().send(Stop),
            self.historian.recipient().send(Stop),
            self.persister.recipient().send(Stop),
        ];
        join_all(ended.map(|ended| timeout(STOPS_WITHIN, ended))).await;
        for thread in self.threads {
            thread.stop();
            // A thread that hangs in a probe or a sink must not keep the daemon from ending.
            drop(thread);
        }
    }
}
