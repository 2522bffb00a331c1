//! One opener among processes. Alone in its process: a child that is being forked holds every open lock until it execs.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/engines.rs"]
mod engines;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use engines::*;

#[test]
fn one_opener_among_processes() {
    let dir = tempfile::tempdir().unwrap();
    let here = options(dir.path(), None);
    close(open(here.clone()).unwrap());
    // flock(1) holds the lock as another eraft would; its child says when, and holds on until its input ends.
    let mut other = Command::new("flock")
        .arg(dir.path().join("LOCK"))
        .args(["sh", "-c", "echo locked; read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock of util-linux");
    let mut line = String::new();
    let output = other.stdout.as_mut().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    fs::write(dir.path().join("LOCK"), "4121\n").unwrap();
    let refused = open(here.clone()).err().expect("refused").message;
    assert!(
        refused.contains("another eraft holds it (pid 4121)"),
        "{refused}"
    );
    drop(other.stdin.take());
    other.wait().unwrap();
    drop(open(here).unwrap());
}
