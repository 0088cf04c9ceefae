use std::collections::BTreeMap;
use std::path::Path;

/// The cmdlets that exist, read from `cmdlets/*.txt`.
///
/// Each entry is in the notation of `Get-Command -Syntax`, all parameter sets in one, and of some cmdlets not all
/// parameters: what nothing here uses need not be there. More lines of an entry are indented. `#` begins a comment.
pub(crate) struct Cmdlets(BTreeMap<String, Parameters>);

/// The parameters of a command, by name.
pub(crate) type Parameters = BTreeMap<String, Parameter>;

/// What a parameter takes, and whether it may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) takes: Takes,
    pub(crate) required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// A value, before which the parameter's name may be left out.
    Positional,
    /// Nothing.
    Switch,
    /// A value.
    Value,
}

const FILES: [(&str, &str); 6] = [
    (
        "active-directory",
        include_str!("cmdlets/active-directory.txt"),
    ),
    ("azure-ad", include_str!("cmdlets/azure-ad.txt")),
    ("built-in", include_str!("cmdlets/built-in.txt")),
    (
        "microsoft-entra",
        include_str!("cmdlets/microsoft-entra.txt"),
    ),
    (
        "microsoft-graph",
        include_str!("cmdlets/microsoft-graph.txt"),
    ),
    ("msonline", include_str!("cmdlets/msonline.txt")),
];

/// Those of every cmdlet
/// (<https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_commonparameters>).
pub(crate) const COMMON: &str = "[-Debug] [-ErrorAction <ActionPreference>] [-ErrorVariable <string>] \
    [-InformationAction <ActionPreference>] [-InformationVariable <string>] [-OutBuffer <int>] [-OutVariable <string>] \
    [-PipelineVariable <string>] [-Verbose] [-WarningAction <ActionPreference>] [-WarningVariable <string>]";

impl Cmdlets {
    pub(crate) fn read() -> Self {
        let mut cmdlets = BTreeMap::new();
        for (file, text) in FILES {
            for entry in entries(text) {
                let (name, syntax) = entry.split_once(' ').unwrap_or((&entry, ""));
                let twice = cmdlets.insert(name.to_owned(), parameters(syntax));
                assert!(twice.is_none(), "{file}: {name} is there twice");
            }
        }
        Self(cmdlets)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Parameters> {
        self.0.get(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn assert_well_formed(&self) {
        for (name, parameters) in &self.0 {
            let plain = |part: &str| part.starts_with(|c: char| c.is_ascii_uppercase());
            let (verb, noun) = name.split_once('-').unwrap_or_else(|| panic!("{name}"));
            assert!(plain(verb) && plain(noun), "{name}");
            for parameter in parameters.keys() {
                assert!(plain(parameter), "{name} -{parameter}");
            }
        }
        for (file, text) in FILES {
            assert!(text.contains("https://"), "{file}.txt names no source");
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/syntax/cmdlets");
        assert_eq!(folder.read_dir().unwrap().count(), FILES.len());
    }
}

/// Each entry on one line.
fn entries(text: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match entries.last_mut() {
            Some(entry) if line.starts_with(' ') => entry.push_str(line),
            _ if line.is_empty() => {}
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

/// The parameters of `[-Switch] [-Name <type>] [[-Positional] <type>]`.
pub(crate) fn parameters(syntax: &str) -> Parameters {
    let words: Vec<_> = syntax.split_whitespace().collect();
    let mut parameters = Parameters::new();
    for (at, word) in words.iter().enumerate() {
        let Some(name) = word.trim_start_matches('[').strip_prefix('-') else {
            assert!(word.starts_with('<'), "{word} in {syntax}");
            continue;
        };
        let takes_value = words.get(at + 1).is_some_and(|next| next.starts_with('<'));
        let brackets = word.len() - word.trim_start_matches('[').len();
        let (takes, optional) = match (takes_value, name.ends_with(']')) {
            (false, _) => (Takes::Switch, 1),
            (true, false) => (Takes::Value, 1),
            (true, true) => (Takes::Positional, 2),
        };
        let required = brackets < optional;
        let name = name.trim_end_matches(']').to_owned();
        let twice = parameters.insert(name, Parameter { takes, required });
        assert!(twice.is_none(), "{word} is twice in {syntax}");
    }
    parameters
}
