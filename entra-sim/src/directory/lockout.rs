//! Smart lockout.
//!
//! <https://learn.microsoft.com/entra/identity/authentication/howto-password-smart-lockout>

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::later;

/// Wrong passwords before the account is locked.
const THRESHOLD: usize = 10;
/// The first lockout. Later ones are longer, by how much is not documented: here each doubles.
const FIRST: Duration = Duration::from_secs(60);
/// So many of the newest wrong passwords do not count again.
const REMEMBERED: usize = 3;

/// What became of one attempt to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Not even looked at.
    Locked,
    Right,
    Wrong,
}

/// The wrong passwords of one account since the last right one; an administrator's reset forgives none.
#[derive(Default)]
pub(crate) struct Lockout {
    wrong: usize,
    newest: Vec<Box<str>>,
    lockouts: u32,
    until: Option<Timestamp>,
}

impl Lockout {
    /// Counts an attempt with `password` at `now`; `right` says whether it is the right one.
    pub(crate) fn judge(&mut self, password: &str, right: bool, now: Timestamp) -> Attempt {
        if self.until.is_some_and(|until| now < until) {
            return Attempt::Locked;
        }
        if right {
            return Attempt::Right;
        }
        if !self.newest.iter().any(|known| &**known == password) {
            self.wrong += 1;
            self.newest.insert(0, password.into());
            self.newest.truncate(REMEMBERED);
        }
        if self.wrong >= THRESHOLD {
            let doubled = FIRST.saturating_mul(1 << self.lockouts.min(10));
            self.until = Some(later(now, doubled));
            self.lockouts += 1;
            self.wrong = 0;
        }
        Attempt::Wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn lock(lockout: &mut Lockout, now: Timestamp) {
        for n in 0..THRESHOLD {
            let wrong = format!("wrong {n}");
            assert_eq!(lockout.judge(&wrong, false, now), Attempt::Wrong);
        }
    }

    #[test]
    fn ten_wrong_passwords_lock_even_the_right_one_out_for_longer_and_longer() {
        let mut lockout = Lockout::default();
        lock(&mut lockout, START);
        let early = later(START, Duration::from_secs(59));
        assert_eq!(lockout.judge("right", true, early), Attempt::Locked);
        let open = later(START, Duration::from_secs(60));
        lock(&mut lockout, open);
        let early = later(open, Duration::from_secs(61));
        assert_eq!(lockout.judge("right", true, early), Attempt::Locked);
        let open = later(open, Duration::from_secs(120));
        assert_eq!(lockout.judge("right", true, open), Attempt::Right);
    }

    #[test]
    fn the_same_wrong_password_counts_once() {
        let mut lockout = Lockout::default();
        for _ in 0..100 {
            assert_eq!(lockout.judge("old", false, START), Attempt::Wrong);
        }
        assert_eq!(lockout.judge("right", true, START), Attempt::Right);
    }
}
