//! Connections that are kept for the next exchange.

use std::{cell::RefCell, net::SocketAddr, rc::Rc, sync::Arc};

use url::Origin;

use super::{
    Endpoint, Progress, Request, Session,
    error::Unanswered,
    exchange::{Answer, Incoming},
    http1, http2,
    stream::Duplex,
};

/// The most connections that are kept: redirects may lead anywhere.
const KEPT_MAX: usize = 4;

/// Keeps the connections of one prober, at most one for each origin.
#[derive(Default)]
pub struct Keeper(RefCell<Vec<(Origin, Line)>>);

/// A connection that carries exchanges, one after the other.
pub(super) struct Line {
    pub(super) peer: SocketAddr,
    pub(super) session: Option<Rc<Session>>,
    pub(super) speech: Speech,
}

/// How it is spoken over.
pub(super) enum Speech {
    Http1(Box<dyn Duplex>),
    Http2(Box<http2::Link>),
}

impl Keeper {
    /// A connection to the origin of `endpoint` that is still open.
    pub(super) async fn take(&self, endpoint: &Endpoint, progress: &mut Progress) -> Option<Line> {
        let origin = endpoint.url().origin();
        let mut line = {
            let mut kept = self.0.borrow_mut();
            let at = kept.iter().position(|(of, _)| *of == origin)?;
            kept.remove(at).1
        };
        let peer = line.peer;
        if !line.is_open().await {
            progress.step(format!("Kept connection was closed by {peer}: connecting anew"));
            return None;
        }
        progress.kept(peer, line.session.as_deref());
        Some(line)
    }

    /// Closes what is kept: the next exchange shall depend on nothing that was before.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    pub(super) fn put(&self, endpoint: &Endpoint, line: Line) {
        let origin = endpoint.url().origin();
        let mut kept = self.0.borrow_mut();
        kept.retain(|(of, _)| *of != origin);
        if kept.len() == KEPT_MAX {
            kept.remove(0);
        }
        kept.push((origin, line));
    }
}

impl Line {
    /// Whether a request over it is worth a try.
    async fn is_open(&mut self) -> bool {
        match &mut self.speech {
            Speech::Http1(stream) => http1::is_open(&mut **stream).await,
            Speech::Http2(link) => link.is_open().await,
        }
    }

    /// Sends a request, and waits for the head of its answer.
    pub(super) async fn ask(self, request: Request, progress: &mut Progress) -> Result<Answer, Unanswered> {
        let Self { peer, session, speech } = self;
        let home = request.keeper.clone().map(|keeper| (keeper, Arc::clone(&request.endpoint)));
        Ok(match speech {
            Speech::Http1(stream) => {
                let (head, incoming) = http1::ask(stream, request, peer, progress).await?;
                let (status, phrase, headers) = (head.status, head.phrase, head.headers);
                Answer { status, phrase, headers, peer, session, incoming: Incoming::Http1(incoming), home }
            }
            Speech::Http2(link) => {
                let (head, incoming) = Box::pin(link.ask(request, peer, progress)).await?;
                let (status, phrase, headers) = (head.status, String::new(), head.headers);
                Answer {
                    status,
                    phrase,
                    headers,
                    peer,
                    session,
                    incoming: Incoming::Http2(Box::new(incoming)),
                    home,
                }
            }
        })
    }
}
