/// How many tokens of each class a text still needs, numbered: a mixed-radix number with one digit per class, which
/// runs from its minimum down to zero.
pub(super) struct Needs {
    digits: Vec<Digit>,
    states: usize,
}

struct Digit {
    weight: usize,
    minimum: usize,
}

impl Needs {
    pub(super) fn new(minimums: &[usize]) -> Self {
        let mut states = 1usize;
        let mut digits = Vec::with_capacity(minimums.len());
        for &minimum in minimums {
            digits.push(Digit {
                weight: states,
                minimum,
            });
            // Saturated numbers are never used: so many states are too many for any table.
            states = states.saturating_mul(minimum.saturating_add(1));
        }
        Self { digits, states }
    }

    /// How many different needs there are.
    pub(super) fn states(&self) -> usize {
        self.states
    }

    pub(super) fn all(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.states
    }

    /// All minimums, before the first token.
    pub(super) fn first(&self) -> usize {
        self.states - 1
    }

    /// Nothing more is needed.
    pub(super) const MET: usize = 0;

    /// What is needed after `need` and a token of `class`.
    pub(super) fn after(&self, need: usize, class: usize) -> usize {
        match self.digits.get(class) {
            Some(digit) if !(need / digit.weight).is_multiple_of(digit.minimum + 1) => {
                need - digit.weight
            }
            _ => need,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_counts_down_to_zero_by_itself() {
        let needs = Needs::new(&[1, 0, 2]);
        assert_eq!(needs.states(), 6);
        let mut need = needs.first();
        for (class, moves) in [
            (1, false),
            (2, true),
            (0, true),
            (0, false),
            (2, true),
            (2, false),
            (9, false),
        ] {
            let after = needs.after(need, class);
            assert_eq!(after != need, moves, "class {class} at {need}");
            need = after;
        }
        assert_eq!(need, Needs::MET);
    }
}
