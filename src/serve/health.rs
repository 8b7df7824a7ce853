//! /healthz, /readyz, /metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use runtime::Phase;

use crate::Door;
use crate::door::in_words;

/// A loop that has not turned for so long hangs.
const TURN_MAX: Duration = Duration::from_secs(10);
/// What the metrics' writer writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the process should be left alone (200) or be restarted (503).
pub(crate) async fn healthz(State(door): State<Arc<Door>>) -> Response {
    let (status, text) = health(&door.shared().phase(), door.shared().since_turn());
    (status, text).into_response()
}

/// Before the loop runs there is none that could hang: recovery takes as long as it takes.
pub(crate) fn health(phase: &Phase, since_turn: Duration) -> (StatusCode, String) {
    match phase {
        Phase::Starting => (StatusCode::OK, format!("{}\n", in_words(phase))),
        Phase::Serving | Phase::Stopping if since_turn <= TURN_MAX => (StatusCode::OK, "ok\n".to_string()),
        Phase::Serving | Phase::Stopping => {
            let text = format!("the engine's loop has not turned for {} s; see the log\n", since_turn.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
        Phase::Fenced | Phase::Failed(_) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", in_words(phase))),
    }
}

/// Whether it may be asked.
pub(crate) async fn readyz(State(door): State<Arc<Door>>) -> Response {
    let phase = door.shared().phase();
    let status = if phase == Phase::Serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{}\n", in_words(&phase))).into_response()
}

/// Everything counted.
pub(crate) async fn metrics(State(door): State<Arc<Door>>) -> Response {
    let text = door.shared().metrics.text(door.shared());
    ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response()
}
