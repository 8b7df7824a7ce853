//! Functions that tell of the session and the server.

use super::super::tables::setting;
use super::super::ty::Ty;
use super::super::value::Value;
use super::super::world::{DATABASE, PUBLIC, USER};
use super::{Call, Function, function};
use crate::error::{Result, code, error, unsupported};

const TEXT: Ty = Ty::TEXT;
const NAME: Ty = Ty::NAME;

/// Of these a query over users' tables has its own: they do not make it a catalog query.
pub(super) const ALSO_OF_DATA: &[&str] = &["now", "current_timestamp", "statement_timestamp", "transaction_timestamp"];

fn user(_: &Call) -> Result<Value> {
    Ok(USER.into())
}

fn database(_: &Call) -> Result<Value> {
    Ok(DATABASE.into())
}

fn now(call: &Call) -> Result<Value> {
    Ok(call.world.now())
}

fn null(_: &Call) -> Result<Value> {
    Ok(Value::Null)
}

pub(super) const FUNCTIONS: &[Function] =
    &[
        function("current_schema", &[], NAME, |_| Ok(PUBLIC.into())),
        function("current_schemas", &[Ty::BOOL], Ty::NAME_ARRAY, |call| {
            let system = call.value(0).is_true().then(|| "pg_catalog".into());
            Ok(Value::array(system.into_iter().chain([PUBLIC.into()])))
        }),
        function("current_database", &[], NAME, database),
        function("current_catalog", &[], NAME, database),
        function("current_user", &[], NAME, user),
        function("current_role", &[], NAME, user),
        function("session_user", &[], NAME, user),
        function("user", &[], NAME, user),
        function("version", &[], TEXT, |_| {
            Ok(format!("PostgreSQL 15.0 (millstream {})", env!("CARGO_PKG_VERSION")).into())
        }),
        function("pg_backend_pid", &[], Ty::INT4, |_| Ok(i64::from(std::process::id()).into())),
        function("pg_is_in_recovery", &[], Ty::BOOL, |_| Ok(false.into())),
        function("pg_is_wal_replay_paused", &[], Ty::BOOL, |_| Ok(false.into())),
        function("pg_postmaster_start_time", &[], Ty::TIMESTAMPTZ, null),
        function("pg_conf_load_time", &[], Ty::TIMESTAMPTZ, null),
        function("inet_server_addr", &[], Ty::INET, null),
        function("inet_server_port", &[], Ty::INT4, null),
        function("inet_client_addr", &[], Ty::INET, null),
        function("inet_client_port", &[], Ty::INT4, null),
        function("now", &[], Ty::TIMESTAMPTZ, now),
        function("current_timestamp", &[], Ty::TIMESTAMPTZ, now),
        function("statement_timestamp", &[], Ty::TIMESTAMPTZ, now),
        function("transaction_timestamp", &[], Ty::TIMESTAMPTZ, now),
        function("txid_current", &[], Ty::INT8, |call| Ok(call.world.view.map(|view| view.epoch.0 as i64).into())),
        function("current_setting", &[TEXT, Ty::BOOL], TEXT, |call| match setting(call.str(0)) {
            Some(value) => Ok(value.into()),
            None if call.value(1).is_true() => Ok(Value::Null),
            None => {
                let message = format!("unrecognized configuration parameter \"{}\"", call.str(0));
                Err(error(code::UNDEFINED_OBJECT, message))
            }
        })
        .from(1),
        // what search_path and the like are set to changes nothing here; whoever sets one is told what it was set to
        function("set_config", &[TEXT, TEXT, Ty::BOOL], TEXT, |call| {
            if call.value(1).is_null() {
                return Err(unsupported("set_config to NULL", "use RESET of the setting"));
            }
            Ok(call.value(1).clone())
        })
        .null_too(),
    ];
