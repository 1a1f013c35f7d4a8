//! Why Docker Compose failed, by what it printed last.

/// Of the last lines that Compose printed, those that say what went wrong: not its progress, which goes on for other
/// containers meanwhile, and no warnings.
pub fn what_failed(tail: &[String]) -> String {
    let is_warning = |line: &str| line.starts_with("time=") && line.contains(" level=warning ");
    // Its progress is indented, and what it says of an error is not (Compose v2.24 to v5.6).
    let errors: Vec<&str> = tail
        .iter()
        .map(String::as_str)
        .filter(|line| !line.trim().is_empty() && !line.starts_with(' ') && !is_warning(line))
        .collect();
    if !errors.is_empty() {
        return errors.join("\n");
    }
    tail.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::what_failed;

    #[test]
    fn what_failed_is_the_engines_error_and_not_the_progress_around_it() {
        for (said, expected) in [
            (
                " Container p-bad-1  Starting\nError response from daemon: no such file: unknown\n Container p-web-1  Started\n",
                "Error response from daemon: no such file: unknown",
            ),
            (
                "time=\"2026\" level=warning msg=\"x\"\n Network p_default  Removing\nfailed to remove network p_default: it has active endpoints\n",
                "failed to remove network p_default: it has active endpoints",
            ),
            (" Container p-web-1  Starting\n Container p-web-1  Error\n", "Container p-web-1  Error"),
            ("", ""),
        ] {
            let lines: Vec<String> = said.lines().map(str::to_owned).collect();
            assert_eq!(what_failed(&lines), expected);
        }
    }
}
