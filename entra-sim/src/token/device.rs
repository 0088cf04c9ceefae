//! Signing in on another device: codes that people approve, and the refresh tokens they get.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{AadSts, Person, TokenForm};
use crate::directory::{Account, Directory, ServicePrincipal};
use crate::reply::Reply;
use crate::world::World;

/// For how many seconds a code may be approved, as Entra says.
const CODE_LIFETIME: i64 = 900;
/// How many seconds a client must wait between two questions. Entra says 5; tests would wait for it.
const INTERVAL: i64 = 1;
/// A refresh token that is not used for so long is none any more
/// (<https://learn.microsoft.com/entra/identity-platform/refresh-tokens>).
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What people were asked to approve, and what they approved.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    codes: HashMap<String, Code>,
    refresh: HashMap<String, Refresh>,
}

#[derive(Debug)]
struct Code {
    user_code: String,
    tenant: Uuid,
    client_id: Uuid,
    until: Timestamp,
    answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Approved(Uuid),
    Declined,
}

#[derive(Debug)]
struct Refresh {
    tenant: Uuid,
    user: Uuid,
    client_id: Uuid,
    issued: Timestamp,
}

impl Devices {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `user` approve what shows `user_code`; false if nothing of this tenant does.
    pub(crate) fn approve(&self, tenant: Uuid, user_code: &str, user: Uuid) -> bool {
        self.answer(tenant, user_code, Answer::Approved(user))
    }

    /// Somebody says no to what shows `user_code`; false if nothing of this tenant does.
    pub(crate) fn decline(&self, tenant: Uuid, user_code: &str) -> bool {
        self.answer(tenant, user_code, Answer::Declined)
    }

    fn answer(&self, tenant: Uuid, user_code: &str, answer: Answer) -> bool {
        let mut held = self.held();
        let mut codes = held.codes.values_mut();
        let asked = codes.find(|code| code.tenant == tenant && code.user_code == user_code);
        asked.map(|code| code.answer = Some(answer)).is_some()
    }

    fn new_refresh(
        &self,
        app: &ServicePrincipal,
        tenant: Uuid,
        user: Uuid,
        now: Timestamp,
    ) -> String {
        let token = format!("0.{}", Uuid::new_v4().simple());
        let refresh = Refresh {
            tenant,
            user,
            client_id: app.client_id,
            issued: now,
        };
        self.held().refresh.insert(token.clone(), refresh);
        token
    }
}

/// Answers `POST /{tenant}/oauth2/v2.0/devicecode`.
pub(crate) fn answer(world: &World, tenant: &str, form: &TokenForm) -> Reply {
    let now = world.clock.now();
    begin(world, tenant, form, now).map_or_else(
        |error| error.reply(now, None),
        |answer| Reply::json(StatusCode::OK, answer),
    )
}

fn begin(world: &World, tenant: &str, form: &TokenForm, now: Timestamp) -> Result<Value, AadSts> {
    let directory = super::named_tenant(world, tenant)?;
    let app = &super::app(directory, form)?;
    let scope = TokenForm::require(&form.scope, "scope")?;
    super::user_scope(world, scope)?;
    let device_code = Uuid::new_v4().simple().to_string();
    let user_code: String = Uuid::new_v4().simple().to_string().to_uppercase();
    let user_code = user_code.chars().take(9).collect::<String>();
    let url = format!("{}/devicelogin", world.base_url);
    let answer = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": url,
        "expires_in": CODE_LIFETIME,
        "interval": INTERVAL,
        "message": format!(
            "To sign in, use a web browser to open the page {url} and enter the code {user_code} to authenticate."
        ),
    });
    let code = Code {
        user_code,
        tenant: directory.id,
        client_id: app.client_id,
        until: now + SignedDuration::from_secs(CODE_LIFETIME),
        answer: None,
    };
    world.devices.held().codes.insert(device_code, code);
    Ok(answer)
}

/// Who approved the code of `form`. A code is good once.
pub(super) fn approved<'a>(
    world: &'a World,
    directory: &'a Directory,
    app: &ServicePrincipal,
    form: &TokenForm,
) -> Result<Person<'a>, AadSts> {
    let presented = TokenForm::require(&form.device_code, "device_code")?;
    let mut held = world.devices.held();
    let code = held.codes.get(presented);
    let code = code
        .filter(|code| code.tenant == directory.id && code.client_id == app.client_id)
        .ok_or(AadSts::DeviceCodeUnknown)?;
    if code.until <= world.clock.now() {
        return Err(AadSts::DeviceCodeExpired);
    }
    let answer = code.answer.ok_or(AadSts::DeviceCodePending)?;
    held.codes.remove(presented);
    match answer {
        Answer::Approved(user) => usable(directory, user),
        Answer::Declined => Err(AadSts::DeviceCodeDeclined),
    }
}

/// Whose refresh token stands in `form`. It is bound to user and client, not to a tenant, and dies with the password. Who
/// is of another tenant than that of the token must be of a partner that it has a relationship with.
pub(super) fn refreshed<'a>(
    world: &'a World,
    directory: &'a Directory,
    app: &ServicePrincipal,
    form: &TokenForm,
) -> Result<Person<'a>, AadSts> {
    let presented = TokenForm::require(&form.refresh_token, "refresh_token")?;
    let held = world.devices.held();
    let refresh = held.refresh.get(presented);
    let refresh = refresh
        .filter(|refresh| refresh.client_id == app.client_id)
        .ok_or(AadSts::RefreshTokenUnknown)?;
    let now = world.clock.now();
    if refresh.issued + REFRESH_LIFETIME <= now {
        return Err(AadSts::RefreshTokenInactive);
    }
    let home = world.tenant_by_id(refresh.tenant);
    let home = home.ok_or(AadSts::RefreshTokenUnknown)?;
    let person = usable(home, refresh.user)?;
    if home.id != directory.id
        && world
            .partner_holdings(home, refresh.user, directory)
            .active
            .is_empty()
    {
        return Err(AadSts::UserElsewhere);
    }
    let changed = person.account.state().password_changed(Timestamp::MAX);
    if changed.is_some_and(|changed| refresh.issued < changed) {
        return Err(AadSts::RefreshTokenRevoked);
    }
    Ok(person)
}

/// The client id of `form`, if its refresh token is of somebody of a partner that has a relationship with `directory`.
pub(super) fn comes_from_partner(
    world: &World,
    directory: &Directory,
    form: &TokenForm,
) -> Option<String> {
    let held = world.devices.held();
    let refresh = held.refresh.get(form.refresh_token.as_deref()?)?;
    let home = world.tenant_by_id(refresh.tenant)?;
    let related = world.relationships_with(home, directory).next().is_some();
    (home.id != directory.id && related).then(|| refresh.client_id.to_string())
}

fn usable(directory: &Directory, user: Uuid) -> Result<Person<'_>, AadSts> {
    let account = directory.account(user);
    let account = account.ok_or_else(|| AadSts::UserNotFound {
        tenant: directory.id.to_string(),
    })?;
    if account.state().enabled {
        Ok(Person {
            home: directory,
            account,
        })
    } else {
        Err(AadSts::AccountDisabled)
    }
}

/// A refresh token, if `scope` asks for one.
pub(super) fn refresh_token(
    world: &World,
    home: &Directory,
    app: &ServicePrincipal,
    user: &Account,
    scope: &str,
) -> Option<String> {
    let wanted = scope.split(' ').any(|scope| scope == "offline_access");
    let devices = &world.devices;
    wanted.then(|| devices.new_refresh(app, home.id, user.id, world.clock.now()))
}
