//! Whose a target is: of two writers one is stopped, and is told who the other is.

use api::{Progress, Target, TargetError};
use zset::{Epoch, Generation};

use super::support::{World, apply, columns, open, progress, there};

#[test]
fn nothing_is_written_if_the_progress_is_not_where_we_left_it() {
    let mut world = World::new();
    let spec = world.spec("t", &columns(), &[0]);
    let (mut first, _) = open(&spec);
    let (mut second, _) = open(&spec);
    apply(&mut first, vec![there(&[(1, "first")])], None, 5).unwrap();
    for before in [None, Some(4)] {
        let moved = apply(&mut second, vec![there(&[(1, "second")])], before, 6).unwrap_err();
        assert!(matches!(&moved, TargetError::Retriable(why) if why.contains("moved to epoch 5")), "{moved}");
        second.open().unwrap();
    }
    let other = Progress { incarnation: "another".into(), generation: Generation(1), epoch: Epoch(6) };
    let stolen = second.apply(&mut vec![Ok(there(&[(1, "second")]))].into_iter(), Some(&progress(1, 5)), &other);
    let stolen = stolen.unwrap_err();
    assert!(
        matches!(&stolen, TargetError::Refused(why) if why.contains("of incarnation i, and this one is another")),
        "{stolen}"
    );
    assert_eq!(world.rows("SELECT name FROM t"), [["first"]]);
    assert_eq!(world.rows("SELECT epoch FROM millstream_progress"), [["5"]]);
}

#[test]
fn a_zombie_is_stopped_by_the_generation() {
    let mut world = World::new();
    let spec = world.spec("t", &columns(), &[0]);
    let (mut zombie, _) = open(&spec);
    apply(&mut zombie, vec![there(&[(1, "a")])], None, 5).unwrap();
    let (mut later, before) = open(&spec);
    later.apply(&mut vec![Ok(there(&[(1, "b")]))].into_iter(), before.as_ref(), &progress(2, 5)).unwrap();
    let stopped = apply(&mut zombie, vec![there(&[(1, "z")])], Some(5), 6).unwrap_err();
    assert!(matches!(&stopped, TargetError::Refused(why) if why.contains("later start (generation 2)")), "{stopped}");
    assert_eq!(world.rows("SELECT name FROM t"), [["b"]]);
}

#[test]
fn sinks_and_pipelines_have_each_their_progress() {
    let mut world = World::new();
    let mut specs = [world.spec("a", &columns(), &[0]), world.spec("b", &columns(), &[0])];
    specs[1].sink.name = "other".into();
    for (spec, epoch) in specs.iter().zip([3, 8]) {
        let (mut target, none) = open(spec);
        assert_eq!(none, None);
        apply(&mut target, vec![there(&[(1, "x")])], None, epoch).unwrap();
    }
    let found = world.rows("SELECT sink, epoch FROM millstream_progress ORDER BY sink");
    assert_eq!(found, [["other", "8"], ["s", "3"]]);
}

#[test]
fn tables_of_progress_can_be_made_by_many_at_once() {
    let world = World::new();
    let specs: Vec<_> = (0..8)
        .map(|number| {
            let mut spec = world.spec(&format!("t{number}"), &columns(), &[0]);
            spec.sink.name = format!("s{number}");
            spec
        })
        .collect();
    std::thread::scope(|scope| {
        for spec in &specs {
            scope.spawn(|| {
                let mut target = crate::PostgresTarget::new(spec).unwrap();
                while let Err(error) = target.open() {
                    assert!(matches!(error, TargetError::Retriable(_)), "{error}");
                }
            });
        }
    });
}
