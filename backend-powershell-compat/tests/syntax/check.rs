use tree_sitter::Node;

use crate::call::Call;
use crate::cmdlets::{COMMON, Cmdlets, parameters};
use crate::names::{Names, bare};
use crate::script::{Script, children};

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

/// After `Enable-EntraAzureADAlias`, cmdlets by the names of the `AzureAD` module; their parameters are Entra's
/// (microsoftgraph/entra-powershell, `EntraAliasDefinitions.ps1`).
const ALIASES: [(&str, &str); 1] = [("Set-AzureADUserPassword", "Set-EntraUserPasswordProfile")];

/// What may be run without a name: a worker's script, which is parsed here like all others.
const RUN: &str = "([scriptblock]::Create($text))";

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

    /// The cmdlet that goes by this name.
    fn aliased<'n>(&self, name: &'n str) -> &'n str {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        match alias {
            Some((_, cmdlet)) if self.script.calls("Enable-EntraAzureADAlias") => cmdlet,
            _ => name,
        }
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
            let mistake = format!("runs `{name}`, of which nothing is known here");
            return if name == RUN {
                Vec::new()
            } else {
                vec![mistake]
            };
        }
        let known = match self.names.functions.get(name) {
            Some(parameters) => parameters.clone(),
            None => match self.cmdlets.get(self.aliased(name)) {
                Some(parameters) => {
                    let mut known = parameters.clone();
                    known.extend(self::parameters(COMMON));
                    known
                }
                None => return vec![format!("no such command: `{name}`")],
            },
        };
        Call::of(self.script, node, name, &known).mistakes
    }
}
