//! Who may come to the data over HTTP: anybody on this machine; from other machines, whoever knows the password, by Basic
//! authentication with any user. Health and metrics are for everybody.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;

use crate::Door;
use crate::error::HttpError;
use crate::https::TlsListener;
use crate::pg::Password;

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Lets a request through, or says why not.
pub(crate) async fn guard(
    State(door): State<Arc<Door>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match refuse(peer, door.password.as_ref(), request.headers()) {
        None => next.run(request).await,
        Some((status, message)) => {
            let mut refused = HttpError::new(status, message).into_response();
            if status == StatusCode::UNAUTHORIZED {
                let basic = HeaderValue::from_static("Basic realm=\"millstream\"");
                refused.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
            }
            refused
        }
    }
}

fn refuse(peer: SocketAddr, password: Option<&Password>, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    // An address of version 4 may come in the clothes of version 6.
    if peer.ip().to_canonical().is_loopback() {
        return None;
    }
    let Some(password) = password else {
        return Some((
            StatusCode::FORBIDDEN,
            "there is no password, so this is for clients on the same machine: set one with --pg-password-file FILE or \
             MILLSTREAM_PG_PASSWORD",
        ));
    };
    if given(headers).is_some_and(|given| password.is(&given)) {
        return None;
    }
    Some((StatusCode::UNAUTHORIZED, "the password is missing or wrong: send it by Basic authentication, with any user"))
}

/// The password of the Authorization header.
fn given(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (_, password) = text.split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| password.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_password_of_a_header() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            given(&headers)
        };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(of(&basic("anybody:a:b")), Some("a:b".to_string()));
        assert_eq!(of(&basic("anybody:a").replace("Basic", "basic")), Some("a".to_string()));
        assert_eq!(of(&basic("nocolon")), None);
        assert_eq!(of(&basic("u:a").replace("Basic", "Bearer")), None);
        assert_eq!(of("Basic %%%"), None);
        assert_eq!(given(&HeaderMap::new()), None);
    }

    #[test]
    fn other_machines_need_the_password() {
        let password = Password::new("secret");
        let with = |given: Option<&str>| {
            let value = given.map(|given| format!("Basic {}", STANDARD.encode(format!("u:{given}"))));
            let pairs = value.map(|value| (header::AUTHORIZATION, HeaderValue::from_str(&value).unwrap()));
            pairs.into_iter().collect::<HeaderMap>()
        };
        for (peer, password, given, status) in [
            ("127.0.0.1:1", Some(&password), None, None),
            ("[::ffff:127.0.0.1]:1", None, None, None),
            ("192.0.2.1:1", None, None, Some(403)),
            ("192.0.2.1:1", None, Some("secret"), Some(403)),
            ("192.0.2.1:1", Some(&password), None, Some(401)),
            ("192.0.2.1:1", Some(&password), Some("wrong"), Some(401)),
            ("192.0.2.1:1", Some(&password), Some("secret"), None),
        ] {
            let refused = refuse(peer.parse().unwrap(), password, &with(given));
            assert_eq!(refused.map(|(status, _)| status.as_u16()), status, "{peer} {given:?}");
        }
    }
}
