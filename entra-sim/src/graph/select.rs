//! `$select` for the small types.

use serde_json::{Map, Value};

use super::{Call, GraphError};

impl Call<'_> {
    /// Keeps the selected members of `object`, whose own members are all its type has.
    pub(crate) fn selected(&self, type_name: &str, object: Value) -> Result<Value, GraphError> {
        let (Some(select), Value::Object(members)) = (&self.query.select, &object) else {
            return Ok(object);
        };
        let mut kept = Map::new();
        for name in select {
            let value = members.get(name).ok_or_else(|| {
                GraphError::malformed(format!(
                    "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type 'microsoft.graph.{type_name}'."
                ))
            })?;
            kept.insert(name.clone(), value.clone());
        }
        // What $expand or the inheritance adds is no matter of $select.
        for (name, value) in members {
            if name.starts_with('@') || EXPANDED.contains(&name.as_str()) {
                kept.insert(name.clone(), value.clone());
            }
        }
        Ok(Value::Object(kept))
    }
}

/// Navigation properties that are present only when asked for.
const EXPANDED: &[&str] = &["principal", "roleDefinition"];
