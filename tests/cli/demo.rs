//! `millstream demo`: it runs, its tables are right, and it goes on where it was.

use std::fs;

use super::support::{outcome, output};

#[test]
fn goes_on_and_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let data = data.to_str().unwrap();
    let (code, first, said) = outcome(&output(&["demo", "--seconds", "3", "--data", data]));
    assert_eq!(code, 0, "{first}\n{said}");
    assert!(first.starts_with("millstream ready pg=127.0.0.1:"), "{first}");
    assert!(first.lines().any(|line| line.starts_with("epoch ") && line.contains("rows: sales")), "{first}");
    assert!(first.contains("\nchecked: revenue ") && !first.contains("goes on with"), "{first}");
    assert!(first.contains(" inserts, ") && !first.contains(" 0 deletes"), "{first}");

    let (code, second, said) = outcome(&output(&["demo", "--seconds", "3", "--data", data]));
    assert_eq!(code, 0, "{second}\n{said}");
    assert!(second.contains("\ndemo: goes on with 2"), "{second}");
    assert!(second.contains("\nchecked: revenue "), "{second}");

    let (code, third, said) = outcome(&output(&["demo", "--seconds", "1", "--data", data, "--fresh"]));
    assert_eq!(code, 0, "{third}\n{said}");
    assert!(!third.contains("goes on with"), "--fresh begins anew: {third}");
}

#[test]
fn a_folder_of_others_is_not_deleted() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "years").unwrap();
    let (code, _, said) = outcome(&output(&["demo", "--fresh", "--data", dir.path().to_str().unwrap()]));
    assert_eq!(code, 2);
    assert!(said.contains("not a data folder of millstream"), "{said}");
    assert!(dir.path().join("thesis.tex").exists());
}
