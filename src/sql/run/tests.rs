//! Bounds of a statement: what its memory is refused for, and what the client is told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use dataflow::View;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use plan::Catalog;
use state::{Budget, Part};
use zset::{Epoch, TimestampMs};

use super::memory::Pool;

const MIB: usize = 1 << 20;

/// Statements over 64 MiB, of which all may have 32 together.
fn view() -> Arc<View> {
    Arc::new(View {
        epoch: Epoch(1),
        timestamp: TimestampMs(0),
        catalog: Arc::new(Catalog::default()),
        tables: Arc::default(),
        sequences: Arc::default(),
        memory: Arc::new(Budget::new(64 << 20)),
    })
}

fn statement(most: usize, view: &Arc<View>) -> (Arc<Pool>, MemoryReservation) {
    let pool = Arc::new(Pool::new(most, view));
    let reservation = MemoryConsumer::new("sort").register(&(Arc::clone(&pool) as Arc<dyn MemoryPool>));
    (pool, reservation)
}

#[test]
fn a_refusal_says_what_is_held_by_whom_and_what_helps() {
    // What others hold, what the statement may hold, holds and needs more, in MiB; what the client is told of it.
    let table = [
        (
            0,
            [10, 8, 3],
            "The statement holds 8.0 MB and needs 3.0 MB more; it may hold 10.0 MB.",
            "or raise --query-memory",
        ),
        (
            30,
            [10, 1, 2],
            "The statement holds 1024.0 KB and needs 2.0 MB more; others hold 30.0 MB, and all together may hold 32.0 MB.",
            "try again when they have ended",
        ),
        (
            0,
            [64, 30, 3],
            "The statement holds 30.0 MB and needs 3.0 MB more; others hold 0.0 B, and all together may hold 32.0 MB.",
            "or raise --memory-limit",
        ),
        (
            5,
            [64, 20, 15],
            "The statement holds 20.0 MB and needs 15.0 MB more; others hold 5.0 MB, and all together may hold 32.0 MB.",
            "or raise --memory-limit",
        ),
    ];
    for (others, [most, held, needed], detail, hint) in table {
        let view = view();
        let (other, mine) = (statement(64 * MIB, &view), statement(most * MIB, &view));
        other.1.try_grow(others * MIB).unwrap();
        mine.1.try_grow(held * MIB).unwrap();
        assert_eq!(mine.0.refusal(), None);
        let error = mine.1.try_grow(needed * MIB).unwrap_err();
        assert!(error.to_string().contains(detail), "{error}");
        let refusal = mine.0.refusal().unwrap();
        assert_eq!((refusal.sqlstate, refusal.message.as_str()), ("53200", "out of memory"));
        assert_eq!(refusal.detail.as_deref(), Some(detail));
        let told = refusal.hint.unwrap();
        assert!(told.contains(hint), "{told}");
        assert_eq!(
            told.contains("try again"),
            others == 30,
            "waiting helps only where others hold what it lacks: {told}"
        );
        assert_eq!(view.memory.taken(Part::Queries), ((others + held) * MIB) as u64, "what was refused is not held");
        assert_eq!((mine.0.reserved(), other.0.refusal()), (held * MIB, None));
    }
}

/// What has more than it may already, because nobody could be asked, may go on with that.
#[test]
fn nothing_more_is_never_too_much() {
    let view = view();
    let (pool, reservation) = statement(MIB, &view);
    reservation.grow(40 * MIB);
    assert_eq!(view.memory.taken(Part::Queries), 40 << 20);
    reservation.try_grow(0).unwrap();
    assert_eq!(pool.refusal(), None);
    assert!(reservation.try_grow(1).is_err());
}
