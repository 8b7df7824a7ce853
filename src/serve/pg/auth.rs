//! Who may come in: anybody, or whoever knows the password, by SCRAM-SHA-256. Users and databases may have any name.

use std::fmt;

use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramSecret, ScramServerAuth, gen_salted_password};
use pgwire::error::PgWireError;
use pgwire::messages::startup::Authentication;

use super::cancel::random_bytes;
use super::conn::{Conn, GREETING_BYTES_MAX};
use super::error::{PgError, Result};
use super::frame::Fields;

const MECHANISM: &str = "SCRAM-SHA-256";

/// A password, of which only what is needed to check it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    salt: Vec<u8>,
    salted: Vec<u8>,
}

impl Password {
    /// One.
    pub fn new(password: &str) -> Self {
        let salt = random_bytes();
        let salted = gen_salted_password(password, &salt, SCRAM_ITERATIONS);
        Self { salt, salted }
    }

    /// Whether this is it. Takes the same time whatever is wrong with it.
    pub(crate) fn is(&self, given: &str) -> bool {
        let salted = gen_salted_password(given, &self.salt, SCRAM_ITERATIONS);
        let differ = salted.iter().zip(&self.salted).fold(0, |differ, (a, b)| differ | (a ^ b));
        salted.len() == self.salted.len() && differ == 0
    }

    fn secret(&self) -> ScramSecret {
        ScramSecret::verifier_from_salted_password(self.salt.clone(), self.salted.clone(), SCRAM_ITERATIONS)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(...)")
    }
}

/// Asks the client for the password, and returns if it knows it.
pub(crate) async fn check(conn: &mut Conn, password: &Password, user: &str) -> Result<()> {
    conn.put(&Authentication::SASL(vec![MECHANISM.to_string()]));
    conn.flush().await?;
    let (mechanism, first) = initial_response(answer(conn).await?)?;
    if mechanism != MECHANISM {
        let message = format!("client selected the SASL mechanism \"{mechanism}\"; there is {MECHANISM} only");
        return Err(PgError::fatal("08P01", message).into());
    }
    let server = ScramServerAuth::new();
    let (challenge, waiting) =
        server.on_client_first_message_with_secret(&first, password.secret()).map_err(|error| refused(error, user))?;
    conn.put(&Authentication::SASLContinue(challenge.into()));
    conn.flush().await?;
    let last = answer(conn).await?;
    let verified = waiting.on_client_final_message(&last.0).map_err(|error| refused(error, user))?;
    conn.put(&Authentication::SASLFinal(verified.into()));
    Ok(())
}

/// The next message, which must be one with a password's data.
async fn answer(conn: &mut Conn) -> Result<Fields> {
    match conn.message(GREETING_BYTES_MAX).await? {
        Some(Ok((b'p', body))) => Ok(Fields(body)),
        Some(Ok((b'X', _))) | None => Err(super::error::Failure::Gone),
        Some(Ok((kind, _))) => {
            Err(PgError::fatal("08P01", format!("expected SASL response, got message type {kind}")).into())
        }
        Some(Err(error)) => Err(error.into()),
    }
}

fn initial_response(mut fields: Fields) -> Result<(String, bytes::Bytes)> {
    let fatal = |error: PgError| PgError { fatal: true, ..error };
    let mechanism = fields.text().map_err(fatal)?;
    let length = fields.u32().map_err(fatal)? as usize;
    if length != fields.0.len() {
        return Err(PgError::fatal("08P01", "the client's first SCRAM message is missing").into());
    }
    Ok((mechanism, fields.0))
}

/// A wrong password, or a client that does not speak SCRAM as it should.
fn refused(error: PgWireError, user: &str) -> PgError {
    match error {
        PgWireError::InvalidPassword(_) => {
            PgError::fatal("28P01", format!("password authentication failed for user \"{user}\""))
        }
        other => PgError::fatal("08P01", format!("malformed SCRAM message: {other}")),
    }
}
