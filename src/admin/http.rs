//! The HTTP address: whether this process lives, whether it is ready, and its figures for Prometheus.
//!
//! `server` binds the listener, so that a taken port is an error at start, and the control thread runs [`serve`]. No
//! HTTP library: a few pages without input need one request line.
//!
//! | page | answer |
//! | --- | --- |
//! | `/healthz` | 200 while the process serves |
//! | `/readyz` | 200 where clients can be served, or 503 with the reasons, one a line |
//! | `/readyz?shards=all` | the same, and 503 also while a shard has no primary |
//! | `/metrics` | the figures (`metrics`) |
//! | `/status` | the state as JSON (`status`) |
//! | `/` | these paths |
//!
//! A shard without a primary does not make Meridian unready by itself: all Meridians see the same servers, so a balancer
//! would turn clients away from all of them, and the other shards would be lost, too.
//!
//! Invariants:
//! 1. A stranger costs a bounded amount: [`CONNECTIONS_MAX`] at once, [`HEAD_BYTES_MAX`] and [`TIME_MAX`] each, and one
//!    request per connection.
//! 2. A page reads snapshots and counters; none waits for a server or for a worker.
//! 3. [`serve`] never returns: what listens beside it on its thread goes on, whatever happens to a connection.
//!
//! Not here: encryption and passwords. The address belongs on a private network; it shows names of shards and nodes, and
//! no statement, user or data.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::show::View;
use super::{metrics, status};
use crate::catalog::Catalog;
use crate::session::shared::Shared;
use crate::topology::{NodeRole, Topology};

/// Connections that are served at once; others wait in the system's queue.
const CONNECTIONS_MAX: usize = 64;
/// A request's line and headers.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// For one connection, from its accept to its end.
const TIME_MAX: Duration = Duration::from_secs(5);
/// What a client may still send after its answer, so that closing does not reset the connection before it has read.
const REST_BYTES_MAX: u64 = 64 << 10;
/// After an accept that failed: out of descriptors, usually, and others will free some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers requests for as long as it is polled. Cancel safe: yes, but for the connections it has begun, which end by
/// themselves within [`TIME_MAX`] or with the runtime.
pub async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the HTTP listener cannot be used");
            return std::future::pending().await;
        }
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((socket, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // A client that is slow or gone is nobody's concern.
                    let _ = timeout(TIME_MAX, attend(socket, &shared)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn attend(mut socket: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let (answer, method) = match read_head(&mut socket).await? {
        Some(head) => match asked_for(&head) {
            Ok((method, page)) => (page.answer(shared), method),
            Err(refusal) => (refusal, Method::Get),
        },
        None => (Answer::BAD_REQUEST, Method::Get),
    };
    socket.write_all(answer.render(method).as_bytes()).await?;
    socket.shutdown().await?;
    tokio::io::copy(&mut socket.take(REST_BYTES_MAX), &mut tokio::io::sink()).await.map(drop)
}

/// Up to the empty line; None if there is none within the bound.
async fn read_head(socket: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(1024);
    let mut rest = socket.take(HEAD_BYTES_MAX as u64);
    while rest.read_buf(&mut head).await? > 0 {
        if let Some(end) = memchr::memmem::find(&head, b"\r\n\r\n") {
            head.truncate(end);
            return Ok(Some(head));
        }
    }
    Ok(None)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Paths,
    Health,
    Ready(Demand),
    Metrics,
    Status,
}

/// What must be there for Meridian to count as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    Catalog,
    /// And a primary of every shard.
    EveryShard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    /// As GET, without the body.
    Head,
}

const PATHS: &str = "\
/healthz             whether the process serves
/readyz              whether clients can be served
/readyz?shards=all   the same, and whether every shard has a primary
/metrics             figures for Prometheus
/status              the state as JSON
";

/// Reads the request line (RFC 9112, section 3); headers mean nothing to these pages.
fn asked_for(head: &[u8]) -> Result<(Method, Page), Answer> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| Answer::BAD_REQUEST)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Answer::BAD_REQUEST);
    };
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_method || !target.starts_with('/') || !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
        return Err(Answer::BAD_REQUEST);
    }
    let page = Page::named(target).ok_or(Answer::NOT_FOUND)?;
    match method {
        "GET" => Ok((Method::Get, page)),
        "HEAD" => Ok((Method::Head, page)),
        _ => Err(Answer::METHOD_NOT_ALLOWED),
    }
}

impl Page {
    fn named(target: &str) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let demand = match query.split('&').any(|part| part == "shards=all") {
            true => Demand::EveryShard,
            false => Demand::Catalog,
        };
        Some(match path {
            "/" => Self::Paths,
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready(demand),
            "/metrics" => Self::Metrics,
            "/status" => Self::Status,
            _ => return None,
        })
    }

    fn answer(self, shared: &Shared) -> Answer {
        match self {
            Self::Paths => Answer::text("200 OK", PATHS),
            Self::Health => Answer::text("200 OK", "ok\n"),
            Self::Ready(demand) => {
                let (topology, catalog) = (shared.topology.load(), shared.catalog.current());
                ready(&Readiness::of(&topology, &catalog, shared.stopping.has_begun()), demand)
            }
            Self::Metrics => {
                let body = with_view(shared, metrics::render);
                Answer { status: "200 OK", kind: metrics::CONTENT_TYPE, body }
            }
            Self::Status => {
                let body = with_view(shared, |view| format!("{:#}\n", status::document(view)));
                Answer { status: "200 OK", kind: "application/json", body }
            }
        }
    }
}

/// Calls with the snapshots of this moment.
fn with_view(shared: &Shared, call: impl FnOnce(&View<'_>) -> String) -> String {
    let live = shared.live.load_full();
    call(&View {
        topology: &shared.topology.load(),
        catalog: &shared.catalog.current(),
        pools: &shared.pools.reports(),
        pool_size: live.pool.size,
        plans: &[],
        looked_up: &[],
        paused: shared.orders.paused(),
        live: Some(&live),
        clients: &super::console::clients(shared),
        clients_max: live.proxy.clients_max,
        two_phase: shared.registry.standing(),
        figures: &shared.figures,
        uptime: shared.started.elapsed(),
    })
}

/// Why statements cannot all be answered now.
#[derive(Debug, Default, PartialEq, Eq)]
struct Readiness {
    /// Nothing can be served.
    closed: Vec<String>,
    /// What belongs to one shard cannot be.
    headless: Vec<String>,
}

impl Readiness {
    fn of(topology: &Topology, catalog: &Catalog, stopping: bool) -> Self {
        let mut closed = Vec::new();
        if stopping {
            closed.push("meridian is stopping".to_owned());
        }
        if !catalog.loaded {
            closed.push("the catalog is not loaded".to_owned());
        }
        let headless = topology.shards.iter().filter_map(|shard| {
            let mut nodes = shard.nodes.iter().map(|id| &topology.node(*id).state);
            let what = match nodes.find(|state| state.role() == NodeRole::Primary) {
                None => "has no known primary",
                Some(primary) if primary.is_disabled() => "has a primary that is disabled",
                Some(_) => return None,
            };
            Some(format!("shard \"{}\" {what}", shard.name))
        });
        Self { closed, headless: headless.collect() }
    }
}

/// What is wrong with single shards is told in any case.
fn ready(readiness: &Readiness, demand: Demand) -> Answer {
    let Readiness { closed, headless } = readiness;
    let is_ready = closed.is_empty() && (demand == Demand::Catalog || headless.is_empty());
    let (status, word) = match is_ready {
        true => ("200 OK", Some("ready")),
        false => ("503 Service Unavailable", None),
    };
    let reasons = closed.iter().chain(headless).map(String::as_str);
    let lines: String = word.into_iter().chain(reasons).map(|line| format!("{line}\n")).collect();
    Answer::text(status, lines)
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: &'static str,
    kind: &'static str,
    body: String,
}

impl Answer {
    const BAD_REQUEST: Self = Self::empty("400 Bad Request");
    const NOT_FOUND: Self = Self::empty("404 Not Found");
    const METHOD_NOT_ALLOWED: Self = Self::empty("405 Method Not Allowed\r\nAllow: GET, HEAD");
    const TEXT: &str = "text/plain; charset=utf-8";

    const fn empty(status: &'static str) -> Self {
        Self { status, kind: Self::TEXT, body: String::new() }
    }

    fn text(status: &'static str, body: impl Into<String>) -> Self {
        Self { status, kind: Self::TEXT, body: body.into() }
    }

    fn render(&self, method: Method) -> String {
        let Self { status, kind, body } = self;
        let length = body.len();
        let body = if method == Method::Head { "" } else { body };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::show::facts::topology;

    #[test]
    fn a_request_line_names_a_page_or_is_refused() {
        let page = |line: &str| asked_for(format!("{line}\r\nHost: x").as_bytes());
        assert_eq!(page("GET / HTTP/1.1"), Ok((Method::Get, Page::Paths)));
        assert_eq!(page("GET /healthz HTTP/1.1"), Ok((Method::Get, Page::Health)));
        assert_eq!(page("HEAD /readyz HTTP/1.0"), Ok((Method::Head, Page::Ready(Demand::Catalog))));
        let strict = Page::Ready(Demand::EveryShard);
        assert_eq!(page("GET /readyz?x=1&shards=all HTTP/1.1"), Ok((Method::Get, strict)));
        assert_eq!(page("GET /metrics?name=x HTTP/1.1"), Ok((Method::Get, Page::Metrics)));
        assert_eq!(page("GET /metrics/ HTTP/1.1"), Err(Answer::NOT_FOUND));
        assert_eq!(page("POST /metrics HTTP/1.1"), Err(Answer::METHOD_NOT_ALLOWED));
        for line in
            ["", "GET", "GET /", "GET  / HTTP/1.1", "get / HTTP/1.1", "GET x HTTP/1.1", "GET / HTTP/2"]
        {
            assert_eq!(page(line), Err(Answer::BAD_REQUEST), "{line}");
        }
        assert_eq!(asked_for(b"GET /\xff HTTP/1.1"), Err(Answer::BAD_REQUEST));
    }

    #[test]
    fn head_is_answered_as_get_without_the_body() {
        let answer = Answer::text("200 OK", "ok\n");
        let head = answer.render(Method::Head);
        assert!(head.contains("Content-Length: 3\r\n"), "{head}");
        assert_eq!(head.clone() + "ok\n", answer.render(Method::Get));
    }

    #[test]
    fn readiness_names_what_is_missing() {
        let topology = topology();
        let mut catalog = Catalog::default();
        let first = topology.node(topology.shards[0].nodes[0]);
        first.state.set_role(NodeRole::Primary);
        let answer = |catalog: &Catalog, stopping, demand| {
            let Answer { status, body, .. } = ready(&Readiness::of(&topology, catalog, stopping), demand);
            (status.split(' ').next().unwrap_or_default().to_owned(), body)
        };
        let (unavailable, ok) = ("503".to_owned(), "200".to_owned());
        let west = "shard \"west\" has no known primary\n";
        let unloaded = format!("the catalog is not loaded\n{west}");
        assert_eq!(answer(&catalog, false, Demand::Catalog), (unavailable.clone(), unloaded));

        catalog.loaded = true;
        assert_eq!(answer(&catalog, false, Demand::Catalog), (ok.clone(), format!("ready\n{west}")));
        assert_eq!(answer(&catalog, false, Demand::EveryShard), (unavailable.clone(), west.to_owned()));
        first.state.set_disabled(true);
        let both = format!("shard \"east\" has a primary that is disabled\n{west}");
        assert_eq!(answer(&catalog, false, Demand::EveryShard), (unavailable.clone(), both));
        first.state.set_disabled(false);

        topology.node(topology.shards[1].nodes[0]).state.set_role(NodeRole::Primary);
        assert_eq!(answer(&catalog, false, Demand::EveryShard), (ok, "ready\n".to_owned()));
        assert_eq!(
            answer(&catalog, true, Demand::Catalog),
            (unavailable, "meridian is stopping\n".to_owned())
        );
    }
}
