//! The listener and its paths.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use zset::TimestampMs;

use crate::error::HttpError;
use crate::guard::{Peer, guard};
use crate::https::TlsListener;
use crate::read::{self, Lines, ReadOptions};
use crate::{Door, Tls, WriteOptions, health, sql, write_lines};

/// The largest body that is taken.
pub const BODY_BYTES_MAX: usize = 64 << 20;

const JSON_LINES: &str = "application/x-ndjson";

/// A body as it came.
pub(crate) type Body = Result<Bytes, BytesRejection>;

/// Listens on `address` (host:port, port 0 for any free one), with a certificate by HTTPS alone, and answers from then on, on the runtime it is called in.
/// Returns the address that was bound.
pub async fn listen(address: &str, door: Arc<Door>, tls: Option<&Tls>) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let service = router(door).into_make_service_with_connect_info::<Peer>();
    let tls = tls.cloned();
    tokio::spawn(async move {
        let ended = match tls {
            Some(tls) => match TlsListener::new(listener, &tls) {
                Ok(listener) => axum::serve(listener, service).await,
                Err(error) => Err(error),
            },
            None => axum::serve(listener, service).await,
        };
        if let Err(error) = ended {
            tracing::error!("the HTTP listener has stopped: {error}");
        }
    });
    Ok(bound)
}

pub(crate) fn router(door: Arc<Door>) -> Router {
    let data = Router::new()
        .route("/topics", get(list_topics))
        .route("/topics/{topic}", get(read_topic).post(write_topic))
        .route("/sql", post(sql::execute))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&door), guard));
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .merge(data)
        .method_not_allowed_fallback(no_such_method)
        .fallback(no_such_path)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(door)
}

async fn no_such_path(uri: Uri) -> HttpError {
    let message = format!(
        "there is no {}; there are /healthz, /readyz, /metrics, /topics, /topics/NAME and POST /sql",
        uri.path()
    );
    HttpError::new(StatusCode::NOT_FOUND, message)
}

async fn no_such_method(method: Method, uri: Uri) -> HttpError {
    let allowed = if uri.path() == "/sql" { "POST" } else { "GET; /topics/NAME also POST" };
    let message = format!("{} does not take {method}; it takes {allowed}", uri.path());
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// Runs what blocks on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, HttpError> {
    tokio::task::spawn_blocking(work).await.map_err(HttpError::internal)
}

/// The body, or why it was not taken.
pub(crate) fn body(sent: Body) -> Result<Bytes, HttpError> {
    sent.map_err(|rejection| {
        let hint = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            format!("; a body has at most {} MiB: send it in parts", BODY_BYTES_MAX >> 20)
        } else {
            String::new()
        };
        HttpError::new(rejection.status(), format!("cannot take the body: {}{hint}", rejection.body_text()))
    })
}

/// A page of some site, open in a browser on this machine, could otherwise write here behind its user's back.
pub(crate) fn refuse_browsers(headers: &HeaderMap) -> Result<(), HttpError> {
    if headers.contains_key(header::ORIGIN) {
        let message = "requests that change something are not taken from web pages; use curl or millstream topic";
        return Err(HttpError::new(StatusCode::FORBIDDEN, message));
    }
    Ok(())
}

fn query<T>(sent: Result<Query<T>, QueryRejection>) -> Result<T, HttpError> {
    sent.map(|Query(query)| query).map_err(|rejection| HttpError::bad_request(rejection.body_text()))
}

async fn list_topics(State(door): State<Arc<Door>>) -> Result<Response, HttpError> {
    let log = Arc::clone(door.log()?);
    let topics = blocking(move || log.log.topics()).await??;
    let lines: String = topics
        .iter()
        .map(|topic| format!("{}\n", json!({ "topic": topic.topic, "partitions": topic.partitions })))
        .collect();
    Ok(([(header::CONTENT_TYPE, JSON_LINES)], lines).into_response())
}

async fn read_topic(
    State(door): State<Arc<Door>>,
    Path(topic): Path<String>,
    options: Result<Query<ReadOptions>, QueryRejection>,
) -> Result<Response, HttpError> {
    let options = query(options)?;
    let log = Arc::clone(door.log()?);
    let asked = Arc::clone(&log);
    let parts = blocking(move || read::parts(&*asked.log, &topic, &options)).await??;
    let (sender, lines) = Lines::new();
    // It ends with the answer, or when the client goes.
    tokio::task::spawn_blocking(move || read::send(&*log.log, &parts, options.max, &sender));
    Ok(([(header::CONTENT_TYPE, JSON_LINES)], axum::body::Body::new(lines)).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteQuery {
    partition: Option<i32>,
    partitions: Option<u32>,
}

async fn write_topic(
    State(door): State<Arc<Door>>,
    Path(topic): Path<String>,
    options: Result<Query<WriteQuery>, QueryRejection>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, HttpError> {
    refuse_browsers(&headers)?;
    let WriteQuery { partition, partitions } = query(options)?;
    let options = WriteOptions { partition, partitions };
    let body = body(sent)?;
    let log = Arc::clone(door.log()?);
    let name = topic.clone();
    let written = blocking(move || write_lines(&log, &name, &options, &body, now())).await??;
    let offsets: Vec<_> =
        written.iter().map(|(partition, offset)| json!({ "partition": partition, "offset": offset })).collect();
    let text = format!("{}\n", json!({ "topic": topic, "records": written.len(), "offsets": offsets }));
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// The clock, for records that do not say their time: they come from outside, so it is outside of any epoch.
fn now() -> TimestampMs {
    TimestampMs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64))
}
