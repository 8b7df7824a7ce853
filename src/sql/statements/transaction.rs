//! BEGIN, COMMIT, ROLLBACK, SAVEPOINT and their like: what they say; what it means, the session knows.

use dataflow::{Block, Isolation, Modes};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use crate::error::{Detail, Result, unsupported};

/// BEGIN [WORK | TRANSACTION] [mode, ...].
pub(super) fn begin(cursor: &mut Cursor) -> Result<Block> {
    cursor.eat(&["BEGIN"]);
    noise(cursor);
    let modes = modes(cursor)?;
    cursor.end()?;
    Ok(Block::Begin(modes))
}

/// START TRANSACTION [mode, ...].
pub(super) fn start(cursor: &mut Cursor) -> Result<Block> {
    cursor.eat(&["START"]);
    cursor.expect("TRANSACTION")?;
    let modes = modes(cursor)?;
    cursor.end()?;
    Ok(Block::Begin(modes))
}

/// COMMIT, END [WORK | TRANSACTION] [AND [NO] CHAIN].
pub(super) fn commit(cursor: &mut Cursor) -> Result<Block> {
    cursor.parser.next_token();
    refuse_prepared(cursor)?;
    noise(cursor);
    let chain = chain(cursor)?;
    cursor.end()?;
    Ok(Block::Commit { chain })
}

/// ROLLBACK, ABORT [WORK | TRANSACTION] [AND [NO] CHAIN | TO [SAVEPOINT] name].
pub(super) fn rollback(cursor: &mut Cursor) -> Result<Block> {
    cursor.parser.next_token();
    refuse_prepared(cursor)?;
    noise(cursor);
    if cursor.eat(&["TO"]) {
        cursor.eat(&["SAVEPOINT"]);
        return Ok(Block::BackTo(last_name(cursor)?));
    }
    let chain = chain(cursor)?;
    cursor.end()?;
    Ok(Block::Rollback { chain })
}

/// SAVEPOINT name.
pub(super) fn savepoint(cursor: &mut Cursor) -> Result<Block> {
    cursor.eat(&["SAVEPOINT"]);
    Ok(Block::Savepoint(last_name(cursor)?))
}

/// RELEASE [SAVEPOINT] name.
pub(super) fn release(cursor: &mut Cursor) -> Result<Block> {
    cursor.eat(&["RELEASE"]);
    cursor.eat(&["SAVEPOINT"]);
    Ok(Block::Release(last_name(cursor)?))
}

/// SET TRANSACTION mode, ...; the cursor is behind the words.
pub(super) fn set(cursor: &mut Cursor) -> Result<Block> {
    if cursor.eat(&["SNAPSHOT"]) {
        return Err(unsupported("SET TRANSACTION SNAPSHOT", "leave it out: a transaction takes the newest epoch"));
    }
    Ok(Block::Set(some_modes(cursor)?))
}

/// At least one mode, to the end.
pub(super) fn some_modes(cursor: &mut Cursor) -> Result<Modes> {
    let modes = modes(cursor)?;
    if modes == Modes::default() {
        return Err(cursor.expected("ISOLATION LEVEL, READ ONLY, READ WRITE or DEFERRABLE"));
    }
    cursor.end()?;
    Ok(modes)
}

pub(super) fn refuse_two_phases(cursor: &Cursor) -> dataflow::StatementError {
    unsupported("PREPARE TRANSACTION", "COMMIT it: there is no commit in two phases").at(cursor.span())
}

fn refuse_prepared(cursor: &mut Cursor) -> Result<()> {
    match cursor.peek_word().as_deref() {
        Some("PREPARED") => Err(refuse_two_phases(cursor)),
        _ => Ok(()),
    }
}

fn noise(cursor: &mut Cursor) {
    let _ = cursor.eat(&["WORK"]) || cursor.eat(&["TRANSACTION"]);
}

fn chain(cursor: &mut Cursor) -> Result<bool> {
    if !cursor.eat(&["AND"]) {
        return Ok(false);
    }
    let no = cursor.eat(&["NO"]);
    cursor.expect("CHAIN")?;
    Ok(!no)
}

fn last_name(cursor: &mut Cursor) -> Result<String> {
    let name = cursor.identifier()?;
    cursor.end()?;
    Ok(name)
}

fn modes(cursor: &mut Cursor) -> Result<Modes> {
    let mut modes = Modes::default();
    loop {
        if cursor.eat(&["ISOLATION", "LEVEL"]) {
            modes.isolation = Some(isolation(cursor)?);
        } else if cursor.eat(&["READ", "ONLY"]) {
            modes.read_only = Some(true);
        } else if cursor.eat(&["READ", "WRITE"]) {
            modes.read_only = Some(false);
        } else if cursor.eat(&["DEFERRABLE"]) {
            modes.deferrable = Some(true);
        } else if cursor.eat(&["NOT", "DEFERRABLE"]) {
            modes.deferrable = Some(false);
        } else {
            return Ok(modes);
        }
        if cursor.eat_token(&Token::Comma) && cursor.at_end() {
            return Err(cursor.expected("a mode"));
        }
    }
}

fn isolation(cursor: &mut Cursor) -> Result<Isolation> {
    let levels: [(&[&str], Isolation); 4] = [
        (&["READ", "UNCOMMITTED"], Isolation::ReadUncommitted),
        (&["READ", "COMMITTED"], Isolation::ReadCommitted),
        (&["REPEATABLE", "READ"], Isolation::RepeatableRead),
        (&["SERIALIZABLE"], Isolation::Serializable),
    ];
    for (words, level) in levels {
        if cursor.eat(words) {
            return Ok(level);
        }
    }
    Err(cursor.expected("READ UNCOMMITTED, READ COMMITTED, REPEATABLE READ or SERIALIZABLE"))
}
