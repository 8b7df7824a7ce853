//! POST /sql: the body's statements, one after another; stops at the first that fails.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use runtime::{EngineError, Handle, Reply};
use serde_json::{Value, json};

use crate::Door;
use crate::error::HttpError;
use crate::router::{Body, blocking, body, refuse_browsers};

/// Runs the statements of the body.
pub(crate) async fn execute(
    State(door): State<Arc<Door>>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, HttpError> {
    refuse_browsers(&headers)?;
    let handle = door.engine().map_err(|error| error.with("sqlstate", "57P03"))?.clone();
    let text = String::from_utf8(body(sent)?.to_vec())
        .map_err(|_| sql_error(StatusCode::BAD_REQUEST, "22021", "the statements are not UTF-8; send them as UTF-8"))?;
    let replies = blocking(move || run(&handle, text)).await??;
    let results: Vec<Value> = replies.into_iter().map(result).collect();
    let text = format!("{}\n", json!({ "results": results }));
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

fn run(handle: &Handle, text: String) -> Result<Vec<Reply>, HttpError> {
    handle.execute(text).map_err(|error| {
        let status = match &error {
            EngineError::Statement(_) => StatusCode::BAD_REQUEST,
            EngineError::Stopped(_) | EngineError::Fenced(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        sql_error(status, error.sqlstate(), &error.to_string())
    })
}

fn sql_error(status: StatusCode, sqlstate: &str, message: &str) -> HttpError {
    HttpError::new(status, message).with("sqlstate", sqlstate).with("message", message)
}

fn result(reply: Reply) -> Value {
    json!({ "tag": reply.tag, "notices": reply.notices, "columns": reply.columns, "rows": reply.rows })
}
