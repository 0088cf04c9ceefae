use tree_sitter::{Node, Parser, Tree};

/// A script and its syntax tree.
pub(crate) struct Script<'a> {
    text: &'a str,
    tree: Tree,
}

impl<'a> Script<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let mut parser = Parser::new();
        let language = tree_sitter_powershell::LANGUAGE.into();
        parser.set_language(&language).unwrap();
        Self {
            text,
            tree: parser.parse(text, None).unwrap(),
        }
    }

    pub(crate) fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    pub(crate) fn text(&self, node: Node<'_>) -> &'a str {
        &self.text[node.byte_range()]
    }

    /// Whether a command of this name is called anywhere.
    pub(crate) fn calls(&self, name: &str) -> bool {
        let mut commands = self.nodes().into_iter().filter(|n| n.kind() == "command");
        commands.any(|n| n.child_by_field_name("command_name").map(|n| self.text(n)) == Some(name))
    }

    /// What follows `node`.
    pub(crate) fn after(&self, node: Node<'_>) -> &'a str {
        &self.text[node.end_byte()..]
    }

    /// The innermost function around `node`, or all of the script.
    pub(crate) fn around(&self, node: Node<'_>) -> Node<'_> {
        let mut functions = self.nodes().into_iter().filter(|n| {
            n.kind() == "function_statement"
                && n.start_byte() <= node.start_byte()
                && node.end_byte() <= n.end_byte()
        });
        functions.next_back().unwrap_or_else(|| self.root())
    }

    /// Every node, each before those within it.
    pub(crate) fn nodes(&self) -> Vec<Node<'_>> {
        descendants(self.root())
    }
}

/// `node` and every node within it.
pub(crate) fn descendants(node: Node<'_>) -> Vec<Node<'_>> {
    let mut nodes = vec![node];
    for child in children(node) {
        nodes.extend(descendants(child));
    }
    nodes
}

pub(crate) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    node.children(&mut node.walk()).collect()
}

/// The child of this kind.
pub(crate) fn child<'t>(node: Node<'t>, kind: &str) -> Option<Node<'t>> {
    children(node).into_iter().find(|n| n.kind() == kind)
}
