//! What a run must say plainly, beyond its result: the sentences themselves. Whoever knows that one is true adds it
//! with [`Report::note`](super::Report::note).

/// On a GitHub-hosted runner the machine, and the engine with it, ends with the job.
pub fn hosted_runner() -> String {
    "This is a GitHub-hosted runner: the stack dies with the job. To keep it running, run this job on a self-hosted \
     runner."
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_name_the_way_out() {
        assert!(hosted_runner().contains("the stack dies with the job"));
    }
}
