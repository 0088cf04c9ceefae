//! The error answers of the token endpoint.
//!
//! <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::reply::Reply;

/// One AADSTS error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AadSts {
    AccountDisabled,
    AccountLocked,
    AppNotFound {
        client_id: String,
        tenant: String,
    },
    AssertionAudience,
    AssertionMalformed,
    AssertionSignature {
        reason: &'static str,
    },
    AssertionSubject,
    AssertionTime,
    CommonNotAllowed,
    DeviceCodeDeclined,
    DeviceCodeExpired,
    DeviceCodePending,
    DeviceCodeUnknown,
    /// Nothing is registered for this `what` of a token of another issuer.
    Federation {
        what: FederationMismatch,
        found: String,
    },
    InvalidPassword,
    InvalidResource {
        resource: String,
    },
    InvalidScope {
        scope: String,
    },
    MissingCredential,
    MissingParameter {
        name: &'static str,
    },
    MfaRequired,
    /// A partner's app that the customer did not consent to.
    PartnerAppUnauthorized {
        client_id: String,
        tenant: Uuid,
    },
    PasswordExpired,
    /// A credential came from an app that is registered as one that can keep none.
    PublicClient,
    RefreshTokenInactive,
    RefreshTokenRevoked,
    RefreshTokenUnknown,
    /// Whatever a fault demands.
    Scripted {
        number: u32,
        status: StatusCode,
    },
    SecretExpired {
        client_id: String,
    },
    TenantNotFound {
        tenant: String,
    },
    /// With whatever status a fault demands.
    Transient(StatusCode),
    UnsupportedGrant {
        grant: String,
    },
    /// The user who signed in is not in this tenant.
    UserElsewhere,
    UserNotFound {
        tenant: String,
    },
    WrongSecret {
        client_id: String,
    },
}

/// Which part of a token of another issuer matches no federated identity credential. The pages that list error codes lack
/// these; they are as reported by users of Entra, the last in
/// <https://learn.microsoft.com/entra/identity-platform/reference-breaking-changes>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FederationMismatch {
    /// The app has no such credential at all.
    Any,
    Audience,
    Issuer,
    Subject,
    /// It would match, were it not for upper and lower case.
    SubjectCase,
}

impl FederationMismatch {
    fn text(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Audience => " audience",
            Self::Issuer => " issuer",
            Self::Subject | Self::SubjectCase => " subject",
        }
    }
}

impl AadSts {
    /// Number, OAuth error, status.
    fn kind(&self) -> (u32, &'static str, StatusCode) {
        let (refused, unauthorized) = (StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED);
        match self {
            Self::AccountDisabled => (50057, "invalid_grant", refused),
            Self::AccountLocked => (50053, "invalid_grant", refused),
            Self::AppNotFound { .. } => (700_016, "unauthorized_client", refused),
            Self::AssertionAudience => (700_023, "invalid_client", unauthorized),
            Self::AssertionMalformed => (50027, "invalid_request", refused),
            Self::AssertionSignature { .. } => (700_027, "invalid_client", unauthorized),
            Self::AssertionSubject => (700_021, "invalid_client", unauthorized),
            Self::AssertionTime => (700_024, "invalid_client", unauthorized),
            Self::DeviceCodeDeclined => (70_000, "authorization_declined", refused),
            Self::DeviceCodeExpired => (70_019, "expired_token", refused),
            Self::DeviceCodePending => (70_016, "authorization_pending", refused),
            Self::DeviceCodeUnknown => (70_018, "bad_verification_code", refused),
            Self::Federation { what, .. } => match what {
                FederationMismatch::Any => (70021, "invalid_request", refused),
                FederationMismatch::Audience => (700_212, "invalid_client", unauthorized),
                FederationMismatch::Issuer => (700_211, "invalid_client", unauthorized),
                FederationMismatch::Subject => (700_213, "invalid_client", unauthorized),
                FederationMismatch::SubjectCase => (7_002_138, "invalid_client", unauthorized),
            },
            Self::CommonNotAllowed => (9_001_023, "invalid_request", refused),
            Self::InvalidPassword => (50126, "invalid_grant", refused),
            Self::InvalidResource { .. } => (500_011, "invalid_resource", refused),
            Self::InvalidScope { .. } => (70011, "invalid_scope", refused),
            Self::MissingCredential => (7_000_218, "invalid_client", unauthorized),
            Self::MissingParameter { .. } => (900_144, "invalid_request", refused),
            Self::MfaRequired => (50076, "invalid_grant", refused),
            // https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow#error-response-example
            Self::Scripted {
                number: number @ (50_074 | 50_076 | 50_079),
                status,
            } => (*number, "interaction_required", *status),
            Self::Scripted { number, status } => (*number, "invalid_grant", *status),
            // number and text are documented, the error of OAuth is not
            Self::PartnerAppUnauthorized { .. } => (90_099, "invalid_grant", refused),
            Self::PasswordExpired => (50055, "invalid_grant", refused),
            Self::PublicClient => (700_025, "invalid_client", unauthorized),
            Self::RefreshTokenInactive => (700_082, "invalid_grant", refused),
            Self::RefreshTokenRevoked => (50_173, "invalid_grant", refused),
            Self::RefreshTokenUnknown => (9_002_313, "invalid_grant", refused),
            Self::SecretExpired { .. } => (7_000_222, "invalid_client", unauthorized),
            Self::TenantNotFound { .. } => (90002, "invalid_request", refused),
            Self::Transient(status) => (90033, "temporarily_unavailable", *status),
            Self::UnsupportedGrant { .. } => (70003, "unsupported_grant_type", refused),
            Self::UserElsewhere => (50_020, "invalid_grant", refused),
            Self::UserNotFound { .. } => (50034, "invalid_grant", refused),
            Self::WrongSecret { .. } => (7_000_215, "invalid_client", unauthorized),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::AccountDisabled => "The user account is disabled.".to_owned(),
            Self::AccountLocked => "The account is locked, you've tried to sign in too many times with an incorrect user ID or password.".to_owned(),
            Self::AppNotFound { client_id, tenant } => format!(
                "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
            ),
            Self::AssertionAudience => "Client assertion audience claim does not match Realm issuer.".to_owned(),
            Self::AssertionMalformed => "JWT token is invalid or malformed.".to_owned(),
            Self::AssertionSignature { reason } => format!(
                "Client assertion contains an invalid signature. [Reason - {reason}]"
            ),
            Self::AssertionSubject => "Client assertion application identifier doesn't match 'client_id' parameter.".to_owned(),
            Self::AssertionTime => "Client assertion is not within its valid time range.".to_owned(),
            Self::Federation { what, found } => format!(
                "No matching federated identity record found for presented assertion{} '{found}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.",
                what.text()
            ),
            Self::CommonNotAllowed => "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.".to_owned(),
            Self::DeviceCodeDeclined => "The user declined to sign in.".to_owned(),
            Self::DeviceCodeExpired => "The device code has expired.".to_owned(),
            Self::DeviceCodePending => "OAuth 2.0 device flow error. Authorization is pending. Continue polling.".to_owned(),
            Self::DeviceCodeUnknown => "The verification code is not known.".to_owned(),
            Self::InvalidPassword => "Error validating credentials due to invalid username or password.".to_owned(),
            Self::InvalidResource { resource } => format!(
                "The resource principal named {resource} was not found in the tenant. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant."
            ),
            Self::InvalidScope { scope } => format!(
                "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
            ),
            Self::MissingCredential => "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.".to_owned(),
            Self::MissingParameter { name } => format!(
                "The request body must contain the following parameter: '{name}'."
            ),
            Self::MfaRequired => "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '00000003-0000-0000-c000-000000000000'.".to_owned(),
            Self::Scripted { .. } => "As a fault demands.".to_owned(),
            Self::PartnerAppUnauthorized { client_id, tenant } => format!(
                "The application '{client_id}' has not been authorized in the tenant '{tenant}'. Applications must be authorized to access the customer tenant before partner delegated administrators can use them. Provide pre-consent or execute the appropriate Partner Center API to authorize the application."
            ),
            Self::PasswordExpired => "The password is expired, or it must be changed at the first sign-in.".to_owned(),
            Self::PublicClient => "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.".to_owned(),
            Self::RefreshTokenInactive => "The refresh token has expired due to inactivity.".to_owned(),
            Self::RefreshTokenRevoked => "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password.".to_owned(),
            Self::RefreshTokenUnknown => "Invalid request. Request is malformed or invalid.".to_owned(),
            Self::SecretExpired { client_id } => format!(
                "The provided client secret keys for app '{client_id}' are expired. Create new keys for your app, or consider using certificate credentials for added security."
            ),
            Self::TenantNotFound { tenant } => format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
            ),
            Self::Transient(_) => "A transient error has occurred. Please try again.".to_owned(),
            Self::UnsupportedGrant { grant } => format!(
                "The app requested an unsupported grant type '{grant}'."
            ),
            Self::UserElsewhere => "User account from another identity provider does not exist in this tenant and cannot access the application in it.".to_owned(),
            Self::UserNotFound { tenant } => format!(
                "The user account does not exist in the {tenant} directory. To sign into this application, the account must be added to the directory."
            ),
            Self::WrongSecret { client_id } => format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client_id}'."
            ),
        }
    }

    /// The answer; `correlation` is the id that the client sent, if it did.
    pub(crate) fn reply(&self, now: Timestamp, correlation: Option<Uuid>) -> Reply {
        let (code, error, status) = self.kind();
        let trace = Uuid::new_v4();
        let correlation = correlation.unwrap_or_else(Uuid::new_v4);
        let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let text = self.text();
        Reply::json(
            status,
            json!({
                "error": error,
                "error_description": format!(
                    "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
                ),
                "error_codes": [code],
                "timestamp": timestamp,
                "trace_id": trace,
                "correlation_id": correlation,
                "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
            }),
        )
    }
}
