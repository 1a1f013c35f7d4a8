//! What a run must say plainly, beyond its result: the sentences themselves. Whoever knows that one is true adds it
//! with [`Report::note`](super::Report::note) or, where it asks for something, [`Report::warn`](super::Report::warn).

use super::model::Message;
use crate::secret::SecretName;

/// On a GitHub-hosted runner the machine, and the engine with it, ends with the job.
pub fn hosted_runner() -> String {
    "This is a GitHub-hosted runner: the stack dies with the job. To keep it running, run this job on a self-hosted \
     runner."
        .to_owned()
}

/// The secret of this name holds a `ghs_…` token: the job's own, or an app installation's, which expires likewise.
pub fn job_token(name: &SecretName) -> Message {
    Message::new(format!(
        "{name} holds a ghs_… token: the GITHUB_TOKEN of the job dies with it and is new in each run, so the services \
         lose access when the job ends, and every deployment recreates them"
    ))
    .hint(format!(
        "Deploy a bot token instead, e.g. `{name}: ${{{{ secrets.BOT_TOKEN }}}}` in the step's `env`, or \
         `{name} = env:BOT_TOKEN` in `secrets`."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_name_the_way_out() {
        let name = SecretName::parse("GITHUB_TOKEN").map_err(|e| e.to_string()).unwrap();
        let token = job_token(&name);
        assert!(token.text.starts_with("GITHUB_TOKEN holds a ghs_… token"), "{}", token.text);
        assert!(token.hint.unwrap().contains("`GITHUB_TOKEN: ${{ secrets.BOT_TOKEN }}`"));
        assert!(hosted_runner().contains("the stack dies with the job"));
    }
}
