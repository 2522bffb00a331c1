//! Opens a damaged log with what stands before the damage, and says what may be lost.
//!
//! SAFETY: a replica that opens a damaged log keeps no promise that it cannot see, and breaks none that it can.
//! Claim:   (1) What is left of each group is the log as it was at one moment, but for what a later checkpoint says is
//!          truncated: nothing is invented, no entry stands beside one that it never stood beside. (2) Term and vote do not go
//!          behind any that a readable byte shows. (3) Whoever opens it is told, again at every opening, until
//!          `set_repaired`; also after a crash at any point in here. (4) No byte of the log is destroyed.
//! Why:     (1) The frames are read in order, as ever, and the first that does not verify ends the log, of all groups: it
//!          may have held anything. Where the log begins follows from the latest sound checkpoint, wherever it stands,
//!          since segments before its oldest one may be gone. (2) `evidence` collects from every sound frame behind the
//!          damage, and the new segment states what it found before anything else. (3) The note is durable before a file is
//!          touched, and each step can be done again. (4) Files are renamed; the one that the cut lies in is copied first.
//! Rests:   the note tells old segments from new ones: those behind the cut are old until its stage is `SetAside`.
//!          The host neither votes nor acknowledges for a group with `GroupState::damage`.
//! Checked: tests/wal_repair.rs: every bit of a small log, every operation of a repair, against the history of the log.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::WalError;
use super::damage::{Cut, GroupNote, Note, Stage, aside_path};
use super::evidence::{Evidence, Latest};
use super::items::{self, Item};
use super::layout::{FrameHeader, FrameKind, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::recovery::{Recovered, recover};
use super::scan::Scan;
use super::shared::{Shared, segment_path};
use super::types::{Base, Damage};
use crate::sys::{self, FileSystem, Open};

/// A segment file, whatever is in it.
struct Found {
    number: u64,
    path: PathBuf,
    length: u64,
    /// If it verifies and is of this segment.
    header: Option<SegmentHeader>,
    /// Of the frame behind it, if that is the first checkpoint.
    first: Option<FrameHeader>,
}

impl Found {
    fn look(fs: &dyn FileSystem, dir: &Path, number: u64) -> Result<Self, WalError> {
        let path = segment_path(dir, number);
        let bytes = sys::read_file(fs, &path).map_err(WalError::io("read", &path))?;
        let header = SegmentHeader::decode(&bytes).ok();
        let first = bytes
            .get(SEGMENT_HEADER_BYTES..)
            .and_then(FrameHeader::decode);
        Ok(Self {
            number,
            path,
            length: bytes.len() as u64,
            header: header.filter(|header| header.segment == number),
            first: first
                .filter(|first| first.segment == number && first.kind == FrameKind::Checkpoint),
        })
    }

    /// Read anew each time: a log may be larger than memory.
    fn bytes(&self, fs: &dyn FileSystem) -> Result<Vec<u8>, WalError> {
        sys::read_file(fs, &self.path).map_err(WalError::io("read", &self.path))
    }

    /// Frames have the salt of their opening, and bytes of earlier lives have others.
    fn salt(&self) -> Option<u64> {
        let of_header = self.header.map(|header| header.salt);
        of_header.or(self.first.map(|first| first.salt))
    }

    /// Whether nothing can be missing at its end, if it is the newest.
    fn is_whole(&self) -> bool {
        self.header
            .is_some_and(|header| header.segment_bytes == self.length)
    }
}

/// Finds where the log is sound, and what the rest shows. `numbers`: of all segments, ascending. `known`: the note of an
/// earlier damage. `error`: why recovery has refused. `told`: groups to be spoken of in any case.
pub fn plan(
    fs: &dyn FileSystem,
    dir: &Path,
    numbers: &[u64],
    known: Option<&Note>,
    error: &WalError,
    (told, id): (&[u32], u64),
) -> Result<Note, WalError> {
    let found = numbers.iter().map(|number| Found::look(fs, dir, *number));
    let segments = found.collect::<Result<Vec<Found>, WalError>>()?;
    let salts: BTreeSet<u64> = segments.iter().filter_map(Found::salt).collect();
    // First for the latest checkpoint alone: where the log begins decides where it ends.
    let mut all = Evidence::new(0, salts.clone());
    for segment in &segments {
        all.look(segment.number, &segment.bytes(fs)?, 0);
    }
    let latest = all.latest.take().unwrap_or_default();
    let cut = cut(fs, &segments, latest.oldest)?;
    let mut behind = Evidence::new(cut.sequence, salts);
    for segment in segments.iter().filter(|found| found.number >= cut.last) {
        let offset = match segment.number == cut.last {
            true => cut.offset as usize,
            false => 0,
        };
        behind.look(segment.number, &segment.bytes(fs)?, offset);
    }
    let newest = segments.last();
    let whole = newest.is_some_and(Found::is_whole);
    let cut_behind_all = newest.is_some_and(|newest| newest.number == cut.last);
    if cut_behind_all && whole && !behind.is_behind(cut.sequence) {
        return Err(error.clone()); // every frame is sound: what they say cannot be
    }
    behind.close(cut.sequence, whole);
    let aside = numbers.iter().copied().filter(|number| *number >= cut.last);
    let old = known.map_or(&[][..], |known| &known.groups);
    let named = old.iter().map(|group| &group.group).chain(told);
    let groups: BTreeSet<u32> = all.groups.keys().chain(named).copied().collect();
    let of_group = |group: u32| {
        let old = old.iter().find(|old| old.group == group);
        GroupNote::of(group, old, (&all, &behind), &latest, error)
    };
    Ok(Note {
        stage: Stage::Planned,
        id,
        cut,
        aside: aside.collect(),
        groups: groups.into_iter().map(of_group).collect(),
    })
}

/// How far frames follow each other from segment `first` on.
fn cut(fs: &dyn FileSystem, segments: &[Found], first: u64) -> Result<Cut, WalError> {
    let mut cut = Cut::default();
    let mut rest = segments.iter().filter(|segment| segment.number >= first);
    let mut number = first;
    while let Some(segment) = rest.next() {
        let Some(header) = segment.header else { break };
        let follows = cut.last == 0
            || (header.first_sequence, header.previous) == (cut.sequence, cut.previous);
        if segment.number != number || !follows {
            break;
        }
        let next = rest.clone().next().and_then(|next| next.header);
        let next = next.filter(|next| next.segment == number + 1);
        let bytes = segment.bytes(fs)?;
        let mut scan = Scan::new(&bytes, header);
        while next.is_none_or(|next| scan.sequence < next.first_sequence)
            && scan
                .next_frame()
                .is_some_and(|found| found.header.kind != FrameKind::Seal)
        {}
        if scan.offset == SEGMENT_HEADER_BYTES {
            break;
        }
        cut = Cut {
            first,
            last: number,
            offset: scan.offset as u64,
            sequence: scan.sequence,
            previous: scan.previous,
        };
        if next.is_none_or(|next| scan.sequence < next.first_sequence) {
            break;
        }
        number += 1;
    }
    Ok(cut)
}

impl GroupNote {
    /// What is to be said of a group. `old`: what was said of an earlier damage.
    fn of(
        group: u32,
        old: Option<&GroupNote>,
        (all, behind): (&Evidence, &Evidence),
        latest: &Latest,
        error: &WalError,
    ) -> Self {
        let seen = all.groups.get(&group).copied().unwrap_or_default();
        let unrepaired = old.filter(|old| !old.repaired);
        let before = unrepaired.map_or(Damage::default(), |old| old.damage.clone());
        let description = match before.description.as_str() {
            "" => error.to_string(),
            before => format!("{error}; before: {before}"),
        };
        let votes = old.map_or((0, 0), |old| (old.term, old.vote));
        let (term, vote) = votes.max((seen.term, seen.vote));
        let base = latest
            .groups
            .get(&group)
            .filter(|item| item.compacted_index > 0)
            .map_or(Base::default(), |item| Base {
                index: item.compacted_index,
                term: item.compacted_term,
                time: seen.last_time,
                next_revision: seen.next_revision,
            });
        // The latest that is certainly committed, else the oldest.
        let confs = all.confs.get(&group);
        let conf = confs.and_then(|confs| {
            let committed = confs.range(..=base.index).next_back();
            committed.or_else(|| confs.iter().next())
        });
        Self {
            group,
            damage: Damage {
                description,
                maybe_index: before.maybe_index.max(seen.last_index),
                maybe_term: term,
                maybe_vote: vote,
                known: behind.is_known(group) && unrepaired.is_none_or(|old| old.damage.known),
            },
            term,
            vote,
            base,
            conf: conf.map(|(index, conf)| (*index, conf.clone())),
            repaired: false,
        }
    }
}

/// Gives what the note names another name. May be done again.
pub fn set_aside(fs: &dyn FileSystem, dir: &Path, note: &mut Note) -> Result<(), WalError> {
    if note.stage == Stage::SetAside {
        return Ok(());
    }
    for &segment in &note.aside {
        let from = segment_path(dir, segment);
        let to = aside_path(dir, segment, note.id);
        if segment == note.cut.last {
            copy(fs, &from, &to)?;
        } else if exists(fs, &from)? {
            fs.rename(&from, &to)
                .map_err(WalError::io("rename", &from))?;
        }
    }
    fs.sync_dir(dir).map_err(WalError::io("sync", dir))?;
    note.stage = Stage::SetAside;
    note.write(fs, dir)
}

fn exists(fs: &dyn FileSystem, path: &Path) -> Result<bool, WalError> {
    match fs.open(path, Open::Read) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(WalError::io("open", path)(error)),
    }
}

/// A whole and durable copy: whatever a crash has left of an earlier one is made anew.
fn copy(fs: &dyn FileSystem, from: &Path, to: &Path) -> Result<(), WalError> {
    let bytes = sys::read_file(fs, from).map_err(WalError::io("read", from))?;
    if exists(fs, to)? {
        fs.remove(to).map_err(WalError::io("remove", to))?;
    }
    let file = fs
        .open(to, Open::Create)
        .map_err(WalError::io("create", to))?;
    let written = sys::write_all_at(&*file, 0, &mut [IoSlice::new(&bytes)]);
    written.map_err(WalError::io("write", to))?;
    file.sync().map_err(WalError::io("sync", to))
}

/// Recovers; a damaged log only if there are `groups` to be told so of. Also returns the note, if there is one.
pub fn open(
    fs: &dyn FileSystem,
    dir: &Path,
    numbers: impl Fn() -> Result<Vec<u64>, WalError>,
    (groups, id): (&[u32], u64),
) -> Result<(Recovered, Option<Note>), WalError> {
    let mut note = Note::read(fs, dir)?;
    if let Some(note) = &mut note {
        set_aside(fs, dir, note)?;
    }
    let found = match recover(fs, dir, &numbers()?, note.as_ref()) {
        Err(error @ WalError::Damaged { .. }) if !groups.is_empty() => {
            let known = note.as_ref();
            let mut planned = plan(fs, dir, &numbers()?, known, &error, (groups, id))?;
            planned.write(fs, dir)?;
            set_aside(fs, dir, &mut planned)?;
            note = Some(planned);
            recover(fs, dir, &numbers()?, note.as_ref())
        }
        found => found,
    };
    let mut recovered = found?;
    if let Some(note) = &note {
        restate(&mut recovered, note);
    }
    Ok((recovered, note))
}

/// Raises what was recovered to what the note says, and has the next segment begin with it.
fn restate(recovered: &mut Recovered, note: &Note) {
    let state = &mut recovered.state;
    for told in &note.groups {
        let group = state.groups.entry(told.group).or_default();
        let mut raised = group.written.hard_state;
        if (told.term, told.vote) > (raised.term, raised.vote) {
            (raised.term, raised.vote) = (told.term, told.vote);
        }
        if raised != group.written.hard_state {
            group.written.hard_state = raised;
            Item::HardState {
                group: told.group,
                state: raised,
            }
            .encode(&mut state.restated);
        }
        group.submitted = group.written.hard_state;
        if let Some((index, conf)) = told.conf.as_ref().filter(|_| group.written.conf.is_none()) {
            group.conf_item_bytes = items::conf_bytes(conf.len());
            group.written.conf = Some((*index, conf.as_slice().into()));
        }
        group.damage = (!told.repaired).then(|| told.damage.clone());
    }
}

/// See `Wal::set_repaired`.
pub fn set_repaired(shared: &Shared, group: u32) -> Result<(), WalError> {
    {
        let mut held = shared.note.lock();
        let Some(mut note) = held.clone() else {
            return Ok(());
        };
        for told in note.groups.iter_mut().filter(|told| told.group == group) {
            told.repaired = true;
        }
        note.write(&*shared.fs, &shared.dir)?;
        *held = Some(note);
    }
    if let Some(group) = shared.state.lock().groups.get_mut(&group) {
        group.damage = None;
    }
    forget_if_repaired(shared)
}

/// Removes the note when every group is repaired, and nobody needs the cut any more since a newer segment exists.
pub fn forget_if_repaired(shared: &Shared) -> Result<(), WalError> {
    let mut held = shared.note.lock();
    let newest = shared.state.lock().segments.keys().next_back().copied();
    let done =
        |note: &Note| newest > Some(note.cut.last) && note.groups.iter().all(|told| told.repaired);
    if held.as_ref().is_some_and(done) {
        Note::remove(&*shared.fs, &shared.dir)?;
        *held = None;
    }
    Ok(())
}
