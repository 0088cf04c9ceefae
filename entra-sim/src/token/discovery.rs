//! The documents that SDKs fetch before they ask for a token.

use axum::http::StatusCode;
use serde_json::json;

use super::AadSts;
use crate::reply::Reply;
use crate::seed::Authentication;
use crate::world::World;

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`.
pub(crate) fn openid_configuration(world: &World, tenant: &str) -> Reply {
    let everyone = ["common", "organizations"].contains(&tenant);
    let (path, issuer) = match world.tenant(tenant) {
        Some(directory) => (directory.id.to_string(), directory.id.to_string()),
        None if everyone => (tenant.to_owned(), "{tenantid}".to_owned()),
        None => {
            let unknown = AadSts::TenantNotFound {
                tenant: tenant.to_owned(),
            };
            return unknown.reply(world.clock.now(), None);
        }
    };
    let base = &world.base_url;
    Reply::json(
        StatusCode::OK,
        json!({
            "issuer": format!("{base}/{issuer}/v2.0"),
            "authorization_endpoint": format!("{base}/{path}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{base}/{path}/oauth2/v2.0/token"),
            "device_authorization_endpoint": format!("{base}/{path}/oauth2/v2.0/devicecode"),
            "jwks_uri": format!("{base}/{path}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported": [
                "client_secret_post", "private_key_jwt", "client_secret_basic",
            ],
            "response_types_supported": ["code", "id_token", "code id_token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["HS256"],
            "scopes_supported": super::SIGN_IN_SCOPES,
            "tenant_region_scope": "EU",
            "cloud_instance_name": host(base),
            "msgraph_host": host(base),
        }),
    )
}

/// `GET /common/discovery/instance`.
pub(crate) fn instance_discovery(world: &World) -> Reply {
    let base = &world.base_url;
    let host = host(base);
    Reply::json(
        StatusCode::OK,
        json!({
            "tenant_discovery_endpoint":
                format!("{base}/common/v2.0/.well-known/openid-configuration"),
            "api-version": "1.1",
            "metadata": [{
                "preferred_network": host,
                "preferred_cache": host,
                "aliases": [host],
            }],
        }),
    )
}

/// `GET /{tenant}/discovery/v2.0/keys`: none, as the key of the tokens is nobody's but Graph's.
pub(crate) fn keys() -> Reply {
    Reply::json(StatusCode::OK, json!({"keys": []}))
}

/// `GET /common/userrealm/{user}`: whether Entra itself checks this user's password.
pub(crate) fn user_realm(world: &World, user: &str) -> Reply {
    let domain = user.rsplit_once('@').map_or("", |(_, domain)| domain);
    let managed = world.tenant(domain).is_some_and(|directory| {
        directory.domains.iter().any(|(name, authentication)| {
            name.eq_ignore_ascii_case(domain) && *authentication == Authentication::Managed
        })
    });
    Reply::json(
        StatusCode::OK,
        json!({
            "ver": "1.0",
            "account_type": if managed { "Managed" } else { "Unknown" },
            "domain_name": domain,
            "cloud_instance_name": host(&world.base_url),
        }),
    )
}

fn host(base_url: &str) -> &str {
    base_url
        .split_once("://")
        .map_or(base_url, |(_, host)| host)
}
