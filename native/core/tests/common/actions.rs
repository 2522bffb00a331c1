//! What a driver does to a log, chosen by hand or by a seed.
#![allow(dead_code, reason = "each test binary uses its part")]

/// Numbers are reduced to what is legal at the moment.
#[derive(Clone, Debug)]
pub enum Action {
    Append {
        group: u32,
        count: u64,
        bytes: usize,
    },
    /// Replaces the last `back` entries by `count` of a newer term.
    Replace {
        group: u32,
        back: u64,
        count: u64,
    },
    Vote {
        group: u32,
    },
    Commit {
        group: u32,
        back: u64,
    },
    Conf {
        group: u32,
        bytes: usize,
    },
    /// All of these in one batch, of several groups.
    Mixed {
        bytes: usize,
    },
    Truncate {
        group: u32,
        back: u64,
    },
    /// A base so far from the last entry; of that entry's term if it exists and the base is to keep what is behind it.
    Rebase {
        group: u32,
        offset: i64,
        keep: bool,
    },
    Step {
        count: u8,
    },
    Settle,
    /// Closes and opens.
    Reopen,
    /// The process ends; the machine goes on.
    Kill,
    /// The machine ends: what was not synced may be lost or torn.
    PowerLoss {
        seed: u64,
    },
}

/// SplitMix64: the same actions from the same seed.
pub struct Random(pub u64);

impl Random {
    /// 0 <= result < `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// The same, and now and then a base.
    pub fn action_or_base(&mut self) -> Action {
        if self.below(8) > 0 {
            return self.action();
        }
        Action::Rebase {
            group: 1 + self.below(3) as u32,
            offset: self.below(24) as i64 - 16,
            keep: self.below(3) > 0,
        }
    }

    /// An action that leaves the log open.
    pub fn action(&mut self) -> Action {
        let group = 1 + self.below(3) as u32;
        match self.below(16) {
            0..=4 => {
                let (count, bytes) = (1 + self.below(6), self.below(300) as usize);
                Action::Append {
                    group,
                    count,
                    bytes,
                }
            }
            5 => Action::Append {
                group,
                count: 20,
                bytes: 60,
            },
            6 => Action::Replace {
                group,
                back: self.below(9),
                count: 1 + self.below(6),
            },
            7 => Action::Vote { group },
            8 => Action::Commit {
                group,
                back: self.below(20),
            },
            9 => Action::Conf {
                group,
                bytes: self.below(60) as usize,
            },
            10 => Action::Mixed {
                bytes: self.below(200) as usize,
            },
            11 => Action::Truncate {
                group,
                back: self.below(15),
            },
            12 | 13 => Action::Step {
                count: 1 + self.below(3) as u8,
            },
            _ => Action::Settle,
        }
    }
}
