//! What a client may send, rule by rule; and that no bytes get past the verifier which apply could trip over.

use eraft_core::command::{
    BatchError, BatchSummary, flag, kind, limits, parse_batch, parse_read, parse_scan, verify_batch,
};
use proptest::prelude::*;

#[path = "common/batches.rs"]
mod batches;
#[path = "common/seeds.rs"]
mod seeds;
use batches::{Batch, Scan, read_batch};

fn wire(batch: &Batch) -> u16 {
    verify_batch(&batch.encode()).map_or_else(BatchError::wire, |_| 0)
}

#[test]
fn good_batches_pass_and_are_counted() {
    let long = vec![b'k'; limits::KEY_BYTES_MAX];
    let good = [
        (Batch::new().put(b"k", b""), 1),
        (
            Batch::new()
                .put(&long, &vec![0; limits::VALUE_BYTES_MAX])
                .delete(&long),
            2,
        ),
        (Batch::of(7, 1, 0).increment(b"k", -5).append(b"k", b"x"), 2),
        (Batch::of(7, 256, 0).delete_previous(b"k"), 1),
        (
            Batch::new()
                .delete_range(b"", b"", -1, false)
                .delete_range(b"a", b"b", 3, true),
            2,
        ),
        (
            Batch::new().delete_range(&[b'k'; limits::KEY_BYTES_MAX + 1], b"", 0, false),
            1,
        ),
        (
            Batch::new()
                .transact(3)
                .revision_is(b"k", 0)
                .exists(b"k")
                .put(b"k", b"v")
                .put(b"l", b"w"),
            2,
        ),
        (Batch::new().transact(1).absent(b"k"), 1),
    ];
    for (batch, commands) in good {
        assert_eq!(
            verify_batch(&batch.encode()),
            Ok(BatchSummary {
                commands,
                register: false
            })
        );
        assert_eq!(commands, batch.count());
    }
    assert_eq!(
        verify_batch(&Batch::register().encode()),
        Ok(BatchSummary {
            commands: 1,
            register: true
        })
    );
    let many = (0..limits::BATCH_COMMANDS_MAX).fold(Batch::new(), |batch, _| batch.put(b"k", b"v"));
    assert_eq!(wire(&many), 0);
    assert_eq!(wire(&many.put(b"k", b"v")), 23);
    let ranges = (0..limits::BATCH_RANGES_MAX).fold(Batch::new(), |batch, _| {
        batch.delete_range(b"a", b"b", -1, false)
    });
    assert_eq!(wire(&ranges), 0);
    assert_eq!(wire(&ranges.delete_range(b"a", b"b", -1, false)), 23);
}

#[test]
fn each_rule_has_its_error() {
    let long = vec![b'k'; limits::KEY_BYTES_MAX + 1];
    let longer = vec![b'k'; limits::KEY_BYTES_MAX + 2];
    let put = |batch: Batch| batch.put(b"k", b"v");
    #[rustfmt::skip]
    let cases = [
        ("empty key", Batch::new().put(b"", b"v"), 20),
        ("empty key of a condition", Batch::new().transact(1).exists(b""), 20),
        ("long key", Batch::new().put(&long, b"v"), 21),
        ("long bound", Batch::new().delete_range(&longer, b"", -1, false), 21),
        ("long end", Batch::new().delete_range(b"", &longer, -1, false), 21),
        ("long value", Batch::new().put(b"k", &vec![0; limits::VALUE_BYTES_MAX + 1]), 22),
        ("no commands", Batch::new(), 25),
        ("unknown kind", Batch::new().command(8, 0, 0, b"k", b"", 0), 25),
        ("kind 0", Batch::new().command(0, 0, 0, b"k", b"", 0), 25),
        ("a condition alone", Batch::new().exists(b"k"), 25),
        ("unknown flag", Batch::new().command(kind::PUT, 4, 0, b"k", b"", 0), 25),
        ("previous of an append", Batch::new().command(kind::APPEND, flag::PREVIOUS, 0, b"k", b"", 0), 25),
        ("from the end, without a limit", Batch::new().delete_range(b"", b"", -1, true), 25),
        ("negative limit", Batch::new().delete_range(b"", b"", -2, false), 25),
        ("limit too large", Batch::new().delete_range(b"", b"", 100_001, false), 25),
        ("parts of a put", Batch::new().command(kind::PUT, 0, 1, b"k", b"", 0), 25),
        ("transaction of nothing", Batch::new().transact(0), 25),
        ("transaction with a key", put(Batch::new().command(kind::TRANSACT, 0, 1, b"k", b"", 0)), 25),
        ("too few parts", put(Batch::new().transact(2)), 25),
        ("condition behind an operation", put(Batch::new().transact(2)).exists(b"k"), 25),
        ("range in a transaction", Batch::new().transact(1).delete_range(b"", b"", -1, false), 25),
        ("transaction in a transaction", put(Batch::new().transact(2).transact(1)), 25),
        ("previous in a transaction", Batch::new().transact(1).put_previous(b"k", b"v"), 25),
        ("register in a transaction", Batch::new().transact(1).command(kind::REGISTER, 0, 0, b"k", b"", 0), 25),
        ("number of a put", Batch::new().command(kind::PUT, 0, 0, b"k", b"v", 1), 25),
        ("value of a delete", Batch::new().command(kind::DELETE, 0, 0, b"k", b"v", 0), 25),
        ("summand too large", Batch::new().increment(b"k", 1 << 53), 25),
        ("summand too small", Batch::new().increment(b"k", i64::MIN), 25),
        ("revision below 0", Batch::new().transact(1).command(kind::REVISION_IS, 0, 0, b"k", b"", -1), 25),
        ("revision too large", Batch::new().transact(1).revision_is(b"k", 1 << 53), 25),
        ("register beside others", put(Batch::register()), 25),
        ("register with a session", Batch { session: 1, sequence: 1, ..Batch::register() }, 25),
        ("register with a key", Batch::new().command(kind::REGISTER, 0, 0, b"k", b"", 0), 25),
        ("sequence without a session", put(Batch::of(0, 1, 0)), 25),
        ("acknowledged without a session", put(Batch::of(0, 0, 1)), 25),
        ("session without a sequence", put(Batch::of(1, 0, 0)), 25),
        ("acknowledges itself", put(Batch::of(1, 5, 5)), 25),
        ("beyond the window", put(Batch::of(1, 257, 0)), 25),
        ("session too large", put(Batch::of(1 << 53, 1, 0)), 25),
        ("sequence too large", put(Batch::of(1, 1 << 53, (1 << 53) - 1)), 25),
        ("more data", Batch { data: b"kvx".to_vec(), ..put(Batch::new()) }, 25),
        ("less data", Batch { data: b"k".to_vec(), ..put(Batch::new()) }, 25),
    ];
    for (name, batch, error) in cases {
        assert_eq!(wire(&batch), error, "{name}");
    }
}

#[test]
fn reserved_bytes_and_hidden_bytes_are_refused() {
    let mut batch = Batch::new().put(b"k", b"v");
    batch.headers[0].set_reserved(1);
    assert_eq!(wire(&batch), 25);
    let mut bytes = Batch::new().put(b"k", b"v").encode();
    assert!(verify_batch(&bytes).is_ok());
    bytes.extend_from_slice(&[0; 128]);
    assert_eq!(verify_batch(&bytes).map_err(BatchError::wire), Err(25));
    assert_eq!(
        verify_batch(&vec![0; limits::BATCH_BYTES_MAX + 1]).map_err(BatchError::wire),
        Err(23)
    );
    for length in 0..8 {
        assert_eq!(
            verify_batch(&vec![0; length]).map_err(BatchError::wire),
            Err(25)
        );
    }
}

#[test]
fn reads_are_verified() {
    let wire =
        |keys: &[&[u8]]| parse_read(&read_batch(keys, false)).map_or_else(BatchError::wire, |_| 0);
    assert_eq!(wire(&[b"a", b"bc"]), 0);
    assert_eq!(wire(&[]), 0);
    assert_eq!(wire(&[b"a", b""]), 20);
    assert_eq!(wire(&[&vec![b'k'; limits::KEY_BYTES_MAX + 1]]), 21);
    assert_eq!(wire(&vec![&b"k"[..]; limits::READ_KEYS_MAX + 1]), 23);
    assert!(parse_read(b"garbage").is_err());

    let request = |change: fn(&mut Scan)| {
        let mut scan = Scan::default();
        change(&mut scan);
        parse_scan(&scan.encode()).map_or_else(BatchError::wire, |_| 0)
    };
    assert_eq!(request(|_| {}), 0);
    assert_eq!(
        request(|scan| scan.first = vec![b'k'; limits::KEY_BYTES_MAX + 1]),
        0
    );
    assert_eq!(
        request(|scan| scan.end = vec![b'k'; limits::KEY_BYTES_MAX + 2]),
        21
    );
    assert_eq!(request(|scan| scan.limit = 0), 25);
    assert_eq!(request(|scan| scan.limit = 16_385), 25);
    assert!(parse_scan(&read_batch(&[b"x"], false)[..16]).is_err());
}

fn any_batch() -> impl Strategy<Value = Batch> {
    let key = prop::collection::vec(any::<u8>(), 0..4);
    let value = prop::collection::vec(any::<u8>(), 0..9);
    let command = (0u8..20, 0u8..3, 0u16..3, key, value, -2i64..3);
    (
        prop::collection::vec(command, 0..6),
        0u64..3,
        0u64..3,
        0u64..3,
    )
        .prop_map(|(commands, session, sequence, acknowledged)| {
            commands.into_iter().fold(
                Batch::of(session, sequence, acknowledged),
                |batch, (kind, flags, parts, key, value, number)| {
                    batch.command(kind, flags, parts, &key, &value, number)
                },
            )
        })
}

/// Walks a batch as apply does, and checks what apply relies on.
fn walk(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(batch) = parse_batch(bytes) else {
        return Ok(());
    };
    let mut commands = batch.commands();
    let mut count = 0;
    while let Some(command) = commands.next() {
        count += 1;
        let mut operations = false;
        for _ in 0..command.parts {
            let part = commands.next().expect("a part");
            prop_assert!(!(operations && part.is_condition()));
            prop_assert!(
                !part.key.is_empty() && (part.is_condition() || (1..=4).contains(&part.kind))
            );
            operations |= !part.is_condition();
        }
        prop_assert!((1..=7).contains(&command.kind));
        prop_assert!(
            command.key.len() <= limits::KEY_BYTES_MAX + 1
                && command.value.len() <= limits::VALUE_BYTES_MAX
        );
    }
    prop_assert_eq!(count, batch.count);
    let sum: usize = batch
        .commands()
        .map(|command| command.key.len() + command.value.len())
        .sum();
    prop_assert!(sum + batch.headers() * 24 <= bytes.len());
    prop_assert!(sum + batch.headers() * 24 + 128 >= bytes.len());
    Ok(())
}

proptest! {
    #![proptest_config(seeds::config("command_verify", 3000))]

    #[test]
    fn random_commands_never_pass_wrongly(batch in any_batch()) {
        walk(&batch.encode())?;
    }

    #[test]
    fn changed_bytes_never_pass_wrongly(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
        end in any::<bool>(),
    ) {
        let mut bytes = Batch::of(9, 4, 2)
            .put(b"key", b"value").transact(3).revision_is(b"k", 3).value_is(b"v", b"w").append(b"x", b"yz")
            .delete_range(b"a", b"b", 5, true).increment(b"n", 7)
            .encode();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if end {
            bytes.truncate(cut.index(bytes.len()));
        }
        walk(&bytes)?;
        let _ = parse_read(&bytes).map(|read| read.keys().map(<[u8]>::len).sum::<usize>());
        let _ = parse_scan(&bytes);
    }

    #[test]
    fn changed_reads_never_pass_wrongly(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let mut bytes = read_batch(&[b"a", b"bcd", b"ef"], false);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = parse_read(&bytes) {
            prop_assert_eq!(read.keys().count(), read.count());
            prop_assert!(read.keys().all(|key| !key.is_empty()));
        }
    }
}
