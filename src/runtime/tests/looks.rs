//! A source looks at what its topic holds from time to time, and may be told what that was some time ago.

use super::wait::until;
use super::world::{T, World, put};

#[test]
fn what_was_read_since_it_was_looked_at_is_not_gone() {
    let world = World::new();
    *world.log.faults.stale.lock().unwrap() = Some(Default::default());
    let looks = || world.log.faults.stale.lock().unwrap().as_ref().unwrap().1;
    let wait_for_looks = |more: u32| {
        let before = looks();
        until("somebody looks", || looks() >= before + more);
    };
    let running = world.start();
    running.sql(T);
    wait_for_looks(1);
    running.feed("t", &[put(1, 1, 0), put(2, 2, 0)]);
    wait_for_looks(2);
    let shown = running.show("SOURCES");
    assert!(shown["t"].contains(&"ACTIVE".to_string()), "the topic ends behind what was read: {shown:?}");
    running.feed("t", &[put(3, 3, 0)]);
    assert_eq!(running.rows("t").len(), 3);
}
