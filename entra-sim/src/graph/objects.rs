//! Directory objects of any type, as members, owners and principals.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::permission::USERS;
use super::user_json::{Selection, property};
use super::{Call, GraphError};
use crate::directory::Access;
use crate::reply::Reply;

impl Call<'_> {
    /// Whatever has this id, in short. The lock on `access` must not be taken twice: a writer
    /// between the two would block both.
    pub(crate) fn directory_object(&self, access: &Access, id: Uuid) -> Value {
        if let Some(account) = self.directory.account(id) {
            return json!({
                "@odata.type": "#microsoft.graph.user",
                "id": id,
                "displayName": *account.display_name,
                "userPrincipalName": *account.user_principal_name,
            });
        }
        let mut apps = self.directory.service_principals().into_iter();
        if let Some(app) = apps.find(|app| app.id == id) {
            return json!({
                "@odata.type": "#microsoft.graph.servicePrincipal",
                "id": id,
                "appId": app.client_id,
                "displayName": app.display_name,
            });
        }
        let group = access.groups.iter().find(|group| group.id == id);
        group.map_or(Value::Null, |group| {
            json!({
                "@odata.type": "#microsoft.graph.group",
                "id": id,
                "displayName": group.display_name,
                "isAssignableToRole": group.role_assignable.then_some(true),
            })
        })
    }

    /// A page of users by id. A caller who may not read users sees that they exist, no more.
    pub(crate) fn page_of_objects(&self, ids: &[Uuid]) -> Result<Reply, GraphError> {
        let selection = Selection::new(self.query.select.as_deref(), true, false)?;
        let full = self.has_any(USERS);
        let now = self.world.clock.now();
        let access = self.directory.access();
        let members = ids
            .iter()
            .filter_map(|id| self.directory.account(*id))
            .map(|account| {
                let mut members: Map<String, Value> = selection
                    .iter()
                    .map(|name| {
                        let shown = full || name == "id";
                        let value =
                            shown.then(|| property(account, &access, name, now).into_value());
                        (name.to_owned(), value.unwrap_or_default())
                    })
                    .collect();
                members.insert("@odata.type".to_owned(), json!("#microsoft.graph.user"));
                // The key of a directory object comes with it, selected or not.
                members.insert("id".to_owned(), json!(account.id));
                Value::Object(members)
            });
        self.page_of("directoryObjects", members)
    }
}
