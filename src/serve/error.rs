//! Errors as HTTP answers: a status and a JSON object that says what is wrong and what to do.

use api::LogError;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use runtime::Phase;
use serde_json::{Map, Value};

use crate::door::in_words;
use crate::write::WriteError;

/// An answer that is not what was asked for.
#[derive(Debug)]
pub(crate) struct HttpError {
    status: StatusCode,
    body: Map<String, Value>,
}

impl HttpError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let body = [("error".to_string(), Value::String(message.into()))].into_iter().collect();
        Self { status, body }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// With a further field.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.body.insert(name.to_string(), value.into());
        self
    }

    /// What is asked for is not there in this phase.
    pub fn not_yet(phase: &Phase) -> Self {
        let message =
            format!("not serving now; the process is {}; try again when /readyz answers 200", in_words(phase));
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// The request's own thread failed.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the request failed within millstream: {why}; see its log"),
        )
    }
}

impl From<LogError> for HttpError {
    fn from(error: LogError) -> Self {
        let status = match &error {
            LogError::NoTopic(_) => StatusCode::NOT_FOUND,
            LogError::OutOfRange { .. } | LogError::Refused { .. } | LogError::Unusable(_) => StatusCode::BAD_REQUEST,
            LogError::Retriable(_) | LogError::Fenced(_) => StatusCode::SERVICE_UNAVAILABLE,
            LogError::Fatal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<WriteError> for HttpError {
    fn from(error: WriteError) -> Self {
        let message = error.to_string();
        match error {
            WriteError::Line { line, reason } => Self::bad_request(message).with("line", line).with("reason", reason),
            WriteError::OwnTopic(_) => Self::new(StatusCode::FORBIDDEN, message),
            WriteError::NoTopic { .. } => Self::new(StatusCode::NOT_FOUND, message),
            WriteError::Log(error) => error.into(),
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let text = format!("{}\n", Value::Object(self.body));
        (self.status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
    }
}
