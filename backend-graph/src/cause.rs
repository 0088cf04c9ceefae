use std::error::Error;

/// The innermost cause alone: the outer ones repeat the address.
pub(crate) fn last_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
