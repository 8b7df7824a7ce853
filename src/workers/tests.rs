use std::sync::Barrier;
use std::thread;

use super::*;

fn eager(threads: usize) -> Workers {
    Workers::eager(threads).expect("threads start")
}

#[test]
fn results_come_in_the_order_of_the_pieces() {
    for threads in [1, 2, 4, 8] {
        let workers = eager(threads);
        for len in [0usize, 1, 2, 3, 100, 1000] {
            let found: Vec<usize> = workers.run(|| map_pieces(len, 1, |piece| piece.collect::<Vec<_>>()).concat());
            assert_eq!(found, (0..len).collect::<Vec<_>>(), "{threads} threads");
        }
        assert_eq!(workers.forks() > 0, threads > 1);
    }
}

/// Each piece waits until all of them are being worked at: that needs as many threads.
#[test]
fn pieces_are_done_at_the_same_time() {
    let workers = eager(4);
    let all = Barrier::new(4);
    let wait = |()| {
        all.wait();
        thread::current().id()
    };
    let (own, threads) = workers.run(|| (thread::current().id(), map(vec![(); 4], wait)));
    for (at, thread) in threads.iter().enumerate() {
        assert!(!threads[..at].contains(thread), "{threads:?}");
    }
    assert!(threads.contains(&own), "the coordinator works too");
    assert_eq!((workers.forks(), workers.helped()), (1, 3));
}

/// While all other threads are busy elsewhere, one does all pieces, and waits for nobody.
#[test]
fn helpers_that_do_not_come_hold_up_nobody() {
    let workers = eager(2);
    let (busy, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            workers.run(|| {
                busy.wait();
                done.wait();
            })
        });
        busy.wait();
        assert_eq!(workers.run(|| map(vec![1, 2, 3], |n| n + 1)), [2, 3, 4]);
        done.wait();
    });
}

#[test]
fn who_has_no_workers_does_all_on_his_own_thread() {
    let own = thread::current().id();
    let on = || map(vec![1, 2, 3], |_| thread::current().id());
    assert_eq!(on(), [own; 3]);
    assert_eq!(pieces(1_000_000, 1), std::slice::from_ref(&(0..1_000_000)));
    let alone = Workers::new(1, 1 << 20).expect("nothing is started");
    assert_eq!((alone.run(on), alone.threads()), (vec![own; 3], 1));
}

#[test]
fn workers_help_what_they_run() {
    let (two, four) = (eager(2), eager(4));
    let count = || pieces(1000, 1).len() / PIECES_PER_WORKER;
    two.run(|| {
        assert_eq!(four.run(count), 4);
        assert_eq!((count(), two.run(count)), (2, 2));
        assert_eq!(thread::scope(|scope| scope.spawn(|| pieces(1000, 1).len()).join()).expect("no panic"), 1);
        assert_eq!(map(vec![(), ()], |()| pieces(1000, 1).len()), [1, 1], "a piece is not cut again");
        assert_eq!(count(), 2);
    });
    assert_eq!(pieces(1000, 1).len(), 1);
}

#[test]
fn little_work_is_not_cut() {
    Workers::new(4, 1 << 20).expect("threads start").run(|| {
        assert_eq!(pieces(3999, 2000), std::slice::from_ref(&(0..3999)));
        assert_eq!(pieces(4000, 2000), [0..2000, 2000..4000]);
        assert_eq!(pieces(1_000_000, 2000).len(), 4 * PIECES_PER_WORKER);
        assert!(!is_cut(3999, 2000) && is_cut(4000, 2000));
    });
}

#[test]
fn a_panic_of_a_helper_is_one_of_the_coordinator() {
    let workers = eager(2);
    let both = Barrier::new(2);
    let broken = || {
        let own = thread::current().id();
        map(vec![(), ()], |()| {
            both.wait();
            assert!(thread::current().id() == own, "broken on purpose");
        })
    };
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| workers.run(broken)));
    let message = caught.expect_err("the panic comes through");
    assert_eq!(message.downcast_ref::<&str>(), Some(&"broken on purpose"));
    assert_eq!(workers.run(|| map(vec![1, 2, 3], |n| n + 1)), [2, 3, 4], "and the workers go on");
}

#[test]
fn each_piece_fills_its_part() {
    let ends = [2, 2, 3, 7, 9];
    for threads in [1, 2, 4] {
        let (out, pieces) = eager(threads).run(|| {
            let mut out = [0u8; 9];
            fill(&mut out, &ends, &pieces(5, 1), |things, part| part.fill(things.end as u8));
            (out, pieces(5, 1))
        });
        let of = |at: usize| pieces.iter().find(|piece| ends[piece.end - 1] > at).map(|piece| piece.end as u8);
        assert_eq!(out.as_slice(), (0..9).filter_map(of).collect::<Vec<_>>(), "{threads} threads");
    }
}

#[test]
fn sorted_by_many_as_by_one() {
    let mut seed = 5u64;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32
    };
    for threads in [1, 2, 3, 4, 8] {
        let workers = eager(threads);
        for len in [0usize, 1, 2, 5, 7, 64, 1001] {
            let mut items: Vec<(u32, usize)> = (0..len).map(|at| (next() % 50, at)).collect();
            let mut wanted = items.clone();
            wanted.sort();
            workers.run(|| sort(&mut items, Ord::cmp));
            assert_eq!(items, wanted, "{len} by {threads}");
        }
    }
}
