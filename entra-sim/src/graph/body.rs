//! The JSON body of a write.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Call, GraphError};

impl Call<'_> {
    /// Refuses a body that is not there or not declared as JSON.
    pub(crate) fn require_json(&self) -> Result<(), GraphError> {
        match self.content_type {
            None => {
                return Err(GraphError::malformed(
                    "Write requests (excluding DELETE) must contain the Content-Type header declaration.",
                ));
            }
            Some(media_type) if is_json(media_type) => {}
            Some(_) => return Err(unreadable()),
        }
        if self.body.is_empty() {
            return Err(GraphError::malformed(
                "Empty Payload. JSON content expected.",
            ));
        }
        Ok(())
    }

    /// The members of the body, annotations included.
    pub(crate) fn body_members(&self) -> Result<Map<String, Value>, GraphError> {
        self.require_json()?;
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(members)) => Ok(members),
            _ => Err(unreadable()),
        }
    }

    /// The body as the new object that it describes.
    pub(crate) fn new_object<T: DeserializeOwned>(&self) -> Result<T, GraphError> {
        let members = annotations_removed(self.body_members()?);
        let members = Value::Object(members.collect());
        T::deserialize(members)
            .map_err(|error| GraphError::bad_request(format!("Invalid request body: {error}.")))
    }

    /// The id of the object that a reference in the body points to.
    pub(crate) fn referenced(&self) -> Result<String, GraphError> {
        #[derive(Deserialize)]
        struct Reference {
            #[serde(rename = "@odata.id")]
            id: String,
        }
        let members = Value::Object(self.body_members()?);
        let reference = Reference::deserialize(members).map_err(|_| {
            GraphError::malformed(
                "The request body must name '@odata.id' of the referenced object.",
            )
        })?;
        let id = reference.id.rsplit('/').next().unwrap_or_default();
        Ok(id.to_owned())
    }
}

/// SDKs add members such as `@odata.type`.
pub(crate) fn annotations_removed(
    members: Map<String, Value>,
) -> impl Iterator<Item = (String, Value)> {
    members.into_iter().filter(|(name, _)| !name.contains('@'))
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn unreadable() -> GraphError {
    GraphError::malformed(
        "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.",
    )
}
