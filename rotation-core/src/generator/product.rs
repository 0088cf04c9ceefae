use num_bigint::BigUint;
use rand::CryptoRng;

use super::GenerateError;
use super::automaton::{Automaton, MOST_WORDS};
use super::choice::Choice;
use super::needs::Needs;
use super::steps::{Steps, explore};
use super::template::{Template, Token};

/// All texts of a template that satisfy its minimums and contain no forbidden term, counted exactly.
///
/// The product of two machines: one counts down the minimums, the other reads towards the terms. A *state* is a node
/// of the latter with a need of the former; a *layer* has, for each state, the number of ways to fill the slots that
/// are left.
pub(super) struct Product<'t> {
    template: &'t Template,
    needs: Needs,
    /// Where the tokens lead, for each kind of slot.
    steps: Vec<Steps>,
    /// How many nodes there are; the first is 0.
    nodes: usize,
}

/// The counts of one layer, node by node and need by need.
pub(super) type Layer = Vec<BigUint>;

impl<'t> Product<'t> {
    /// # Errors
    ///
    /// [`GenerateError::TooComplex`]: the counts would not fit into [`MOST_WORDS`].
    pub(super) fn new(
        template: &'t Template,
        automaton: &Automaton,
    ) -> Result<Self, GenerateError> {
        let (steps, nodes) = explore(template, automaton);
        let needs = Needs::new(&template.minimums);
        let words = template.fillings().bits().div_ceil(64).max(1);
        let layers = template.slots.len() as u64 + 1;
        let table = [needs.states() as u64, nodes as u64, layers]
            .into_iter()
            .fold(words, u64::saturating_mul);
        if table > MOST_WORDS {
            return Err(GenerateError::TooComplex {
                words: table,
                most: MOST_WORDS,
            });
        }
        Ok(Self {
            template,
            needs,
            steps,
            nodes,
        })
    }

    /// How many texts there are.
    pub(super) fn total(&self) -> BigUint {
        let mut layer = self.last_layer();
        for &kind in self.template.slots.iter().rev() {
            layer = self.layer_before(kind, &layer);
        }
        self.count(&layer, Some(0), self.needs.first())
    }

    /// All layers, from the one with no slot left to the one with all.
    pub(super) fn layers(&self) -> Vec<Layer> {
        let mut layers = vec![self.last_layer()];
        for &kind in self.template.slots.iter().rev() {
            layers.extend(layers.last().map(|after| self.layer_before(kind, after)));
        }
        layers
    }

    /// Appends one of the texts to `text`, each with the same probability; `false` if there is none.
    pub(super) fn draw(
        &self,
        layers: &[Layer],
        rng: &mut impl CryptoRng,
        text: &mut String,
    ) -> bool {
        let (mut node, mut need) = (0, self.needs.first());
        let Some((whole, layers)) = layers.split_last() else {
            return false;
        };
        if self.count(whole, Some(node), need) == BigUint::ZERO {
            return false;
        }
        for (&kind, after) in self.template.slots.iter().zip(layers.iter().rev()) {
            let (Some(steps), Some(tokens)) = (self.steps.get(kind), self.template.kinds.get(kind))
            else {
                continue;
            };
            let weigh = |(index, token): (usize, &Token)| {
                self.count(
                    after,
                    steps.step(node, index),
                    self.needs.after(need, token.class),
                )
            };
            let weights: Vec<BigUint> = tokens.iter().enumerate().map(weigh).collect();
            let index = Choice::new(&weights).draw(rng, || &weights);
            if let (Some(token), Some(next)) = (tokens.get(index), steps.step(node, index)) {
                text.push_str(&token.text);
                (node, need) = (next, self.needs.after(need, token.class));
            }
        }
        true
    }

    /// With no slot left, there is one way from each state whose needs are met.
    fn last_layer(&self) -> Layer {
        let of_node = |_| {
            self.needs
                .all()
                .map(|need| BigUint::from(u32::from(need == Needs::MET)))
        };
        (0..self.nodes).flat_map(of_node).collect()
    }

    fn layer_before(&self, kind: usize, after: &Layer) -> Layer {
        let (Some(steps), Some(tokens)) = (self.steps.get(kind), self.template.kinds.get(kind))
        else {
            return Layer::new();
        };
        let from_first: Vec<BigUint> = self
            .needs
            .all()
            .map(|need| self.sum(after, need, steps.from_first.iter().copied().zip(tokens)))
            .collect();
        let mut layer = Layer::with_capacity(after.len());
        for node in 0..self.nodes {
            let exceptions = steps.exceptions.get(&node);
            let exceptions = || exceptions.into_iter().flatten();
            for (need, count) in self.needs.all().zip(&from_first) {
                let replaced =
                    exceptions().filter_map(|(&i, _)| Some((steps.step(0, i), tokens.get(i)?)));
                let replacing = exceptions().filter_map(|(&i, &next)| Some((next, tokens.get(i)?)));
                layer.push(
                    count - self.sum(after, need, replaced) + self.sum(after, need, replacing),
                );
            }
        }
        layer
    }

    /// The ways to go on from `need` with any of the tokens given with their next nodes.
    fn sum<'a>(
        &self,
        after: &Layer,
        need: usize,
        steps: impl Iterator<Item = (Option<usize>, &'a Token)>,
    ) -> BigUint {
        steps
            .filter_map(|(next, token)| {
                self.cell(after, next?, self.needs.after(need, token.class))
            })
            .sum()
    }

    fn count(&self, layer: &Layer, node: Option<usize>, need: usize) -> BigUint {
        node.and_then(|node| self.cell(layer, node, need))
            .cloned()
            .unwrap_or_default()
    }

    fn cell<'l>(&self, layer: &'l Layer, node: usize, need: usize) -> Option<&'l BigUint> {
        layer.get(node * self.needs.states() + need)
    }
}
