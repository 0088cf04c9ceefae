//! Reading users.
//!
//! <https://learn.microsoft.com/graph/api/user-list>

use axum::http::StatusCode;
use serde_json::Value;

use super::filter::Filter;
use super::permission::{USERS, USERS_BASIC};
use super::user_json::{Selection, property};
use super::{Call, GraphError};
use crate::directory::{Access, Account};
use crate::reply::Reply;

/// What users can be filtered by here.
const FILTERABLE: &[&str] = &[
    "accountEnabled",
    "displayName",
    "id",
    "mail",
    "onPremisesSyncEnabled",
    "userPrincipalName",
    "userType",
];

/// `GET /users`
pub(crate) fn list(call: &Call<'_>) -> Result<Reply, GraphError> {
    let basic_only = reads_basic_profile_only(call)?;
    let filter = filter(call)?;
    let selection = Selection::new(call.query.select.as_deref(), true, basic_only)?;
    let now = call.world.clock.now();
    let access = call.directory.access();
    let render = |account| selection.render(account, &access, now);
    let context = match call.query.select {
        Some(_) => format!("users({})", selection.names()),
        None => "users".to_owned(),
    };
    let mut reply = match named_accounts(call, &filter) {
        Some(named) => {
            let named: Vec<&Account> = named
                .into_iter()
                .filter(|account| accepted(call, &filter, &access, account))
                .collect();
            let named = named.into_iter().enumerate();
            call.page(&context, |start| named.skip(start), render)
        }
        None => call.page(
            &context,
            |start| {
                let accounts = call.directory.accounts().iter().enumerate().skip(start);
                accounts.filter(|(_, account)| accepted(call, &filter, &access, account))
            },
            render,
        ),
    }?;
    if call.query.count && call.eventual {
        let total = count_matches(call, &filter, &access);
        reply.insert("@odata.count", total.into());
    }
    Ok(reply)
}

/// `GET /users/$count`
pub(crate) fn count(call: &Call<'_>) -> Result<Reply, GraphError> {
    reads_basic_profile_only(call)?;
    if !call.eventual {
        return Err(GraphError::bad_request(
            "$count is not currently supported without the header 'ConsistencyLevel: eventual'.",
        ));
    }
    let filter = filter(call)?;
    let total = count_matches(call, &filter, &call.directory.access());
    Ok(Reply::text(StatusCode::OK, "text/plain", total.to_string()))
}

/// `GET /users/{id or UPN}`
pub(crate) fn read(call: &Call<'_>) -> Result<Reply, GraphError> {
    let basic_only = reads_basic_profile_only(call)?;
    let selection = Selection::new(call.query.select.as_deref(), false, basic_only)?;
    let account = call
        .directory
        .account_by_key(&call.route.key)
        .ok_or_else(|| GraphError::not_found(&call.route.key))?;
    let access = call.directory.access();
    let user = selection.render(account, &access, call.world.clock.now());
    let context = match call.query.select {
        Some(_) => format!("users({})/$entity", selection.names()),
        None => "users/$entity".to_owned(),
    };
    let context = format!("{}/$metadata#{context}", call.version_root());
    let user = serde_json::to_string(&user).unwrap_or_default();
    let mut reply = Reply::rendered(StatusCode::OK, user);
    reply.insert("@odata.context", context.into());
    Ok(reply)
}

/// Whether the caller sees only the basic profile; refused if not even that.
pub(crate) fn reads_basic_profile_only(call: &Call<'_>) -> Result<bool, GraphError> {
    if call.has_any(USERS) {
        Ok(false)
    } else {
        call.require(USERS_BASIC).map(|()| true)
    }
}

fn filter(call: &Call<'_>) -> Result<Filter, GraphError> {
    let filter = match &call.query.filter {
        Some(text) => Filter::parse(text, FILTERABLE)?,
        None => Filter::default(),
    };
    let query = &call.query;
    let advanced = filter.is_advanced()
        || query.search.is_some()
        || (query.order_by.is_some() && query.filter.is_some());
    if advanced && !(call.eventual && (query.count || query.search.is_some())) {
        return Err(GraphError::unsupported_query(
            "Unsupported Query. The query needs the header 'ConsistencyLevel: eventual' and $count=true.",
        ));
    }
    if query.search.is_some() || query.order_by.is_some() || query.expand.is_some() {
        return Err(GraphError::unsupported_query(
            "Unsupported Query. $search, $orderby and $expand are not served for users.",
        ));
    }
    Ok(filter)
}

fn accepted(call: &Call<'_>, filter: &Filter, access: &Access, account: &Account) -> bool {
    !account.is_deleted()
        && filter
            .accepts(|name| property(account, access, name, call.world.clock.now()).into_value())
}

/// The accounts that a filter names, so that nobody walks a million for fifteen.
fn named_accounts<'a>(call: &Call<'a>, filter: &Filter) -> Option<Vec<&'a Account>> {
    let keys = filter
        .candidates("id")
        .or_else(|| filter.candidates("userPrincipalName"))?;
    let mut named: Vec<&Account> = keys
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|key| call.directory.account_by_key(key))
        .collect();
    named.sort_unstable_by_key(|account| account.id);
    named.dedup_by_key(|account| account.id);
    Some(named)
}

fn count_matches(call: &Call<'_>, filter: &Filter, access: &Access) -> usize {
    let accounts = call.directory.accounts().iter();
    accounts
        .filter(|account| accepted(call, filter, access, account))
        .count()
}
