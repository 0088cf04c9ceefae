//! Who is next, where several tenants wait for one quota.

use std::collections::BTreeSet;

/// The waiters for a quota, by their virtual finishing times: weighted fair queueing
/// (<https://doi.org/10.1145/75246.75248>). Whoever has twice as much to do goes twice as often, so all are done at
/// the same time.
#[derive(Debug)]
pub(super) struct Line<T> {
    waiting: BTreeSet<(u128, T)>,
    /// The finishing time of the last who went.
    time: u128,
}

/// How long one request takes a tenant that has but one to send, in virtual time.
const UNIT: u128 = 1 << 64;

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            waiting: BTreeSet::new(),
            time: 0,
        }
    }
}

impl<T: Copy + Ord> Line<T> {
    /// The place of one who waits from now on, after its `last` turn, with so many requests to come.
    pub(super) fn join(&mut self, who: T, last: u128, to_come: u64) -> u128 {
        let place = last.max(self.time) + UNIT / u128::from(to_come.max(1));
        self.waiting.insert((place, who));
        place
    }

    /// It went, or waits no longer.
    pub(super) fn leave(&mut self, who: T, place: u128) {
        self.waiting.remove(&(place, who));
    }

    /// It went.
    pub(super) fn went(&mut self, who: T, place: u128) {
        self.leave(who, place);
        self.time = self.time.max(place);
    }

    pub(super) fn first(&self) -> Option<T> {
        self.waiting.first().map(|(_, who)| *who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_twice_as_much_to_do_goes_twice_as_often() {
        let mut line = Line::default();
        let to_come = [100, 200, 400];
        let mut places: Vec<u128> = (0..3).map(|who| line.join(who, 0, to_come[who])).collect();
        let mut went = [0; 3];
        for _ in 0..700 {
            let next = line.first().unwrap();
            line.went(next, places[next]);
            went[next] += 1;
            places[next] = line.join(next, places[next], to_come[next]);
        }
        assert_eq!(went, to_come);
    }

    #[test]
    fn one_who_rested_has_saved_nothing_up() {
        let mut line = Line::default();
        let mut at_work = line.join('a', 0, 1);
        for _ in 0..100 {
            line.went('a', at_work);
            at_work = line.join('a', at_work, 1);
        }
        let mut rested = line.join('b', 0, 1);
        let mut went = Vec::new();
        for _ in 0..6 {
            let next = line.first().unwrap();
            went.push(next);
            let place = if next == 'a' {
                &mut at_work
            } else {
                &mut rested
            };
            line.went(next, *place);
            *place = line.join(next, *place, 1);
        }
        assert_eq!(went.iter().filter(|who| **who == 'b').count(), 3);
    }

    #[test]
    fn one_who_left_is_not_waited_for() {
        let mut line = Line::default();
        let place = line.join('a', 0, 1);
        line.join('b', 0, 1);
        line.leave('a', place);
        assert_eq!(line.first(), Some('b'));
    }
}
