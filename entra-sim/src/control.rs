//! The control endpoint `/__control`: what the library handle can do, for other processes.
//!
//! | request | does |
//! |---|---|
//! | `GET /tenants` | ids, domains, credentials |
//! | `GET /tenants/{t}/users` | users with initial passwords; `?skip=` and `?top=` (1,000) |
//! | `GET /tenants/{t}/users/{u}` | one user |
//! | `POST /tenants/{t}/users/{u}/checkPassword` | `{"password"}` → `{"current": bool}` |
//! | `POST /tenants/{t}/users/{u}/setPassword` | `{"password"}`, as somebody else would |
//! | `POST /tenants/{t}/users/{u}/approveSignIn` | `{"userCode"}`, as this user would on another device |
//! | `POST /tenants/{t}/onPremises/{security id}` | `{"password"}`, set in the on-premises directory |
//! | `POST /tenants/{t}/sync` | a cycle of password hash synchronisation → `{"synced"}` |
//! | `DELETE /tenants/{t}/users/{u}` | deletes the user |
//! | `POST /throttle` | limits all tenants: the JSON of a [`Throttle`], or `"documented"` or `"none"` |
//! | `POST /tenants/{t}/throttle` | limits this tenant instead; `DELETE`: as all others again |
//! | `POST /latency` | `{"milliseconds"}` before each answer of Graph |
//! | `POST /faults` | adds a fault or an array of them |
//! | `DELETE /faults` | removes all |
//! | `POST /late` | [`Server::release_late`](crate::Server::release_late) → `{"released"}` |
//! | `GET /requests`, `DELETE /requests` | records; forgets them |
//! | `GET /totals` | counts |
//! | `POST /advance` | `{"seconds"}` |
//! | `POST /reset` | as [`Server::reset`](crate::Server::reset) |

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::handle::{TenantHandle, UserView};
use crate::record::{RequestRecord, Totals};
use crate::throttle::Throttle;
use crate::world::World;

type Shared = State<Arc<World>>;

/// The routes, each behind the bearer token of the server.
pub(crate) fn router(world: Arc<World>) -> Router<Arc<World>> {
    Router::new()
        .route("/tenants", get(tenants))
        .route("/tenants/{tenant}/users", get(users))
        .route(
            "/tenants/{tenant}/users/{user}",
            get(user).delete(delete_user),
        )
        .route(
            "/tenants/{tenant}/users/{user}/checkPassword",
            post(check_password),
        )
        .route(
            "/tenants/{tenant}/users/{user}/setPassword",
            post(set_password),
        )
        .route(
            "/tenants/{tenant}/users/{user}/approveSignIn",
            post(approve_sign_in),
        )
        .route("/tenants/{tenant}/onPremises/{id}", post(set_on_premises))
        .route("/tenants/{tenant}/sync", post(sync))
        .route("/throttle", post(set_throttle))
        .route(
            "/tenants/{tenant}/throttle",
            post(set_tenant_throttle).delete(clear_tenant_throttle),
        )
        .route("/latency", post(set_latency))
        .route("/late", post(release_late))
        .route("/faults", post(add_faults).delete(clear_faults))
        .route("/requests", get(requests).delete(clear_requests))
        .route("/totals", get(totals))
        .route("/advance", post(advance))
        .route("/reset", post(reset))
        .layer(from_fn_with_state(world, authenticate))
}

async fn authenticate(State(world): Shared, request: Request, next: Next) -> Response {
    let presented = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if presented == Some(world.control_token.as_str()) {
        next.run(request).await
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

async fn tenants(State(world): Shared) -> Json<Value> {
    let tenants = world.tenants().iter().map(|directory| {
        let tenant = TenantHandle::new(Arc::clone(&world), Arc::clone(directory));
        json!({
            "id": tenant.id(),
            "domain": tenant.domain(),
            "clientId": tenant.client_id(),
            "clientSecret": tenant.client_secret(),
            "accounts": directory.accounts().len(),
        })
    });
    Json(tenants.collect())
}

#[derive(Deserialize)]
struct Window {
    #[serde(default)]
    skip: usize,
    #[serde(default = "Window::default_top")]
    top: usize,
}

impl Window {
    fn default_top() -> usize {
        1_000
    }
}

async fn users(
    State(world): Shared,
    Path(tenant): Path<String>,
    Query(window): Query<Window>,
) -> Result<Json<Value>, StatusCode> {
    let tenant = find_tenant(&world, &tenant)?;
    let page = tenant.iter_users().skip(window.skip).take(window.top);
    Ok(Json(page.map(|user| user_json(&user)).collect()))
}

async fn user(
    State(world): Shared,
    Path((tenant, user)): Path<(String, String)>,
) -> Result<Json<Value>, StatusCode> {
    let (_, user) = find_user(&world, &tenant, &user)?;
    Ok(Json(user_json(&user)))
}

async fn delete_user(
    State(world): Shared,
    Path((tenant, user)): Path<(String, String)>,
) -> Result<StatusCode, StatusCode> {
    let (tenant, user) = find_user(&world, &tenant, &user)?;
    tenant.delete_user(user.id);
    Ok(StatusCode::NO_CONTENT)
}

/// Without `Debug`: it is a password.
#[derive(Deserialize)]
struct Password {
    password: String,
}

async fn check_password(
    State(world): Shared,
    Path((tenant, user)): Path<(String, String)>,
    Json(check): Json<Password>,
) -> Result<Json<Value>, StatusCode> {
    let (tenant, user) = find_user(&world, &tenant, &user)?;
    let current = tenant.current_password_is(user.id, &check.password);
    Ok(Json(json!({"current": current})))
}

async fn set_password(
    State(world): Shared,
    Path((tenant, user)): Path<(String, String)>,
    Json(change): Json<Password>,
) -> Result<StatusCode, StatusCode> {
    let (tenant, user) = find_user(&world, &tenant, &user)?;
    tenant.set_password(user.id, &change.password);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    user_code: String,
}

async fn approve_sign_in(
    State(world): Shared,
    Path((tenant, user)): Path<(String, String)>,
    Json(shown): Json<Shown>,
) -> Result<StatusCode, StatusCode> {
    let (tenant, user) = find_user(&world, &tenant, &user)?;
    if tenant.approve_sign_in(&shown.user_code, user.id) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(StatusCode::NOT_FOUND)
    }
}

async fn set_on_premises(
    State(world): Shared,
    Path((tenant, id)): Path<(String, String)>,
    Json(change): Json<Password>,
) -> Result<StatusCode, StatusCode> {
    if find_tenant(&world, &tenant)?.set_on_premises(&id, &change.password) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(StatusCode::NOT_FOUND)
    }
}

async fn sync(State(world): Shared, Path(tenant): Path<String>) -> Result<Json<Value>, StatusCode> {
    let synced = find_tenant(&world, &tenant)?.sync();
    Ok(Json(json!({"synced": synced})))
}

type Refusal = (StatusCode, String);

fn throttle(written: Value) -> Result<Throttle, Refusal> {
    Throttle::from_json(written).map_err(|message| (StatusCode::UNPROCESSABLE_ENTITY, message))
}

async fn set_throttle(
    State(world): Shared,
    Json(written): Json<Value>,
) -> Result<StatusCode, Refusal> {
    world.set_throttle(throttle(written)?);
    Ok(StatusCode::NO_CONTENT)
}

async fn set_tenant_throttle(
    State(world): Shared,
    Path(tenant): Path<String>,
    Json(written): Json<Value>,
) -> Result<StatusCode, Refusal> {
    let throttle = throttle(written)?;
    let tenant = find_tenant(&world, &tenant).map_err(|status| (status, String::new()))?;
    tenant.set_throttle(Some(throttle));
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_tenant_throttle(
    State(world): Shared,
    Path(tenant): Path<String>,
) -> Result<StatusCode, StatusCode> {
    find_tenant(&world, &tenant)?.set_throttle(None);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
struct Latency {
    milliseconds: u64,
}

async fn set_latency(State(world): Shared, Json(latency): Json<Latency>) -> StatusCode {
    world.set_latency(Duration::from_millis(latency.milliseconds));
    StatusCode::NO_CONTENT
}

async fn release_late(State(world): Shared) -> Json<Value> {
    Json(json!({"released": world.release_late()}))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Fault>),
    One(Fault),
}

async fn add_faults(State(world): Shared, Json(faults): Json<OneOrMany>) -> StatusCode {
    match faults {
        OneOrMany::Many(faults) => faults.into_iter().for_each(|fault| world.faults.add(fault)),
        OneOrMany::One(fault) => world.faults.add(fault),
    }
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(world): Shared) -> StatusCode {
    world.faults.clear();
    StatusCode::NO_CONTENT
}

async fn requests(State(world): Shared) -> Json<Vec<RequestRecord>> {
    Json(world.records.all())
}

async fn clear_requests(State(world): Shared) -> StatusCode {
    world.records.clear();
    StatusCode::NO_CONTENT
}

async fn totals(State(world): Shared) -> Json<Totals> {
    Json(world.records.totals())
}

#[derive(Debug, Deserialize)]
struct Advance {
    seconds: u64,
}

async fn advance(State(world): Shared, Json(advance): Json<Advance>) -> StatusCode {
    world.advance(Duration::from_secs(advance.seconds));
    StatusCode::NO_CONTENT
}

async fn reset(State(world): Shared) -> StatusCode {
    world.reset();
    StatusCode::NO_CONTENT
}

fn find_tenant(world: &Arc<World>, name: &str) -> Result<TenantHandle, StatusCode> {
    world
        .tenant(name)
        .map(|directory| TenantHandle::new(Arc::clone(world), Arc::clone(directory)))
        .ok_or(StatusCode::NOT_FOUND)
}

fn find_user(
    world: &Arc<World>,
    tenant: &str,
    user: &str,
) -> Result<(TenantHandle, UserView), StatusCode> {
    let tenant = find_tenant(world, tenant)?;
    let user = tenant.user(user).ok_or(StatusCode::NOT_FOUND)?;
    Ok((tenant, user))
}

fn user_json(user: &UserView) -> Value {
    json!({
        "id": user.id,
        "userPrincipalName": user.user_principal_name,
        "displayName": user.display_name,
        "initialPassword": user.initial_password,
        "enabled": user.enabled,
        "guest": user.guest,
        "synced": user.synced,
        "federated": user.federated,
        "protected": user.protected,
        "ordinary": user.is_ordinary(),
        "lastPasswordChange": user.last_password_change,
        "passwordSets": user.password_sets,
    })
}
