//! The subject of a workflow's identity token, which GitHub writes in two forms: `repo:OWNER/REPOSITORY:…`, and since
//! 2026-07-15, for repositories that are new, renamed or transferred, `repo:OWNER@ID/REPOSITORY@ID:…` (docs.github.com, "OpenID
//! Connect reference", "Immutable subject claims"). A policy for one form does not match the other.

use crate::secret::SecretValue;

use super::identity::claim;

/// A hint for a token that was refused for its subject: the same subject in GitHub's other form, which the policy may have.
/// Nothing if the token does not have the claims for it.
pub(super) fn other_form_said(token: &SecretValue) -> Option<String> {
    let subject = claim(token, "sub")?;
    if let Some(by_names) = without_ids(&subject) {
        return Some(format!(
            "The subject contains the IDs of owner and repository, as for every repository that was created, renamed or transferred since 2026-07-15. A policy that was written for names only does not match it; the policy may have `{by_names}`."
        ));
    }
    let (owner, repository) = (claim(token, "repository_owner_id")?, claim(token, "repository_id")?);
    let by_ids = with_ids(&subject, &owner, &repository)?;
    Some(format!(
        "The subject contains only names, as for repositories from before 2026-07-15. A policy with the IDs of owner and repository does not match it; the policy may have `{by_ids}`."
    ))
}

/// `repo:OWNER/REPOSITORY:…` of `repo:OWNER@ID/REPOSITORY@ID:…`. `@` is in no name (ibidem).
fn without_ids(subject: &str) -> Option<String> {
    let (owner, repository, rest) = parts(subject)?;
    let (owner, _) = owner.split_once('@')?;
    let (repository, _) = repository.split_once('@')?;
    Some(format!("repo:{owner}/{repository}{rest}"))
}

/// The reverse.
fn with_ids(subject: &str, owner_id: &str, repository_id: &str) -> Option<String> {
    let (owner, repository, rest) = parts(subject)?;
    Some(format!("repo:{owner}@{owner_id}/{repository}@{repository_id}{rest}"))
}

/// Owner, repository, and what follows with its colon.
fn parts(subject: &str) -> Option<(&str, &str, &str)> {
    let (owner, after) = subject.strip_prefix("repo:")?.split_once('/')?;
    let end = after.find(':')?;
    Some((owner, &after[..end], &after[end..]))
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;

    fn said(claims: &str) -> Option<String> {
        let text = format!("e30.{}.canary", BASE64URL_NOPAD.encode(claims.as_bytes()));
        other_form_said(&SecretValue::new(text.into_bytes()))
    }

    #[test]
    fn each_form_is_told_with_the_other() {
        let by_ids = said(r#"{"sub":"repo:o@1/r@2:environment:a@b"}"#).unwrap();
        assert!(by_ids.ends_with("the policy may have `repo:o/r:environment:a@b`."), "{by_ids}");
        let by_names =
            said(r#"{"sub":"repo:o/r:ref:refs/heads/x","repository_id":"2","repository_owner_id":"1"}"#);
        let by_names = by_names.unwrap();
        assert!(by_names.ends_with("the policy may have `repo:o@1/r@2:ref:refs/heads/x`."), "{by_names}");
    }

    #[test]
    fn of_other_subjects_nothing_is_guessed() {
        for claims in [
            r#"{"sub":"repo:o/r:pull_request"}"#,
            r#"{"sub":"system:serviceaccount:x:y","repository_id":"2","repository_owner_id":"1"}"#,
            r#"{"sub":"repository_owner:o","repository_id":"2","repository_owner_id":"1"}"#,
            "{}",
            "no JSON",
        ] {
            assert_eq!(said(claims), None, "{claims}");
        }
    }
}
