//! `/healthz`: whether the daemon works, and if not, what does not.

use std::time::Duration;

use actix::prelude::*;
use actix_web::{HttpResponse, http::header, web::Data};
use serde_json::{Map, Value, json};
use skypunch_actors::{
    domain::Status,
    meter::GetMeasures,
    notifier::GetWaiting,
    persister::{Away, GetPersistence, Persistence},
};
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;

/// How long an actor may take to show that it lives.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Whom the answer depends on.
#[derive(Clone)]
pub struct Health {
    /// The persister.
    pub persistence: Recipient<GetPersistence>,
    /// The notifier.
    pub waiting: Recipient<GetWaiting>,
    /// The meter.
    pub measures: Recipient<GetMeasures>,
}

/// 200 if the daemon works, else 503.
pub(super) async fn answer(health: Data<Health>) -> HttpResponse {
    let (persistence, waiting, measures) = tokio::join!(
        ask("persister", &health.persistence, GetPersistence),
        ask("notifier", &health.waiting, GetWaiting),
        ask("meter", &health.measures, GetMeasures),
    );
    let mut problems = Vec::new();
    problems.extend(persistence.as_ref().err().cloned());
    problems.extend(waiting.err());
    problems.extend(measures.err());
    let persistence = persistence.ok();
    if let Some(persistence) = &persistence {
        problems.extend(persistence.away.as_ref().map(|away| told("the database is away", away)));
        problems
            .extend(persistence.journal_away.as_ref().map(|away| told("the journal is not written", away)));
    }

    let well = problems.is_empty();
    let mut body =
        json!({ "status": if well { "ok" } else { "failing" }, "version": env!("CARGO_PKG_VERSION") });
    if !well {
        body["problems"] = json!(problems);
    }
    if let Some(persistence) = persistence {
        let state = |away: &Option<Away>| if away.is_some() { "away" } else { "up" };
        let database = state(&persistence.away);
        body["database"] = json!({ "backend": persistence.backend, "state": database });
        body["journal"] = json!({ "state": state(&persistence.journal_away) });
        body["targets"] = statuses(&persistence).into();
    }
    let mut response = if well { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

async fn ask<M>(who: &str, actor: &Recipient<M>, question: M) -> Result<M::Result, String>
where
    M: Message<Result: Send> + Send + 'static,
{
    match timeout(ANSWER_WITHIN, actor.send(question)).await {
        Ok(answer) => answer.map_err(|_| format!("the {who} is gone")),
        Err(_) => Err(format!("the {who} does not answer")),
    }
}

fn told(what: &str, away: &Away) -> String {
    let since = away.since.truncate_to_millisecond().format(&Rfc3339).unwrap_or_default();
    format!("{what} since {since}: {}", away.reason)
}

fn statuses(persistence: &Persistence) -> Map<String, Value> {
    Status::ALL.iter().zip(persistence.targets).map(|(s, n)| (s.as_str().to_owned(), n.into())).collect()
}
