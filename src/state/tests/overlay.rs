//! Own writes over a snapshot against a map: what they hide of it, what they touched, and the way back.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;

use super::{ID, Model, adding, bytes, numbered, per_key, random, replace, replacing, scanned, stage};
use crate::{Law, Overlay, Snapshot};

fn all(model: &BTreeMap<Vec<u8>, Vec<u8>>) -> Model {
    model.iter().map(|(key, row)| ((key.clone(), row.clone()), 1)).collect()
}

#[test]
fn replacing_over_a_snapshot() {
    let mut random = random("overlay");
    for keys in [4u16, 300, 20_000] {
        let (mut base, mut model) = (replacing(), BTreeMap::new());
        let first: Vec<(Vec<u8>, Option<Vec<u8>>)> =
            (0..keys / 2).map(|key| (key.to_be_bytes().to_vec(), Some(b"old".to_vec()))).collect();
        replace(&mut base, &first);
        base.commit();
        model.extend(first.into_iter().filter_map(|(key, row)| Some((key, row?))));
        let before = model.clone();
        let mut overlay = Overlay::new(base.committed());
        let mut touched = BTreeSet::new();
        let mut marks: Vec<(Snapshot, BTreeMap<_, _>, BTreeSet<_>)> = Vec::new();
        for _ in 0..300 {
            let count = if random.random_range(0..20) == 0 { 700 } else { random.random_range(0..5) };
            let changes: Vec<(Vec<u8>, Option<Vec<u8>>)> = (0..count)
                .map(|_| {
                    let key = random.random_range(0..keys).to_be_bytes().to_vec();
                    (key, (random.random_range(0..2) == 0).then(|| random.random::<u32>().to_be_bytes().to_vec()))
                })
                .collect();
            let (mut names, mut rows, mut present) = (Vec::new(), Vec::new(), Vec::new());
            for (key, row) in changes {
                touched.insert(key.clone());
                present.push(row.is_some());
                rows.push(row.clone().unwrap_or_default());
                names.push(key.clone());
                match row {
                    Some(row) => model.insert(key, row),
                    None => model.remove(&key),
                };
            }
            overlay.replace(&bytes(&names), &bytes(&rows), &present);
            match random.random_range(0..20) {
                0 => marks.push((overlay.changes(), model.clone(), touched.clone())),
                1 if !marks.is_empty() => {
                    let at = random.random_range(0..marks.len());
                    marks.truncate(at + 1);
                    let (changes, then, then_touched) = marks[at].clone();
                    overlay.back_to(&changes);
                    (model, touched) = (then, then_touched);
                }
                _ => {}
            }
            let probed: Vec<Vec<u8>> = (0..20).map(|_| random.random_range(0..keys).to_be_bytes().to_vec()).collect();
            let wanted: Vec<Vec<_>> =
                probed.iter().map(|key| model.get(key).map(|row| (row.clone(), 1)).into_iter().collect()).collect();
            assert_eq!(per_key(&overlay.snapshot().probe(&bytes(&probed)).unwrap()), wanted);
        }
        assert_eq!(scanned(&overlay.snapshot(), 100), all(&model));
        assert_eq!(overlay.keys().iter().map(<[u8]>::to_vec).collect::<BTreeSet<_>>(), touched);
        assert_eq!(scanned(&base.committed(), 100), all(&before), "what it lies over stays as it is");
    }
}

/// With nothing of its own below, a marker would be dropped by the first merge, and the row come back.
#[test]
fn what_is_deleted_stays_deleted_through_merges() {
    let mut base = replacing();
    replace(&mut base, &[(b"a", Some(b"1")), (b"b", Some(b"2"))]);
    base.commit();
    let mut overlay = Overlay::new(base.committed());
    overlay.replace(&bytes(&[b"a"]), &bytes(&[b""]), &[false]);
    for n in 0..2000u32 {
        overlay.replace(&bytes(&[n.to_be_bytes()]), &bytes(&[b"x"]), &[true]);
    }
    assert!(overlay.snapshot().batches() < 20, "{} batches", overlay.snapshot().batches());
    assert!(overlay.snapshot().probe(&bytes(&[b"a"])).unwrap().is_absent(0));
    assert_eq!(overlay.keys().len(), 2001);
}

#[test]
fn adding_over_a_snapshot() {
    let mut base = adding();
    stage(&mut base, &numbered(0, 1000, 2));
    base.commit();
    let mut overlay = Overlay::new(base.committed());
    let mark = overlay.changes();
    for at in (0..1000).step_by(100) {
        let gone = numbered(at, 100, -1);
        let keys = bytes(&gone.iter().map(|row| row.0.clone()).collect::<Vec<_>>());
        let rows = bytes(&gone.iter().map(|row| row.1.clone()).collect::<Vec<_>>());
        overlay.add(&keys, &rows, &[-1; 100]);
    }
    let of = |rows: Vec<(Vec<u8>, Vec<u8>, i64)>| rows.into_iter().map(|(k, r, w)| ((k, r), w)).collect::<Model>();
    assert_eq!(scanned(&overlay.snapshot(), 64), of(numbered(0, 1000, 1)));
    assert_eq!(scanned(&overlay.changes(), 64), of(numbered(0, 1000, -1)));
    overlay.back_to(&mark);
    assert_eq!(scanned(&overlay.snapshot(), 64), of(numbered(0, 1000, 2)));
    assert_eq!((overlay.base().id(), overlay.base().law()), (ID, Law::Add));
}
