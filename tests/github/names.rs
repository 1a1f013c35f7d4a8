//! The names that GitHub has beside those that are declared, as `validate` and `deploy` tell them.

use serde_json::json;

use crate::case::{Case, pull_request};
use crate::peers::issuer::Issuer;
use crate::peers::proxy::{Fault, Rule, Seen};

const TWO: &str = "secrets: { API_KEY: {}, DB_PASSWORD: {} }\nservices: { web: [API_KEY, DB_PASSWORD] }\n";

#[test]
fn a_step_that_lacks_secrets_is_told_the_lines_and_the_names_that_are_similar() {
    let case = Case::new(TWO).in_workflow("push", &json!({}));
    case.repository.has("actions/secrets", &["API_KEY", "DB_PASWORD", "OLD_TOKEN"]);
    let said = case.run(&["validate"]).expect(3);
    let told = said.warning("has API_KEY, and this step does not get it");
    assert!(told.contains("Add to the step:\nenv:\n  API_KEY: ${{ secrets.API_KEY }}"), "{told}");
    let told = said.warning("no secret DB_PASSWORD");
    assert!(told.contains("DB_PASSWORD: ${{ secrets.DB_PASWORD }}"), "{told}");
    assert!(said.notes().contains("OLD_TOKEN"), "{}", said.notes());
    assert!(said.log.contains("has 3 secrets and 0 variables"), "{}", said.log);
    assert_eq!(said.codes(), ["secrets-missing"]);
}

#[test]
fn a_secret_that_is_passed_and_not_there_arrives_empty() {
    let case = Case::new(TWO)
        .in_workflow("push", &json!({}))
        .variable("API_KEY", "")
        .variable("DB_PASSWORD", "canary-1");
    let said = case.run(&["validate"]).expect(3);
    let told = said.warning("API_KEY is passed and arrives empty");
    assert!(
        told.contains(&format!("`gh secret set API_KEY --repo {}`", case.repository.full_name())),
        "{told}"
    );
}

#[test]
fn all_levels_are_read_page_by_page_and_the_nearest_counts() {
    let case = Case::new(TWO).in_workflow("push", &json!({}));
    let many: Vec<String> = (0..1000).map(|number| format!("NAME_{number:03}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    // Names of environments hold anything.
    let environment = "production/eu 1?#";
    case.repository
        .has("actions/secrets", &many)
        .has("actions/secrets", &["API_KEY"])
        .has("actions/variables", &many[..100])
        .has("actions/organization-secrets", &["SHARED"])
        .has(&format!("environments/{environment}/secrets"), &["API_KEY", "DB_PASSWORD"]);
    let said = case.run(&["validate", "--environment", environment]).expect(3);
    let name = case.repository.full_name();
    assert!(said.log.contains(&format!("GitHub: {name} has 1001 secrets and 100 variables, the environment `{environment}` has 2 secrets and 0 variables, the organisation octo-org has 1 secret and 0 variables")), "{}", said.log);
    assert!(said.notes().contains("API_KEY: the environment"), "{}", said.notes());
    assert!(said.notes().contains("has 1000 secrets that nothing here declares"), "{}", said.notes());
    said.warning("has API_KEY, DB_PASSWORD, and this step does not get them");
    let asked = case.proxy.seen();
    let pages = |path: &str| asked.iter().filter(|seen| seen.path().ends_with(path)).count();
    assert_eq!((pages("/actions/secrets"), pages("/actions/variables")), (11, 4));
}

#[test]
fn dates_count_for_max_age_and_stand_in_the_report() {
    let case = Case::new(TWO)
        .in_workflow("push", &json!({}))
        .variable("API_KEY", "canary-Zq7-one")
        .variable("DB_PASSWORD", "canary-Zq7-two");
    case.repository
        .has_since("actions/secrets", "API_KEY", "2020-01-10T14:59:22Z")
        .has_since("environments/production/secrets", "DB_PASSWORD", "2020-03-01T00:00:00Z")
        .has_since("actions/secrets", "DB_PASSWORD", "2019-03-01T00:00:00Z");
    let said = case.run(&["validate", "--max-age", "90d", "--environment", "production"]).expect(0);
    said.warning("API_KEY was written on 2020-01-10");
    said.warning("DB_PASSWORD was written on 2020-03-01");
    assert_eq!(said.report["secrets"][0]["changed_at"], "2020-01-10T14:59:22Z");
    assert_eq!(said.report["secrets"][1]["changed_at"], "2020-03-01T00:00:00Z");
}

#[test]
fn the_environment_is_that_of_the_jobs_identity() {
    let issuer = Issuer::start_as_github();
    let with = |claim: serde_json::Value| {
        issuer.claim("environment", claim);
        let mut case = Case::new(TWO).in_workflow("push", &json!({}));
        for (name, value) in issuer.variables() {
            case = case.variable(&name, &value);
        }
        case.repository
            .has("environments/production/secrets", &["API_KEY"])
            .has("actions/secrets", &["DB_PASSWORD"]);
        case
    };
    let said = with("production".into()).run(&["validate"]).expect(3);
    let told = said.warning("has API_KEY, DB_PASSWORD, and this step does not get them");
    assert!(!told.contains("to the job"), "{told}");
    let said = with(serde_json::Value::Null).run(&["validate", "--environment", "production"]).expect(3);
    let told = said.warning("and this step does not get");
    assert!(told.contains("and to the job:\nenvironment: production"), "{told}");
}

#[test]
fn an_environment_that_is_not_there_is_suggested_or_noted() {
    let case = Case::new(TWO).in_workflow("push", &json!({}));
    case.repository.has_environment("production").has("actions/secrets", &["API_KEY"]);
    let said = case.run(&["validate", "--environment", "prodution"]).expect(3);
    assert!(said.notes().contains("no environment `prodution`"), "{}", said.notes());
    assert!(said.notes().contains("Did you mean `production`?"), "{}", said.notes());
}

#[test]
fn runs_of_forks_and_of_dependabot_are_explained_also_without_a_token() {
    let case = Case::new(TWO);
    let own = case.repository.full_name();
    let case = case.in_workflow("pull_request", &pull_request(7, "mona/fork", &own)).variable("API_KEY", "");
    let said = case.run_without_token(&["validate"]).expect(3);
    let told = said.warning("a pull request from a fork (mona/fork)");
    assert!(told.contains("`offline: true`"), "{told}");

    let case = Case::new(TWO);
    let own = case.repository.full_name();
    let case = case
        .in_workflow("pull_request", &pull_request(7, &own, &own))
        .variable("GITHUB_ACTOR", "dependabot[bot]")
        .variable("API_KEY", "");
    case.run_without_token(&["validate"]).expect(3).warning("was started by Dependabot");
    case.repository.has("actions/secrets", &["API_KEY"]).has("dependabot/secrets", &["DB_PASSWORD"]);
    let said = case.run(&["validate"]).expect(3);
    assert!(said.warning("API_KEY is passed and arrives empty").contains("--app dependabot"));
    said.warning("has DB_PASSWORD, and this step does not get it");
}

#[test]
fn a_persons_repository_has_no_organisation_and_some_servers_no_dependabot() {
    let case = Case::new(TWO).in_workflow("push", &json!({}));
    case.repository.has("actions/secrets", &["API_KEY"]);
    let is_missing =
        |seen: &Seen| seen.target.contains("/organization-") || seen.target.contains("/dependabot/");
    case.proxy.rule(Rule::always(Fault::status(404)).when(is_missing));
    let said = case.run(&["validate"]).expect(3);
    said.warning("has API_KEY, and this step does not get it");
    for told in [said.warnings().join("\n"), said.notes()] {
        assert!(!told.contains("organisation") && !told.contains("Dependabot"), "{told}");
    }
}

#[test]
fn a_deployment_is_warned_and_goes_on() {
    let manifest = "secrets: { API_KEY: {}, SENTRY_DSN: { required: false } }\nservices: { web: [API_KEY, SENTRY_DSN] }\n";
    let case = Case::new(manifest).in_workflow("push", &json!({})).variable("API_KEY", "canary-Zq7-one");
    case.repository.has("actions/secrets", &["API_KEY", "SENTRY_DSN"]);
    let said = case.run(&["deploy", "--delivery", "volume"]).expect(0);
    assert_eq!(said.report["result"], "deployed");
    assert!(said.warning("has SENTRY_DSN, and this step").contains("SENTRY_DSN: ${{ secrets.SENTRY_DSN }}"));
}

#[test]
fn on_the_command_line_the_checkouts_remote_is_the_repository() {
    let case = Case::new(TWO).variable("API_KEY", "canary-Zq7-one");
    case.repository.has("actions/secrets", &["API_KEY", "DB_PASSWORD"]);
    let git = |host: &str| {
        let url = format!("https://{host}/{}.git", case.repository.full_name());
        case.scene.write(".git/HEAD", "ref: refs/heads/main\n");
        case.scene.write(".git/config", format!("[remote \"origin\"]\n\turl = {url}\n"));
    };
    git("127.0.0.1");
    let said = case.run(&["validate"]).expect(3);
    let told = said.warning("has DB_PASSWORD, and this step does not get it");
    assert!(
        told.contains("In a workflow the step gets it so:\nenv:\n  DB_PASSWORD: ${{ secrets.DB_PASSWORD }}"),
        "{told}"
    );
    assert_eq!(
        said.report["secrets"][0]["changed_at"],
        serde_json::Value::Null,
        "who knows where this one is from"
    );
    case.proxy.clear();
    git("gitlab.example");
    let said = case.run(&["validate"]).expect(3);
    assert!(said.notes().contains("GitHub was not asked"), "{}", said.notes());
    assert!(case.proxy.seen().is_empty(), "the token went to a server of another host");
}

#[test]
fn a_token_that_is_exported_for_other_programs_is_taken_only_where_a_repository_is_named() {
    let case = Case::new("secrets: { API_KEY: {} }\nservices: { web: [API_KEY] }\n")
        .variable("API_KEY", "canary-Zq7-one");
    let token = case.token.0.clone();
    let case = case.variable("GH_TOKEN", &token);
    case.run_without_token(&["validate"]).expect(0);
    assert!(case.proxy.seen().is_empty());
    let name = case.repository.full_name();
    case.run_without_token(&["validate", "--repo", &name]).expect(0);
    let asked = case.proxy.seen();
    assert!(asked.iter().all(|seen| seen.header("authorization") == Some(&format!("Bearer {token}"))));
    assert!(asked.iter().all(|seen| seen.header("x-github-api-version") == Some("2022-11-28")));
    assert!(asked.len() > 4);
}
