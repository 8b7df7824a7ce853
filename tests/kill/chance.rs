//! The failpoints that a life may have, and by which hit at the latest.

/// A failpoint with what it does.
pub struct Chance {
    pub what: &'static str,
    pub hits_max: u64,
}

const fn chance(what: &'static str, hits_max: u64) -> Chance {
    Chance { what, hits_max }
}

/// On the embedded log.
pub const EMBEDDED: &[Chance] = &[
    chance("log-write=kill", 150),
    chance("log-write=error", 150),
    chance("log-written=kill", 150),
    chance("log-written=error", 150),
    chance("epoch-process=kill", 30),
    chance("epoch-staged=kill", 30),
    chance("epoch-staged=error", 30),
    chance("commit-abort=kill", 30),
    chance("commit-abort=error", 30),
    chance("commit-doubt=kill", 30),
    chance("commit-doubt=error", 30),
    chance("commit-after=kill", 30),
    chance("commit-after=error", 30),
    chance("replay-epoch=kill", 30),
    chance("replay-epoch=error", 30),
    chance("replay-range=kill", 50),
    chance("checkpoint-blocks=kill", 4),
    chance("checkpoint-blocks=error", 4),
    chance("checkpoint-flush=kill", 4),
    chance("checkpoint-links=kill", 4),
    chance("checkpoint-manifest=kill", 4),
    chance("checkpoint-manifest=error", 4),
    chance("checkpoint-rename=kill", 4),
    chance("checkpoint-rename=error", 4),
    chance("checkpoint-made=kill", 4),
    chance("checkpoint-made=error", 4),
    chance("target-before=kill", 20),
    chance("target-before=error", 20),
    chance("target-after=kill", 20),
    chance("target-after=error", 20),
    chance("target-open=kill", 3),
    chance("target-open=error", 3),
    chance("outbox-gather=kill", 30),
    chance("outbox-gather=error", 30),
    chance("writer-open=kill", 1),
    chance("sources-check=kill", 1),
    chance("epochs-trim=kill", 3),
    chance("refresh=kill", 100),
    chance("refresh=error", 100),
    chance("catalog-before=kill", 14),
    chance("catalog-after=kill", 14),
    chance("populate=kill", 7),
];

/// On Kafka.
pub const KAFKA: &[Chance] = &[
    chance("epoch-process=kill", 20),
    chance("epoch-staged=kill", 20),
    chance("commit-abort=kill", 20),
    chance("commit-abort=error", 20),
    chance("commit-doubt=kill", 20),
    chance("commit-doubt=error", 20),
    chance("commit-after=kill", 20),
    chance("commit-retry=kill", 1),
    chance("replay-epoch=kill", 20),
    chance("replay-range=kill", 20),
    chance("input-gap=kill", 20),
    chance("checkpoint-flush=kill", 4),
    chance("checkpoint-rename=kill", 4),
    chance("checkpoint-made=kill", 4),
    chance("target-before=kill", 30),
    chance("target-after=kill", 30),
    chance("target-after=error", 30),
    chance("outbox-gather=kill", 20),
    chance("writer-open=kill", 1),
    chance("epochs-trim=kill", 3),
    chance("refresh=error", 100),
    chance("catalog-after=kill", 14),
];
