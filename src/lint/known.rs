//! Rules about kinds of secrets that are recognized by their beginning.

use data_encoding::{BASE64, BASE64_NOPAD};
use zeroize::Zeroizing;

use super::{Said, Subject};

/// How values of well-known names begin. A name also counts as the end of another one (`BOT_GITHUB_TOKEN`).
///
/// Sources: the issuers' documentation and GitHub's list of supported secret scanning patterns
/// (docs.github.com/code-security/secret-scanning/introduction/supported-secret-scanning-patterns).
const KINDS: &[(&str, &[&str])] = &[
    ("ANTHROPIC_API_KEY", &["sk-ant-"]),
    ("CLAUDE_API_KEY", &["sk-ant-"]),
    ("OPENAI_API_KEY", &["sk-"]),
    ("GITHUB_TOKEN", &["ghp_", "github_pat_", "gho_", "ghu_", "ghs_", "ghr_"]),
    ("GH_TOKEN", &["ghp_", "github_pat_", "gho_", "ghu_", "ghs_", "ghr_"]),
    ("GITLAB_TOKEN", &["glpat-", "gldt-", "glcbt-", "glptt-", "glagent-", "gloas-"]),
    ("AWS_ACCESS_KEY_ID", &["AKIA", "ASIA"]),
    ("SLACK_BOT_TOKEN", &["xoxb-", "xoxe.xoxb-"]),
    ("SLACK_APP_TOKEN", &["xapp-"]),
    ("STRIPE_SECRET_KEY", &["sk_live_", "sk_test_", "rk_live_", "rk_test_"]),
    ("SENDGRID_API_KEY", &["SG."]),
    ("HF_TOKEN", &["hf_"]),
    ("NPM_TOKEN", &["npm_"]),
    ("PYPI_API_TOKEN", &["pypi-"]),
    ("DOCKERHUB_TOKEN", &["dckr_pat_", "dckr_oat_"]),
];

/// Whether a text begins as the value of any well-known kind does. Beginnings that other words have, too, do not count.
pub fn begins_as_a_secret(text: &str) -> bool {
    let starts = KINDS.iter().flat_map(|(_, starts)| *starts);
    starts.filter(|start| start.len() > 3).any(|start| text.starts_with(start))
}

/// What a token of the job itself starts with.
const JOB_TOKEN: &[u8] = b"ghs_";

pub(super) fn wrong_kind(subject: &Subject<'_>) -> Option<Said> {
    let starts = starts(subject)?;
    let text = subject.text?;
    if text.is_empty() || starts.iter().any(|start| text.starts_with(start)) {
        return None;
    }
    let shown: Vec<String> = starts.iter().map(|start| format!("`{start}`")).collect();
    let name = subject.name();
    Some(Said::new(
        "wrong-kind",
        format!("does not start like a value of that name ({})", shown.join(", ")),
        format!(
            "Check whether it is the value of another secret. If it is correct, set `starts-with` or `matches` for {name} in the manifest."
        ),
    ))
}

pub(super) fn encoded(subject: &Subject<'_>) -> Option<Said> {
    let starts = starts(subject).unwrap_or_default();
    let text =
        subject.text.filter(|text| text.len() >= 8 && !starts.iter().any(|start| text.starts_with(start)))?;
    let packed: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    let decoder = if packed.len().is_multiple_of(4) { &BASE64 } else { &BASE64_NOPAD };
    let inner = Zeroizing::new(decoder.decode(packed.as_bytes()).ok()?);
    let is_meant =
        inner.starts_with(b"-----BEGIN ") || starts.iter().any(|start| inner.starts_with(start.as_bytes()));
    is_meant.then(|| {
        Said::new(
            "encoded",
            "is the expected value encoded as base64",
            format!("Store it decoded, or set `encoding: base64` for {} in the manifest.", subject.name()),
        )
    })
}

pub(super) fn dies_with_job(subject: &Subject<'_>) -> Option<Said> {
    let name = subject.name();
    subject.bytes.starts_with(JOB_TOKEN).then(|| {
        Said::new(
            "dies-with-job",
            "is a ghs_… token: the job's GITHUB_TOKEN becomes invalid when the job ends and is new in each run, so the services lose access, and every deployment recreates them",
            format!("Deploy a bot token instead, e.g. `{name}: ${{{{ secrets.BOT_TOKEN }}}}` in the step's `env`, or `{name} = env:BOT_TOKEN` in `secrets`."),
        )
    })
}

/// How values of the secret's name begin; `None` if that is unknown, or the manifest defines it.
fn starts(subject: &Subject<'_>) -> Option<&'static [&'static str]> {
    let name = subject.name();
    let is_kind =
        |kind: &str| name.strip_suffix(kind).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'));
    let (_, starts) = KINDS.iter().find(|(kind, _)| is_kind(kind)).filter(|_| !subject.is_described())?;
    Some(starts)
}
