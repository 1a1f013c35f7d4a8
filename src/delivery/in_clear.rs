//! `deliver: env`: a value in clear in the container's configuration, which `docker inspect` shows. The last resort.
//!
//! The override file holds no value all the same: Compose interpolates it from a variable of its own process, which is there
//! for the one `up` that needs it. By hand, Compose says which variable is missing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

use super::plan::ServicePlan;
use crate::access::Access;
use crate::compose::own_names::IN_CLEAR;
use crate::compose::placeholder::STAND_IN;
use crate::engine::tools::Tools;
use crate::secret::SecretValue;

/// The values that services have in clear: by service, each variable with its value.
pub type InClear = BTreeMap<String, Vec<(String, SecretValue)>>;

/// The variable of Compose's process that a variable of a service is interpolated from. No two have the same: what is no
/// letter or digit is written as its number.
pub fn source(service: &str, variable: &str) -> String {
    format!("{IN_CLEAR}{}_to_{}", escaped(service), escaped(variable))
}

/// What the override file says of such a variable, as Compose reads it.
pub(super) fn interpolated(service: &str, variable: &str) -> String {
    format!("${{{}?it is set by `claude-secrets deploy`}}", source(service, variable))
}

/// What Compose gets for all of them where nothing is started.
pub fn stand_ins(access: &Access) -> BTreeMap<String, String> {
    let of_service = |(service, variable): (&String, &str)| (source(service, variable), STAND_IN.to_owned());
    let each = access
        .services
        .iter()
        .flat_map(|(service, own)| own.in_clear().into_keys().map(move |variable| (service, variable)));
    each.map(of_service).collect()
}

/// The values themselves.
pub fn values(access: &Access, plans: &BTreeMap<String, ServicePlan>) -> InClear {
    let mut all = InClear::new();
    for (service, own) in &access.services {
        let files = plans.get(service).map(|plan| plan.files.as_slice()).unwrap_or_default();
        let by_file: BTreeMap<&str, &SecretValue> =
            files.iter().rev().map(|planned| (planned.file.as_str(), &planned.value)).collect();
        for (variable, file) in own.in_clear() {
            if let Some(value) = by_file.get(file) {
                let value = (variable.to_owned(), (*value).clone());
                all.entry(service.clone()).or_default().push(value);
            }
        }
    }
    all
}

/// The programs with these values, for the one call that starts the services.
pub fn given_to(tools: &Tools, values: &InClear) -> Tools {
    let each = values.iter().flat_map(|(service, own)| own.iter().map(move |one| (service, one)));
    each.fold(tools.clone(), |tools, (service, (variable, value))| {
        tools.with_variable(&source(service, variable), OsStr::from_bytes(value.expose()))
    })
}

fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(byte));
        } else if byte == b'_' {
            text.push_str("__");
        } else {
            let _ = write!(text, "_{byte:02x}_");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_variables_are_interpolated_from_one() {
        let pairs = [
            ("a", "B"),
            ("a_to", "B"),
            ("a", "to_B"),
            ("a-b", "C"),
            ("a_b", "C"),
            ("a.b", "C"),
            ("a_2d_b", "C"),
            ("a", "b_to_c"),
            ("a_to_b", "c"),
        ];
        let all: BTreeSet<String> =
            pairs.iter().map(|(service, variable)| source(service, variable)).collect();
        assert_eq!(all.len(), pairs.len(), "{all:?}");
        assert!(all.contains("CLAUDE_SECRETS_ENV_a_2d_b_to_C"));
        let is_name = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        assert!(all.iter().all(is_name));
    }
}
