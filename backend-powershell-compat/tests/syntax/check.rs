use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use crate::cmdlets::{COMMON, Cmdlets, Parameter, Parameters, parameters};
use crate::script::{Script, child, children, descendants};

/// The functions and variables that scripts define.
#[derive(Clone, Default)]
pub(crate) struct Names {
    functions: BTreeMap<String, Parameters>,
    variables: BTreeSet<String>,
}

impl Names {
    pub(crate) fn of<'a>(scripts: impl Iterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for text in scripts {
            names.add(&Script::parse(text));
        }
        names
    }

    fn add(&mut self, script: &Script<'_>) {
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
    let mut found = Parameters::new();
    for parameter in list.map(children).unwrap_or_default() {
        let switch = script.text(parameter).to_lowercase().contains("[switch]");
        let kind = if switch {
            Parameter::Switch
        } else {
            Parameter::Value
        };
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
fn bare(variable: &str) -> String {
    let name = variable.trim_start_matches(['$', '@']);
    let name = name.trim_start_matches('{').trim_end_matches('}');
    let name = name.split_once(':').map_or(name, |(_, name)| name);
    name.to_lowercase()
}

/// Variables that PowerShell itself defines, as far as scripts here use them
/// (<https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_automatic_variables>,
/// <https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_preference_variables>).
const AUTOMATIC: [&str; 22] = [
    "_",
    "?",
    "args",
    "error",
    "erroractionpreference",
    "executioncontext",
    "false",
    "host",
    "input",
    "islinux",
    "iswindows",
    "lastexitcode",
    "matches",
    "maximumhistorycount",
    "myinvocation",
    "null",
    "outputencoding",
    "psboundparameters",
    "pscmdlet",
    "pshome",
    "psversiontable",
    "true",
];
/// Namespaces of variables
/// (<https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_scopes>).
const NAMESPACES: [&str; 8] = [
    "env", "function", "global", "local", "private", "script", "using", "variable",
];

/// What is wrong with `text`, each with its line. `names` are those that other parts of the same script define.
pub(crate) fn mistakes(text: &str, cmdlets: &Cmdlets, names: &Names) -> Vec<String> {
    let script = Script::parse(text);
    let mut names = names.clone();
    names.add(&script);
    let check = Check {
        script: &script,
        cmdlets,
        names,
    };
    let mut found = Vec::new();
    if let Some(c) = text.chars().find(|c| !c.is_ascii()) {
        // See `quote`: such a character may be a quote to some PowerShell.
        found.push(format!("not ASCII: {c:?}"));
    }
    for node in script.nodes() {
        let line = node.start_position().row + 1;
        let mistakes = check.node(node);
        found.extend(mistakes.into_iter().map(|m| format!("line {line}: {m}")));
    }
    found
}

struct Check<'s> {
    script: &'s Script<'s>,
    cmdlets: &'s Cmdlets,
    names: Names,
}

impl Check<'_> {
    fn node(&self, node: Node<'_>) -> Vec<String> {
        let text = self.script.text(node);
        if node.is_error() || node.is_missing() {
            return vec![format!("not PowerShell: `{text}` ({})", node.kind())];
        }
        match node.kind() {
            // Which the grammar accepts.
            "try_statement" if children(node).len() < 3 => vec!["try without catch".to_owned()],
            "background_operator" | "pipeline_chain_tail" => {
                vec![format!("not in PowerShell 5.1: `{text}`")]
            }
            "command" => self.command(node),
            "variable" => self.variable(node).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn variable(&self, node: Node<'_>) -> Option<String> {
        let text = self.script.text(node);
        let after = self.script.after(node);
        let name = bare(text);
        if let Some((namespace, _)) = text.trim_start_matches(['$', '@', '{']).split_once(':') {
            let known = NAMESPACES.contains(&namespace.to_lowercase().as_str());
            return (!known)
                .then(|| format!("`{text}` is a variable of a drive: write `${{name}}:`"));
        }
        if !text.ends_with('}') && after.starts_with(':') && !after.starts_with("::") {
            return Some(format!("`{text}:` ends a drive's name: write `${{name}}:`"));
        }
        let known = AUTOMATIC.contains(&name.as_str()) || self.names.variables.contains(&name);
        (!known).then(|| format!("`{text}` is never given a value"))
    }

    fn command(&self, node: Node<'_>) -> Vec<String> {
        let Some(name) = node.child_by_field_name("command_name") else {
            return vec!["a command without a name".to_owned()];
        };
        let name = self.script.text(name);
        if children(node)
            .iter()
            .any(|n| n.kind() == "command_invokation_operator")
        {
            return vec![format!("runs `{name}`, of which nothing is known here")];
        }
        let known = match self.names.functions.get(name) {
            Some(parameters) => parameters.clone(),
            None => match self.cmdlets.get(name) {
                Some(parameters) => {
                    let mut known = parameters.clone();
                    known.extend(self::parameters(COMMON));
                    known
                }
                None => return vec![format!("no such command: `{name}`")],
            },
        };
        let elements = node.child_by_field_name("command_elements");
        let elements = elements.map(children).unwrap_or_default();
        self.arguments(name, &known, &elements)
    }

    fn arguments(&self, name: &str, known: &Parameters, elements: &[Node<'_>]) -> Vec<String> {
        let mut found = Vec::new();
        let mut positions = known
            .values()
            .filter(|p| **p == Parameter::Positional)
            .count();
        let mut elements = elements
            .iter()
            .filter(|n| self.script.text(**n) != " ")
            .peekable();
        while let Some(element) = elements.next() {
            let text = self.script.text(*element);
            let colon = elements.next_if(|n| self.script.text(**n) == ":").is_some();
            match element.kind() {
                "command_parameter" => match known.get(text.trim_start_matches('-')) {
                    None => found.push(format!("{name} has no parameter `{text}`")),
                    Some(Parameter::Switch) if colon => drop(elements.next()),
                    Some(Parameter::Switch) => {}
                    Some(kind) => {
                        if elements.next_if(|n| is_argument(n)).is_none() {
                            found.push(format!("{name} {text} needs a value"));
                        }
                        if *kind == Parameter::Positional {
                            positions = positions.saturating_sub(1);
                        }
                    }
                },
                // More of the argument before.
                "," => drop(elements.next()),
                "redirection" => {}
                "command_argument_sep" => {}
                _ if text.starts_with('@')
                    && !text.starts_with("@(")
                    && !text.starts_with("@{") =>
                {
                    found.extend(self.splat(name, known, *element));
                }
                _ if positions > 0 => positions -= 1,
                _ => found.push(format!(
                    "{name} takes no `{text}` without a parameter's name"
                )),
            }
        }
        found
    }

    /// `command @variable`: the keys of the hash table of that name, in the same function, are parameters.
    fn splat(&self, name: &str, known: &Parameters, element: Node<'_>) -> Vec<String> {
        let variable = bare(self.script.text(element));
        let around = self.script.around(element);
        let mut keys = Vec::new();
        for assignment in descendants(around) {
            if assignment.kind() != "assignment_expression" {
                continue;
            }
            let left = children(assignment).first().map(|n| self.script.text(*n));
            let Some((left, value)) = left.zip(assignment.child_by_field_name("value")) else {
                continue;
            };
            let (target, key) = left.split_once('.').unwrap_or((left, ""));
            if bare(target) != variable {
                continue;
            }
            if key.is_empty() {
                let body = descendants(value)
                    .into_iter()
                    .find(|n| n.kind() == "hash_literal_body");
                let entries = body.map(children).unwrap_or_default();
                keys.extend(entries.iter().filter_map(|entry| {
                    let key = children(*entry)
                        .into_iter()
                        .find(|n| n.kind() == "key_expression")?;
                    Some(self.script.text(key))
                }));
            } else {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return vec![format!(
                "{name} is given `@{variable}`, of which nothing is known here"
            )];
        }
        let unknown = keys.iter().filter(|key| !known.contains_key(**key));
        unknown
            .map(|key| format!("{name} has no parameter `-{key}`"))
            .collect()
    }
}

fn is_argument(node: &Node<'_>) -> bool {
    !matches!(node.kind(), "command_parameter" | "redirection" | "," | ":")
}
