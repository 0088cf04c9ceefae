//! Role definitions and assignments, active and eligible.

use serde_json::{Value, json};

use super::filter::Filter;
use super::permission::{ROLE_ASSIGNMENT_SCHEDULES, ROLE_ELIGIBILITY};
use super::{Call, GraphError};
use crate::clock::graph_time;
use crate::directory::{Access, Assignment};
use crate::reply::Reply;
use crate::role::Role;

/// What the collections of assignments can be filtered by.
const ASSIGNMENT_FILTERS: &[&str] = &["principalId", "roleDefinitionId"];
/// What role definitions can be filtered by. `isPrivileged` exists in beta only.
const DEFINITION_FILTERS: &[&str] = &["displayName", "id", "isBuiltIn", "templateId"];

/// `GET /roleManagement/directory/roleDefinitions`
pub(crate) fn definitions(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require_role_reader()?;
    let filter = parsed_filter(call, DEFINITION_FILTERS)?;
    let built_in = Role::built_in().map(|(role, name)| (role, name, true));
    let custom = call.directory.custom_roles.iter();
    let custom = custom.map(|(role, name)| (*role, name.as_str(), false));
    let definitions = built_in
        .chain(custom)
        .map(|(role, name, built_in)| definition(role, name, built_in))
        .filter(|definition| accepts(&filter, definition))
        .map(|definition| call.selected("unifiedRoleDefinition", definition))
        .collect::<Result<Vec<_>, _>>()?;
    call.page_of("roleManagement/directory/roleDefinitions", definitions)
}

/// `GET /roleManagement/directory/roleAssignments`
pub(crate) fn assignments(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require_role_reader()?;
    if call.query.filter.is_none() && call.directory.switches.role_assignments_require_filter {
        return Err(GraphError::bad_request(
            "The query must filter by principalId or roleDefinitionId.",
        ));
    }
    list(
        call,
        "unifiedRoleAssignment",
        |access| &access.assignments,
        |assignment| assignment_json(call, assignment),
    )
}

/// `GET /roleManagement/directory/roleEligibilityScheduleInstances`
pub(crate) fn eligibilities(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require_pim_reader(ROLE_ELIGIBILITY)?;
    list(
        call,
        "unifiedRoleEligibilityScheduleInstance",
        |access| &access.eligibilities,
        |assignment| {
            let mut object = common(assignment);
            add_schedule(call, assignment, &mut object);
            add(
                &mut object,
                "roleEligibilityScheduleId",
                json!(assignment.id),
            );
            object
        },
    )
}

/// `GET /roleManagement/directory/roleAssignmentScheduleInstances`
pub(crate) fn assignment_schedules(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require_pim_reader(ROLE_ASSIGNMENT_SCHEDULES)?;
    list(
        call,
        "unifiedRoleAssignmentScheduleInstance",
        |access| &access.assignments,
        |assignment| {
            let mut object = common(assignment);
            add_schedule(call, assignment, &mut object);
            add(&mut object, "assignmentType", json!("Assigned"));
            add(&mut object, "roleAssignmentOriginId", json!(assignment.id));
            add(
                &mut object,
                "roleAssignmentScheduleId",
                json!(assignment.id),
            );
            object
        },
    )
}

fn list(
    call: &Call<'_>,
    type_name: &str,
    of: impl Fn(&Access) -> &Vec<Assignment>,
    render: impl Fn(&Assignment) -> Value,
) -> Result<Reply, GraphError> {
    let filter = parsed_filter(call, ASSIGNMENT_FILTERS)?;
    let expand = expansion(call)?;
    let access = call.directory.access();
    let items = of(&access)
        .iter()
        .map(|assignment| {
            let mut object = render(assignment);
            match expand {
                Some("principal") => {
                    add(
                        &mut object,
                        "principal",
                        call.directory_object(&access, assignment.principal),
                    );
                }
                Some(_) => add(
                    &mut object,
                    "roleDefinition",
                    role_definition(call, assignment),
                ),
                None => {}
            }
            object
        })
        .filter(|object| accepts(&filter, object))
        .map(|object| call.selected(type_name, object))
        .collect::<Result<Vec<_>, _>>()?;
    call.page_of(call.path.trim_start_matches('/'), items)
}

fn parsed_filter(call: &Call<'_>, properties: &[&str]) -> Result<Filter, GraphError> {
    let filter = call.query.filter.as_deref();
    filter.map_or_else(
        || Ok(Filter::default()),
        |text| Filter::parse(text, properties),
    )
}

fn accepts(filter: &Filter, object: &Value) -> bool {
    filter.accepts(|name| object.get(name).cloned().unwrap_or_default())
}

/// The one navigation property that a query may expand.
fn expansion<'a>(call: &'a Call<'_>) -> Result<Option<&'a str>, GraphError> {
    match call.query.expand.as_deref() {
        None => Ok(None),
        Some(name @ ("principal" | "roleDefinition")) => Ok(Some(name)),
        Some(other) => Err(GraphError::bad_request(format!(
            "Only one property can be expanded in a single query: '{other}'."
        ))),
    }
}

fn definition(role: Role, name: &str, built_in: bool) -> Value {
    json!({
        "id": role,
        "templateId": role,
        "displayName": name,
        "description": null,
        "isBuiltIn": built_in,
        "isEnabled": true,
        "resourceScopes": ["/"],
        "rolePermissions": [],
        "version": "1",
    })
}

fn role_definition(call: &Call<'_>, assignment: &Assignment) -> Value {
    let custom = call.directory.custom_roles.iter();
    let mut custom = custom
        .filter(|(role, _)| *role == assignment.role)
        .map(|(_, name)| name.as_str());
    let name = assignment.role.name().or_else(|| custom.next());
    definition(
        assignment.role,
        name.unwrap_or_default(),
        assignment.role.name().is_some(),
    )
}

/// A `unifiedRoleAssignment`.
pub(crate) fn assignment_json(call: &Call<'_>, assignment: &Assignment) -> Value {
    let mut object = common(assignment);
    add(&mut object, "condition", Value::Null);
    add(
        &mut object,
        "principalOrganizationId",
        json!(call.directory.id),
    );
    object
}

fn common(assignment: &Assignment) -> Value {
    json!({
        "id": assignment.id,
        "principalId": assignment.principal,
        "roleDefinitionId": assignment.role,
        "directoryScopeId": assignment.unit.map_or_else(
            || "/".to_owned(),
            |unit| format!("/administrativeUnits/{unit}"),
        ),
        "appScopeId": null,
    })
}

fn add_schedule(call: &Call<'_>, assignment: &Assignment, object: &mut Value) {
    add(object, "memberType", json!("Direct"));
    add(
        object,
        "startDateTime",
        json!(graph_time(call.world.started)),
    );
    let end = assignment.ends.map(graph_time);
    add(object, "endDateTime", json!(end));
}

fn add(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
