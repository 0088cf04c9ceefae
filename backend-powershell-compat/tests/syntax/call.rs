use std::collections::BTreeSet;

use tree_sitter::Node;

use crate::cmdlets::{Parameters, Takes};
use crate::names::bare;
use crate::script::{Script, child, children, descendants};

/// One call of a command whose parameters are known.
pub(crate) struct Call<'s> {
    script: &'s Script<'s>,
    name: &'s str,
    known: &'s Parameters,
    /// The parameters that it is given by name.
    given: BTreeSet<&'s str>,
    /// How many values it is given without a name.
    unnamed: usize,
    pub(crate) mistakes: Vec<String>,
}

impl<'s> Call<'s> {
    /// The call `node` of the command `name`, which has the parameters `known`.
    pub(crate) fn of(
        script: &'s Script<'s>,
        node: Node<'s>,
        name: &'s str,
        known: &'s Parameters,
    ) -> Self {
        let mut call = Self {
            script,
            name,
            known,
            given: BTreeSet::new(),
            unnamed: 0,
            mistakes: Vec::new(),
        };
        let elements = node.child_by_field_name("command_elements");
        call.read(&elements.map(children).unwrap_or_default());
        call.count();
        // What a pipe brings may be any parameter.
        if node.prev_sibling().is_none_or(|n| n.kind() != "|") {
            call.require();
        }
        call
    }

    fn read(&mut self, elements: &[Node<'s>]) {
        let script = self.script;
        let mut elements = elements
            .iter()
            .filter(|n| script.text(**n) != " ")
            .peekable();
        while let Some(element) = elements.next() {
            let text = script.text(*element);
            let colon = elements.next_if(|n| script.text(**n) == ":").is_some();
            match element.kind() {
                "command_parameter" => {
                    let name = text.trim_start_matches('-');
                    match self.takes(name) {
                        Some(Takes::Switch) if !colon => {}
                        Some(_) if elements.next_if(|n| is_value(n)).is_none() => {
                            let mistake = format!("{} {text} needs a value", self.name);
                            self.mistakes.push(mistake);
                        }
                        _ => {}
                    }
                }
                // More of the value before.
                "," => drop(elements.next()),
                "redirection" => {}
                "array_literal_expression" if is_splat(text) => self.splat(*element),
                _ => self.unnamed += 1,
            }
        }
    }

    /// What the parameter takes, which is given now.
    fn takes(&mut self, name: &'s str) -> Option<Takes> {
        self.given.insert(name);
        let parameter = self.known.get(name);
        if parameter.is_none() {
            let mistake = format!("{} has no parameter `-{name}`", self.name);
            self.mistakes.push(mistake);
        }
        parameter.map(|parameter| parameter.takes)
    }

    /// `command @variable`: the keys of the hash table of that name, in the same function if there is one, are parameters.
    fn splat(&mut self, element: Node<'s>) {
        let variable = bare(self.script.text(element));
        let mut keys = self.keys_of(&variable, self.script.around(element));
        if keys.is_empty() {
            keys = self.keys_of(&variable, self.script.root());
        }
        if keys.is_empty() {
            self.mistakes.push(format!(
                "{} is given `@{variable}`, of which nothing is known here",
                self.name
            ));
        }
        for key in keys {
            self.takes(key);
        }
    }

    /// The keys that a hash table of this name is given within `around`.
    fn keys_of(&self, variable: &str, around: Node<'s>) -> Vec<&'s str> {
        let script = self.script;
        let mut keys = Vec::new();
        for assignment in descendants(around) {
            let left = child(assignment, "left_assignment_expression");
            let Some((left, value)) = left.zip(assignment.child_by_field_name("value")) else {
                continue;
            };
            let left = script.text(left);
            match left.split_once('.') {
                Some((table, key)) if bare(table) == variable => keys.push(key),
                None if bare(left) == variable => keys.extend(keys_in(script, value)),
                _ => {}
            }
        }
        keys
    }

    /// Values without a name need a position.
    fn count(&mut self) {
        let positions = self.known.iter().filter(|(name, parameter)| {
            parameter.takes == Takes::Positional && !self.given.contains(name.as_str())
        });
        if self.unnamed > positions.count() {
            let mistake = format!("{} is given a value without a name", self.name);
            self.mistakes.push(mistake);
        }
    }

    /// What cannot be left out is there, by name or by position.
    fn require(&mut self) {
        let mut unnamed = self.unnamed;
        for (name, parameter) in self.known {
            if !parameter.required || self.given.contains(name.as_str()) {
                continue;
            }
            if parameter.takes == Takes::Positional && unnamed > 0 {
                unnamed -= 1;
            } else {
                let mistake = format!("{} needs `-{name}`", self.name);
                self.mistakes.push(mistake);
            }
        }
    }
}

/// The keys of the first hash table in `value`.
fn keys_in<'s>(script: &'s Script<'s>, value: Node<'s>) -> Vec<&'s str> {
    let tables = descendants(value);
    let body = tables.iter().find(|n| n.kind() == "hash_literal_body");
    let entries = body.map(|body| children(*body)).unwrap_or_default();
    let keys = entries.iter().filter_map(|n| child(*n, "key_expression"));
    keys.map(|key| script.text(key)).collect()
}

fn is_splat(text: &str) -> bool {
    text.starts_with('@') && !text.starts_with("@(") && !text.starts_with("@{")
}

fn is_value(node: &Node<'_>) -> bool {
    !matches!(node.kind(), "command_parameter" | "redirection" | "," | ":")
}
