use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::automaton::{Automaton, Node};
use super::template::Template;

/// To which node each token of one kind leads from each node, both numbered, the first node 0; `None` is into a
/// forbidden term.
#[derive(Default)]
pub(super) struct Steps {
    /// The next node after each token at the first node.
    pub(super) from_first: Vec<Option<usize>>,
    /// For each other node, the next ones after the tokens that lead elsewhere than from the first.
    ///
    /// From almost every node almost every token leads where it leads from the first one. Keeping only the others
    /// makes a count over thousands of terms a matter of seconds.
    pub(super) exceptions: BTreeMap<usize, BTreeMap<usize, Option<usize>>>,
}

impl Steps {
    /// The node after `node` and the token of this index.
    pub(super) fn step(&self, node: usize, token: usize) -> Option<usize> {
        let exception = self
            .exceptions
            .get(&node)
            .and_then(|exceptions| exceptions.get(&token));
        exception
            .or_else(|| self.from_first.get(token))
            .copied()
            .flatten()
    }
}

/// Finds the nodes that texts of `template` reach, the steps between them for each kind, and the number
/// of nodes.
pub(super) fn explore(template: &Template, automaton: &Automaton) -> (Vec<Steps>, usize) {
    let Some(first) = automaton.start() else {
        return (Vec::new(), 0);
    };
    let neighbours: BTreeSet<(usize, usize)> = template
        .slots
        .iter()
        .copied()
        .zip(template.slots.iter().skip(1).copied())
        .collect();
    let mut steps: Vec<Steps> = template.kinds.iter().map(|_| Steps::default()).collect();
    let mut numbers = BTreeMap::from([(first, 0)]);
    // The first node goes first with every kind, because the others are compared with it.
    let mut waiting: VecDeque<(usize, Node)> = (0..steps.len()).map(|kind| (kind, first)).collect();
    let mut seen: BTreeSet<(usize, Node)> = waiting.iter().copied().collect();
    while let Some((kind, node)) = waiting.pop_front() {
        let (Some(steps), Some(tokens)) = (steps.get_mut(kind), template.kinds.get(kind)) else {
            continue;
        };
        let from = number(&mut numbers, node);
        for (index, token) in tokens.iter().enumerate() {
            let next = automaton.read(node, &token.text);
            let to = next.map(|next| number(&mut numbers, next));
            if node == first {
                steps.from_first.push(to);
            } else if steps.from_first.get(index) != Some(&to) {
                steps.exceptions.entry(from).or_default().insert(index, to);
            }
            let after = neighbours
                .range((kind, 0)..=(kind, usize::MAX))
                .map(|&(_, after)| after);
            waiting.extend(
                next.into_iter()
                    .flat_map(|next| after.clone().map(move |kind| (kind, next)))
                    .filter(|&x| seen.insert(x)),
            );
        }
    }
    (steps, numbers.len())
}

fn number(numbers: &mut BTreeMap<Node, usize>, node: Node) -> usize {
    let free = numbers.len();
    *numbers.entry(node).or_insert(free)
}
