//! The actors of a daemon: started in order, watched, stopped in reverse.

use std::{io, sync::Arc, time::Duration};

use actix::prelude::*;
use log::warn;
use skypunch_actors::{
    lifecycle::Drain,
    logger::Logger,
    meter::Meter,
    notifier::Notifier,
    persister::{GetPersistence, Persister},
    port::{Clock, Store},
    supervisor::{Links, Supervisor},
    tester::Tester,
};
use tokio::time::{Instant, timeout_at};

use super::Kinds;
use crate::settings::Settings;

/// Every actor that lives as long as the daemon.
pub(super) struct Core {
    pub(super) persister: Addr<Persister>,
    pub(super) meter: Addr<Meter>,
    pub(super) notifier: Addr<Notifier>,
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) tester: Addr<Tester>,
    logger: Addr<Logger>,
    threads: Vec<Arbiter>,
}

impl Core {
    pub(super) fn start(
        settings: &Settings,
        store: Arc<dyn Store>,
        kinds: &Kinds,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let delivering = Arbiter::new();
        let probing: Vec<Arbiter> = (0..settings.probe.threads).map(|_| Arbiter::new()).collect();

        let persister = Persister::new(store, clock.clone(), settings.database.flush_interval).start();
        let logger = Logger::to_log()?.start();
        let meter = Meter::new().start();
        let ended = persister.clone().recipient();
        let notifier = Notifier::new(kinds.sinks.clone(), delivering.handle(), ended).start();
        let links = Links {
            rows: persister.clone().recipient(),
            notifier: notifier.clone().recipient(),
            hearers: vec![
                persister.clone().recipient(),
                logger.clone().recipient(),
                meter.clone().recipient(),
                notifier.clone().recipient(),
            ],
            probers: kinds.probers.clone(),
            threads: probing.iter().map(Arbiter::handle).collect(),
            clock: clock.clone(),
        };
        let supervisor = Supervisor::new(links, settings.daemon.reload_interval).start();
        let tester = Tester::new(kinds.probers.clone(), kinds.sinks.clone(), clock).start();
        let threads = [delivering].into_iter().chain(probing).collect();
        Ok(Self { persister, meter, notifier, supervisor, tester, logger, threads })
    }

    /// An actor without which the daemon is of no use, if one is gone.
    pub(super) fn dead(&self) -> Option<&'static str> {
        let core = [
            ("persister", self.persister.connected()),
            ("logger", self.logger.connected()),
            ("meter", self.meter.connected()),
            ("notifier", self.notifier.connected()),
            ("supervisor", self.supervisor.connected()),
            ("tester", self.tester.connected()),
        ];
        core.into_iter().find(|(_, alive)| !alive).map(|(name, _)| name)
    }

    /// Targets stop, then what is to be told is told, then what is to be written is written: each for its
    /// share of the time, so that none leaves nothing to the next.
    pub(super) async fn stop(self, within: Duration) {
        let begun = Instant::now();
        if timeout_at(begun + within / 4, self.supervisor.send(Drain)).await.is_err() {
            warn!("not every target stopped in time");
        }
        match timeout_at(begun + within * 3 / 4, self.notifier.send(Drain)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(left)) => warn!("{left} notifications were not delivered before the end"),
            Ok(Err(_)) | Err(_) => warn!("not every notification was delivered before the end"),
        }
        if timeout_at(begun + within, self.persister.send(Drain)).await.is_err() {
            let waiting = self.persister.send(GetPersistence).await.map_or(0, |p| p.results_waiting);
            warn!("the newest results of {waiting} rows were not written before the end");
        }
        for thread in self.threads {
            thread.stop();
            // A thread that hangs in a probe or a sink must not keep the daemon from ending.
            drop(thread);
        }
    }
}
