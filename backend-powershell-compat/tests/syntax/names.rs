use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use crate::cmdlets::{COMMON, Parameter, Parameters, Takes, parameters};
use crate::script::{Script, child, children, descendants};

/// The functions and variables that scripts define.
#[derive(Clone, Default)]
pub(crate) struct Names {
    pub(crate) functions: BTreeMap<String, Parameters>,
    pub(crate) variables: BTreeSet<String>,
}

impl Names {
    pub(crate) fn of<'a>(scripts: impl Iterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for text in scripts {
            names.add(&Script::parse(text));
        }
        names
    }

    /// The functions alone.
    pub(crate) fn functions(self) -> Self {
        Self {
            variables: BTreeSet::new(),
            ..self
        }
    }

    pub(crate) fn add(&mut self, script: &Script<'_>) {
        for node in script.nodes() {
            match node.kind() {
                "function_statement" => {
                    let (name, parameters) = function(script, node);
                    self.functions.insert(name, parameters);
                }
                "script_parameter" | "foreach_statement" => {
                    self.define(script, child(node, "variable"));
                }
                "left_assignment_expression" => {
                    // `$x` and `[type] $x`, but not `$x.y`, for which there must be an `$x` already.
                    let mut inner = descendants(node).into_iter();
                    let dotted = inner.clone().any(|n| is_access(n.kind()));
                    if !dotted {
                        self.define(script, inner.find(|n| n.kind() == "variable"));
                    }
                }
                _ => {}
            }
        }
    }

    fn define(&mut self, script: &Script<'_>, variable: Option<Node<'_>>) {
        self.variables
            .extend(variable.map(|n| bare(script.text(n))));
    }
}

fn is_access(kind: &str) -> bool {
    matches!(
        kind,
        "member_access" | "element_access" | "invokation_expression"
    )
}

/// A function's name and parameters.
fn function(script: &Script<'_>, node: Node<'_>) -> (String, Parameters) {
    let name = child(node, "function_name")
        .map(|n| script.text(n))
        .unwrap_or_default();
    let block = child(node, "script_block").and_then(|n| child(n, "param_block"));
    let list = block.or_else(|| child(node, "function_parameter_declaration"));
    let list = list.and_then(|n| child(n, "parameter_list"));
    // A function's values may be given without their names, unless it says otherwise.
    let mut found = Parameters::new();
    for parameter in list.map(children).unwrap_or_default() {
        let declared = script.text(parameter).to_lowercase();
        let takes = if declared.contains("[switch]") {
            Takes::Switch
        } else {
            Takes::Positional
        };
        let required = declared.contains("mandatory");
        let kind = Parameter { takes, required };
        let variable = child(parameter, "variable");
        found.extend(variable.map(|n| (script.text(n).trim_start_matches('$').to_owned(), kind)));
    }
    // Only with one of these attributes does a function take the parameters of every cmdlet.
    let attributes = block
        .map(|n| script.text(n).to_lowercase())
        .unwrap_or_default();
    if attributes.contains("[cmdletbinding(") || attributes.contains("[parameter(") {
        found.extend(parameters(COMMON));
    }
    if attributes.contains("supportsshouldprocess") {
        found.extend(parameters("[-WhatIf] [-Confirm]"));
    }
    (name.to_owned(), found)
}

/// A variable's name without `$`, `@`, braces and scope.
pub(crate) fn bare(variable: &str) -> String {
    let name = variable.trim_start_matches(['$', '@']);
    let name = name.trim_start_matches('{').trim_end_matches('}');
    let name = name.split_once(':').map_or(name, |(_, name)| name);
    name.to_lowercase()
}
