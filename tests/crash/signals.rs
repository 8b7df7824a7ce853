//! Row 25: asked to stop, it finishes the epoch, makes a checkpoint, and leaves.

use super::{End, finish, live, replaying, show_hits, wait_epochs};
use crate::kill::rig::PATIENCE;

#[test]
fn row_25_signals_end_it_in_good_order_or_it_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = replaying(dir.path(), false);
    for signal in ["TERM", "INT"] {
        let mut serving = rig.serve("");
        rig.go_on(&serving);
        wait_epochs(&serving, 5);
        serving.process.signal(signal);
        let ended = serving.process.ended_by(std::time::Instant::now() + PATIENCE);
        rig.pause();
        assert_eq!(ended.and_then(|status| status.code()), Some(0), "SIG{signal}: {}", rig.tail());
        // All is in the checkpoint: there is nothing to replay.
        let serving = rig.serve("");
        rig.reached.clear();
        rig.note_hits(&serving);
        assert_eq!(rig.reached.get("replay-epoch"), None, "SIG{signal}: {:?}", rig.reached);
        rig.stop(serving);
    }
    // Dies between its last epoch and its checkpoint.
    let mut serving = rig.serve("stop=kill");
    rig.go_on(&serving);
    wait_epochs(&serving, 5);
    serving.process.signal("TERM");
    let ended = serving.process.ended_by(std::time::Instant::now() + PATIENCE);
    rig.pause();
    assert_eq!(ended.and_then(|status| status.code()), None, "it dies: {}", rig.tail());
    live(&mut rig, "replay-epoch=kill@3", End::Kill);
    finish(&mut rig);
    show_hits(&rig, &["stop=kill", "replay-epoch=kill"]);
}
