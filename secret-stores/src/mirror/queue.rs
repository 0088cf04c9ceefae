use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::collections::{HashMap, VecDeque};

use rotation_core::{AccountKey, Committed, NewVersion, StoreError};

/// How many accounts may wait for one copy.
const WAITING: usize = 16 * 1024;

/// How many accounts are named where many are counted.
pub(super) const NAMED: usize = 10;

/// A version that became current in the primary.
pub(super) struct Current {
    pub(super) new: NewVersion,
    pub(super) committed: Committed,
    /// Another run rotated the account in the copy after this version was made.
    pub(super) is_contended: bool,
}

impl Current {
    pub(super) fn new(new: NewVersion, committed: Committed) -> Self {
        Self {
            new,
            committed,
            is_contended: false,
        }
    }
}

/// What became of a version in a copy.
pub(super) enum Copied {
    /// The copy has it, or a later one.
    Done,
    /// Worth another try.
    Failed(StoreError),
    /// The copy will never make it current.
    Never(StoreError),
}

/// What one copy still has to get: the latest current version of each account.
#[derive(Default)]
pub(super) struct Queue {
    waiting: HashMap<AccountKey, Current>,
    /// The accounts of these in the order in which they are due.
    order: VecDeque<AccountKey>,
    /// The accounts of what is being copied.
    under_way: Vec<AccountKey>,
    given_up: u64,
    named: Vec<AccountKey>,
    problem: Option<String>,
    has_ended: bool,
}

/// How far a copy was behind when its mirror was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Behind {
    /// What the copy is called.
    pub name: String,
    /// How many versions that became current in the primary it did not get, as far as is known.
    pub versions: u64,
    /// The accounts of the first few of these.
    pub accounts: Vec<AccountKey>,
    /// What the copy said when it last failed, if it did.
    pub problem: Option<String>,
}

impl Queue {
    /// Adds a version, unless a later one of its account waits already.
    pub(super) fn push(&mut self, current: Current) {
        let is_full = self.has_ended || self.waiting.len() >= WAITING;
        match self.waiting.entry(current.new.key.account.clone()) {
            Occupied(mut waiting) => {
                if waiting.get().new.key.version < current.new.key.version {
                    waiting.insert(current);
                }
            }
            Vacant(place) if is_full => {
                let account = place.into_key();
                self.give_up(&account);
            }
            Vacant(place) => {
                self.order.push_back(place.key().clone());
                place.insert(current);
            }
        }
    }

    /// Takes out up to `count` versions, those first that have waited longest.
    pub(super) fn take(&mut self, count: usize) -> Vec<Current> {
        let accounts = self.order.drain(..count.min(self.order.len()));
        self.under_way = accounts.collect();
        let accounts = self.under_way.iter();
        accounts
            .filter_map(|account| self.waiting.remove(account))
            .collect()
    }

    /// Puts back what is worth another try of what was taken out, and says how many that are.
    pub(super) fn settle(&mut self, batch: Vec<Current>, copied: Vec<Copied>) -> usize {
        self.under_way.clear();
        let mut failed = 0;
        for (current, copied) in batch.into_iter().zip(copied) {
            match copied {
                Copied::Done => {}
                Copied::Failed(error) => {
                    failed += 1;
                    self.problem = Some(error.to_string());
                    self.push(current);
                }
                Copied::Never(error) => {
                    self.problem = Some(error.to_string());
                    self.give_up(&current.new.key.account);
                }
            }
        }
        failed
    }

    /// The copy will not get the current version of `account`.
    pub(super) fn give_up(&mut self, account: &AccountKey) {
        self.given_up += 1;
        if self.named.len() < NAMED {
            self.named.push(account.clone());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Gives up what is left, takes no more, and says how much was given up in all.
    pub(super) fn end(&mut self, name: &str) -> Behind {
        self.has_ended = true;
        self.waiting.clear();
        let under_way = std::mem::take(&mut self.under_way);
        for account in under_way.iter().chain(&std::mem::take(&mut self.order)) {
            self.give_up(account);
        }
        Behind {
            name: name.to_owned(),
            versions: self.given_up,
            accounts: self.named.clone(),
            problem: self.problem.clone(),
        }
    }
}
