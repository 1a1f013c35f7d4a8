//! What a run's report says: log, job summary, outputs and JSON, for runs that go well and runs that do not.
// The lints' exception for tests does not reach functions that tests share.
#![allow(clippy::panic)]

use claude_secrets::diagnostic::Diagnostic;
use claude_secrets::error::{Code, Error};
use claude_secrets::report::plan::{
    FileChange, ImageAction, Origin, Plan, PlannedFile, PlannedImage, PlannedSecret, PlannedService,
    PlannedVolume, SecretChange, ServiceAction, TakenVariable, Tense, VolumeChange, VolumeKind, lines,
    markdown,
};
use claude_secrets::report::{
    DeliveryRow, DriftKind, DriftRow, Outcome, Report, SecretRow, SecretState, ServiceRow, ServiceState,
    Shadowed, SourceRow, StageTime, WaitRow, WaitedFor, Waits, json, log, notes, outputs, summary,
};
use claude_secrets::secret::SecretName;

fn name(text: &str) -> SecretName {
    let Ok(name) = SecretName::parse(text) else { panic!("{text} is no secret name") };
    name
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn found(secret: &str, source: &str, reference: &str, services: &[&str]) -> SecretRow {
    SecretRow {
        state: SecretState::Found,
        source: Some(source.to_owned()),
        reference: Some(format!("{source}:{reference}")),
        services: words(services),
        ..SecretRow::new(&name(secret))
    }
}

fn service(service: &str, state: ServiceState, secrets: &[&str]) -> ServiceRow {
    ServiceRow { state, secrets: words(secrets), ..ServiceRow::new(service) }
}

/// A deployment that changed one secret.
fn success() -> Report {
    let key = found("ANTHROPIC_API_KEY", "vault", "secret/claude-bot/anthropic#key", &["bot", "worker-a"]);
    let token = found("GITHUB_TOKEN", "env", "BOT_TOKEN", &["bot"]);
    let author = SecretRow {
        state: SecretState::Default,
        services: words(&["bot"]),
        sensitive: false,
        ..SecretRow::new(&name("GIT_AUTHOR_NAME"))
    };
    let optional = SecretRow { state: SecretState::Absent, ..SecretRow::new(&name("SENTRY_DSN")) };
    let mut report = Report {
        result: Outcome::Deployed,
        project: Some("claude-bot".into()),
        environment: Some("production".into()),
        delivery: Some(DeliveryRow {
            kind: "volume".into(),
            reason: "chosen by `auto`, since the engine outlives the workspace".into(),
        }),
        secrets: vec![key, token, author, optional],
        services: vec![
            service(
                "bot",
                ServiceState::Unchanged,
                &["ANTHROPIC_API_KEY", "GITHUB_TOKEN", "GIT_AUTHOR_NAME"],
            ),
            ServiceRow {
                user: Some("1000:1000".into()),
                ..service("worker-a", ServiceState::Recreated, &["ANTHROPIC_API_KEY"])
            },
        ],
        changed: words(&["ANTHROPIC_API_KEY"]),
        recreated: words(&["worker-a"]),
        waits: Some(Waits {
            stable_for: 3000,
            milliseconds: 2900,
            services: vec![WaitRow {
                service: "worker-a".into(),
                waited_for: WaitedFor::StaysUp,
                milliseconds: 2850,
            }],
        }),
        override_file: Some("/srv/bot/docker-compose.secrets.yml".into()),
        secrets_dir: Some("/srv/bot/data/secrets".into()),
        report_file: Some("/srv/bot/report.json".into()),
        stages: [("resolution", 412), ("deployment", 3120)]
            .map(|(name, milliseconds)| StageTime { name: name.into(), milliseconds })
            .into(),
        tool: "claude-secrets 1.2.3".into(),
        ..Report::new("deploy")
    };
    report.note(notes::hosted_runner());
    report
}

/// Fifteen secrets, none of them anywhere.
fn failure() -> Report {
    let names: Vec<SecretName> = (1..=15).map(|n| name(&format!("KEY_{n}"))).collect();
    let error = Error::new(Code::SecretsMissing, "15 required secrets were found in no source")
        .problems(
            (names.iter())
                .map(|name| {
                    Diagnostic::new(format!("{name}: looked for in env:{name}, dotenv:{name}"))
                        .help(format!("Set `{name}` in the step's `env`."))
                })
                .collect(),
        )
        .help("Let a secret be optional with `?` after its name.");
    let mut report = Report {
        secrets: names.iter().map(SecretRow::new).collect(),
        missing: names.iter().map(|name| name.as_str().to_owned()).collect(),
        tool: "claude-secrets 1.2.3".into(),
        ..Report::new("deploy")
    };
    report.fail(&error);
    report
}

/// A source above the winner failed and was let pass; the value below it is another one.
fn degraded() -> Report {
    let mut key = found("ANTHROPIC_API_KEY", "env", "ANTHROPIC_API_KEY", &["bot"]);
    key.shadowed = [("dotenv", true), ("github", false)]
        .map(|(id, differs)| Shadowed { source: id.into(), differs })
        .into();
    let mut report = Report {
        result: Outcome::Unchanged,
        degraded: true,
        secrets: vec![key],
        services: vec![service("bot", ServiceState::Unchanged, &["ANTHROPIC_API_KEY"])],
        tool: "claude-secrets 1.2.3".into(),
        ..Report::new("deploy")
    };
    report.warn(
        Diagnostic::new("vault could not be read: the connection was refused").help("Check `vault-addr`."),
    );
    report
}

fn empty() -> Report {
    Report { tool: "claude-secrets 1.2.3".into(), ..Report::default() }
}

fn lines_of_outputs(report: &Report) -> String {
    let lines: Vec<String> =
        outputs::outputs(report).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.join("\n")
}

#[test]
fn a_success_in_the_summary() {
    insta::assert_snapshot!(summary::markdown(&success()), @r#"
    ## ✅ claude-secrets: deployed

    **Project** `claude-bot` · **Environment** `production` · **Mode** `deploy`

    deployed: 2 services, 2 secrets from 2 sources, 1 default, 1 optional one absent; recreated worker-a

    ### Secrets

    | Secret | Source | Services | State |
    |---|---|---|---|
    | `ANTHROPIC_API_KEY` | `vault:secret/claude-bot/anthropic#key` | `bot`, `worker-a` | found, **changed** |
    | `GITHUB_TOKEN` | `env:BOT_TOKEN` | `bot` | found |
    | `GIT_AUTHOR_NAME` | – | `bot` | default, not masked |
    | `SENTRY_DSN` | – | – | absent, optional |

    ### Services

    | Service | State | Reads as | Secrets |
    |---|---|---|---|
    | `bot` | unchanged | – | `ANTHROPIC_API_KEY`, `GITHUB_TOKEN`, `GIT_AUTHOR_NAME` |
    | `worker-a` | recreated | `1000:1000` | `ANTHROPIC_API_KEY` |

    ```mermaid
    flowchart LR
      n0[("vault")]
      n1["ANTHROPIC_API_KEY"]
      n2(["bot"])
      n3(["worker-a"])
      n4[("env")]
      n5["GITHUB_TOKEN"]
      n6[("default")]
      n7["GIT_AUTHOR_NAME"]
      n0 --> n1
      n1 --> n2
      n1 --> n3
      n4 --> n5
      n5 --> n2
      n6 --> n7
      n7 --> n2
    ```

    **Delivery** `volume`: chosen by `auto`, since the engine outlives the workspace

    **Health** waited 2.9 s: worker-a to stay up (2.8 s, stable-for 3.0 s)

    - This is a GitHub-hosted runner: the stack dies with the job. To keep it running, run this job on a self-hosted runner.

    <sub>Override file `/srv/bot/docker-compose.secrets.yml` · Secret files `/srv/bot/data/secrets` · JSON report `/srv/bot/report.json` · took 3.5 s: resolution 412 ms, deployment 3.1 s · claude-secrets 1.2.3</sub>
    "#);
}

#[test]
fn a_success_in_the_log() {
    insta::assert_snapshot!(log::table(&success(), log::WIDTH).join("\n"), @r#"
    SECRET             STATE    SOURCE                                 SERVICES
    ANTHROPIC_API_KEY  found    vault:secret/claude-bot/anthropic#key  bot, worker-a
    GITHUB_TOKEN       found    env:BOT_TOKEN                          bot
    GIT_AUTHOR_NAME    default  -                                      bot
    SENTRY_DSN         absent   -                                      -

    SERVICE   STATE      USER       SECRETS
    bot       unchanged  -          ANTHROPIC_API_KEY, GITHUB_TOKEN, GIT_AUTHOR_NAME
    worker-a  recreated  1000:1000  ANTHROPIC_API_KEY

    delivery: volume (chosen by `auto`, since the engine outlives the workspace)
    waited 2.9 s: worker-a to stay up (2.8 s, stable-for 3.0 s)
    took 3.5 s: resolution 412 ms, deployment 3.1 s
    deployed: 2 services, 2 secrets from 2 sources, 1 default, 1 optional one absent; recreated worker-a
    "#);
}

#[test]
fn a_success_in_the_outputs() {
    insta::assert_snapshot!(lines_of_outputs(&success()), @r#"
    result=deployed
    error-code=
    resolved={"ANTHROPIC_API_KEY":"vault","GITHUB_TOKEN":"env","GIT_AUTHOR_NAME":"default"}
    missing=[]
    changed=["ANTHROPIC_API_KEY"]
    recreated=["worker-a"]
    degraded=false
    override-file=/srv/bot/docker-compose.secrets.yml
    secrets-dir=/srv/bot/data/secrets
    report=/srv/bot/report.json
    "#);
}

#[test]
fn a_failure_with_fifteen_problems_in_the_summary() {
    let summary = summary::markdown(&failure());
    assert_eq!(summary.matches("**Fix:** Set `KEY_").count(), 15, "the summary rolls nothing up");
    let head: Vec<&str> = summary.lines().take(7).collect();
    insta::assert_snapshot!(head.join("\n"), @r#"
    ## ❌ claude-secrets: failed

    **Mode** `deploy`

    **Error** `secrets-missing`: 15 required secrets were found in no source

    - KEY_1: looked for in env:KEY_1, dotenv:KEY_1<br>**Fix:** Set `KEY_1` in the step's `env`.
    "#);
}

#[test]
fn a_failure_with_fifteen_problems_in_the_log() {
    let lines = log::table(&failure(), log::WIDTH);
    assert_eq!(lines.iter().filter(|line| line.contains("missing")).count(), 17);
    insta::assert_snapshot!(lines.last().unwrap(), @"failed (secrets-missing)");
}

#[test]
fn a_failure_with_fifteen_problems_in_ten_annotations() {
    let annotations = log::annotations(&log::error_messages(failure().error.as_ref().unwrap()));
    assert_eq!(annotations.len(), 10);
    insta::assert_snapshot!(annotations[9].fact, @r#"
    and 7 more:
    - KEY_9: looked for in env:KEY_9, dotenv:KEY_9
    - KEY_10: looked for in env:KEY_10, dotenv:KEY_10
    - KEY_11: looked for in env:KEY_11, dotenv:KEY_11
    - KEY_12: looked for in env:KEY_12, dotenv:KEY_12
    - KEY_13: looked for in env:KEY_13, dotenv:KEY_13
    - KEY_14: looked for in env:KEY_14, dotenv:KEY_14
    - KEY_15: looked for in env:KEY_15, dotenv:KEY_15
    "#);
}

#[test]
fn a_failure_in_the_outputs() {
    insta::assert_snapshot!(lines_of_outputs(&failure()), @r#"
    result=failed
    error-code=secrets-missing
    resolved={}
    missing=["KEY_1","KEY_2","KEY_3","KEY_4","KEY_5","KEY_6","KEY_7","KEY_8","KEY_9","KEY_10","KEY_11","KEY_12","KEY_13","KEY_14","KEY_15"]
    changed=[]
    recreated=[]
    degraded=false
    override-file=
    secrets-dir=
    report=
    "#);
}

#[test]
fn a_degraded_run_in_the_summary() {
    insta::assert_snapshot!(summary::markdown(&degraded()), @r#"
    ## ⚠️ claude-secrets: unchanged, degraded

    **Mode** `deploy`

    unchanged, degraded: 1 service, 1 secret from 1 source; nothing was restarted

    **⚠️ Degraded**: `on-missing` or `on-source-error` let something pass that would otherwise have ended this run. The warnings say what.

    ### Warnings

    - vault could not be read: the connection was refused<br>**Fix:** Check `vault-addr`.

    ### Secrets

    | Secret | Source | Services | State |
    |---|---|---|---|
    | `ANTHROPIC_API_KEY` | `env:ANTHROPIC_API_KEY`<br>shadows `dotenv` (**differs**), `github` (same) | `bot` | found |

    **differs**: a source that lost holds another value than the one that won, so one of the two is stale.

    ### Services

    | Service | State | Reads as | Secrets |
    |---|---|---|---|
    | `bot` | unchanged | – | `ANTHROPIC_API_KEY` |

    ```mermaid
    flowchart LR
      n0[("env")]
      n1["ANTHROPIC_API_KEY"]
      n2[("dotenv")]
      n3[("github")]
      n4(["bot"])
      n0 --> n1
      n2 -.-> n1
      n3 -.-> n1
      n1 --> n4
    ```

    <sub>claude-secrets 1.2.3</sub>
    "#);
}

#[test]
fn a_degraded_run_in_the_log() {
    insta::assert_snapshot!(log::table(&degraded(), log::WIDTH).join("\n"), @r#"
    SECRET             STATE  SOURCE                     SERVICES
    ANTHROPIC_API_KEY  found  env:ANTHROPIC_API_KEY (!)  bot

    SERVICE  STATE      USER  SECRETS
    bot      unchanged  -     ANTHROPIC_API_KEY

    (!) a source that lost holds another value than the one that won
    unchanged, degraded: 1 service, 1 secret from 1 source; nothing was restarted
    "#);
}

#[test]
fn a_degraded_run_in_the_outputs() {
    insta::assert_snapshot!(lines_of_outputs(&degraded()), @r#"
    result=unchanged
    error-code=
    resolved={"ANTHROPIC_API_KEY":"env"}
    missing=[]
    changed=[]
    recreated=[]
    degraded=true
    override-file=
    secrets-dir=
    report=
    "#);
}

#[test]
fn a_run_that_did_nothing_in_the_summary() {
    insta::assert_snapshot!(summary::markdown(&empty()), @r#"
    ## ❌ claude-secrets: failed

    failed: the run stopped before its end

    <sub>claude-secrets 1.2.3</sub>
    "#);
}

#[test]
fn a_run_that_did_nothing_in_the_log() {
    insta::assert_snapshot!(log::table(&empty(), log::WIDTH).join("\n"), @"failed: the run stopped before its end");
}

#[test]
fn a_run_that_did_nothing_in_the_outputs() {
    insta::assert_snapshot!(lines_of_outputs(&empty()), @r#"
    result=failed
    error-code=
    resolved={}
    missing=[]
    changed=[]
    recreated=[]
    degraded=false
    override-file=
    secrets-dir=
    report=
    "#);
}

const HOSTILE: &str =
    "a|b`c<script>alert(1)</script>\n::error::d @octocat [x](https://example.com) \u{202e}\"]; ##[e]";

/// A plan of the same kind.
fn hostile_plan() -> Plan {
    Plan {
        secrets: vec![PlannedSecret {
            origin: Some(origin(HOSTILE, HOSTILE, Some(HOSTILE))),
            changed_for: words(&[HOSTILE]),
            ..planned_secret(HOSTILE, SecretChange::Changed)
        }],
        services: vec![planned_service(HOSTILE, ServiceAction::Recreate, Some(HOSTILE))],
        variables: vec![TakenVariable { service: HOSTILE.into(), name: HOSTILE.into(), why: HOSTILE.into() }],
        files: vec![PlannedFile { path: HOSTILE.into(), change: FileChange::Write, is_certain: true }],
        ..Plan::default()
    }
    .told()
}

/// A report in which everything that comes from elsewhere is hostile.
fn hostile() -> Report {
    let mut key = found("KEY", HOSTILE, HOSTILE, &[HOSTILE]);
    key.shadowed.push(Shadowed { source: HOSTILE.into(), differs: true });
    let mut report = Report {
        project: Some(HOSTILE.into()),
        environment: Some(HOSTILE.into()),
        delivery: Some(DeliveryRow { kind: HOSTILE.into(), reason: HOSTILE.into() }),
        secrets: vec![key],
        services: vec![ServiceRow {
            detail: Some(HOSTILE.into()),
            user: Some(HOSTILE.into()),
            ..service(HOSTILE, ServiceState::Exited, &["KEY"])
        }],
        recreated: words(&[HOSTILE]),
        plan: Some(hostile_plan()),
        drift: vec![DriftRow {
            kind: DriftKind::Added,
            service: Some(HOSTILE.into()),
            detail: HOSTILE.into(),
        }],
        override_file: Some(HOSTILE.into()),
        stages: vec![StageTime { name: HOSTILE.into(), milliseconds: 1 }],
        ..Report::new("deploy")
    };
    report.warn(Diagnostic::new(HOSTILE).help(HOSTILE));
    report.note(HOSTILE);
    report.fail(
        &Error::new(Code::DeployFailed, HOSTILE)
            .problems(vec![Diagnostic::new(HOSTILE).help(HOSTILE)])
            .help(HOSTILE),
    );
    report
}

#[test]
fn hostile_names_mean_nothing_in_the_summary() {
    let summary = summary::markdown(&hostile());
    for bad in ["<script", "</script", "@octocat", "](http", "\u{202e}", "\n::", "\n##["] {
        assert!(!summary.contains(bad), "{bad:?} in\n{summary}");
    }
    // A cell that is left early gives its row another number of unescaped bars.
    for (head, columns) in [
        ("| Secret | Source", 4),
        ("| Service | State", 4),
        ("| Secret | What", 2),
        ("| Service | What", 2),
        ("| Service | Drift", 3),
        ("| Variable that", 3),
    ] {
        let rows =
            summary.lines().skip_while(|line| !line.starts_with(head)).take_while(|line| !line.is_empty());
        for row in rows {
            assert_eq!(row.replace("\\|", "").matches('|').count(), columns + 1, "{row}");
        }
    }
    let picture: Vec<&str> =
        summary.lines().skip_while(|line| *line != "```mermaid").take_while(|line| *line != "```").collect();
    assert!(picture.len() > 5, "{summary}");
    for node in picture.iter().filter(|line| line.contains('"')) {
        assert_eq!(node.matches('"').count(), 2, "{node}");
        assert!(!node.contains(['<', '>', '`', '|']), "{node}");
    }
    assert_eq!(
        summary.lines().filter(|line| line.contains("```")).count(),
        2,
        "one fence, opened and closed"
    );
}

#[test]
fn hostile_names_make_no_line_and_no_command_in_the_log() {
    let report = hostile();
    let lines = log::table(&report, log::WIDTH);
    for line in lines.iter().chain(&self::lines(&hostile_plan(), Tense::Would)) {
        assert!(!line.contains('\n') && !line.contains('\u{202e}') && !line.contains("##["), "{line:?}");
        assert!(!line.trim_start().starts_with("::"), "{line:?}");
    }
    let mut starts = Report::default();
    starts.services.push(service("::error::x", ServiceState::Created, &[]));
    starts.secrets.push(found("A", "env", "A", &["::error::x"]));
    assert!(log::table(&starts, log::WIDTH).iter().all(|line| !line.trim_start().starts_with("::")));
}

#[test]
fn hostile_names_stay_whole_in_json() {
    let report: serde_json::Value = serde_json::from_str(&json::to_string(&hostile()).unwrap()).unwrap();
    assert_eq!(report["services"][0]["name"], HOSTILE);
}

/// Run with `UPDATE_DOCS=1` to write the schema anew.
#[test]
fn the_published_schema_is_the_one_of_the_types() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/report.schema.json");
    let made = serde_json::to_string_pretty(&json::schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        published == made,
        "docs/report.schema.json is behind the types: run the tests with UPDATE_DOCS=1"
    );
}

#[test]
fn the_json_report_tells_what_the_outputs_tell() {
    let report: serde_json::Value = serde_json::from_str(&json::to_string(&success()).unwrap()).unwrap();
    assert_eq!(report["version"], 1);
    assert_eq!(report["result"], "deployed");
    assert_eq!(report["secrets"][0]["state"], "found");
    assert_eq!(report["secrets"][0]["reference"], "vault:secret/claude-bot/anthropic#key");
    assert_eq!(report["services"][0]["state"], "unchanged");
    assert_eq!(report["error"], serde_json::Value::Null);
}

fn origin(source: &str, reference: &str, version: Option<&str>) -> Origin {
    let reference = Some(format!("{source}:{reference}"));
    Origin { source: source.to_owned(), reference, version: version.map(str::to_owned) }
}

fn planned_secret(name: &str, change: SecretChange) -> PlannedSecret {
    PlannedSecret {
        name: name.to_owned(),
        change,
        origin: None,
        before: None,
        changed_for: Vec::new(),
        gained: Vec::new(),
        lost: Vec::new(),
    }
}

fn planned_service(name: &str, action: ServiceAction, why: Option<&str>) -> PlannedService {
    PlannedService { name: name.to_owned(), action, why: why.map(str::to_owned), if_image_changes: false }
}

/// A plan with something of every kind.
fn plan() -> Plan {
    let vault = || origin("vault", "secret/shop/api#key", Some("4"));
    Plan {
        secrets: vec![
            PlannedSecret {
                origin: Some(vault()),
                before: Some(origin("vault", "secret/shop/api#key", Some("3"))),
                changed_for: words(&["web"]),
                ..planned_secret("API_KEY", SecretChange::Changed)
            },
            PlannedSecret {
                origin: Some(vault()),
                before: Some(origin("env", "DB_PASSWORD", None)),
                ..planned_secret("DB_PASSWORD", SecretChange::Moved)
            },
            PlannedSecret {
                origin: Some(origin("dotenv", "NEW_KEY", None)),
                gained: words(&["worker"]),
                ..planned_secret("NEW_KEY", SecretChange::New)
            },
            PlannedSecret {
                changed_for: words(&["worker", "web"]),
                ..planned_secret("OPEN_KEY", SecretChange::Uncertain)
            },
            PlannedSecret {
                before: Some(origin("env", "OLD_TOKEN", None)),
                lost: words(&["web"]),
                ..planned_secret("OLD_TOKEN", SecretChange::Gone)
            },
            PlannedSecret { lost: words(&["worker"]), ..planned_secret("SHARED", SecretChange::Unchanged) },
            planned_secret("SAME", SecretChange::Unchanged),
        ],
        services: vec![
            planned_service("web", ServiceAction::Recreate, Some("its secrets changed")),
            planned_service("worker", ServiceAction::Create, Some("it has no container")),
            planned_service("db", ServiceAction::Keep, None),
            PlannedService { if_image_changes: true, ..planned_service("cache", ServiceAction::Keep, None) },
            planned_service("extra", ServiceAction::Stale, None),
            planned_service("gone", ServiceAction::Orphan, None),
        ],
        variables: vec![TakenVariable {
            service: "worker".into(),
            name: "API_KEY".into(),
            why: "the service is not granted API_KEY".into(),
        }],
        files: [
            ("data/secrets/api_key", FileChange::Replace, false),
            ("docker-compose.secrets.yml", FileChange::Write, true),
        ]
        .map(|(path, change, is_certain)| PlannedFile { path: path.into(), change, is_certain })
        .into(),
        volumes: vec![
            PlannedVolume {
                name: None,
                kind: VolumeKind::Secrets,
                service: Some("web".into()),
                change: VolumeChange::Create,
            },
            PlannedVolume {
                name: Some("shop_secrets_web_0011".into()),
                kind: VolumeKind::Secrets,
                service: Some("web".into()),
                change: VolumeChange::Remove,
            },
        ],
        images: vec![PlannedImage {
            name: "ghcr.io/example/shop:v2".into(),
            action: ImageAction::Pull,
            services: words(&["cache"]),
            is_there: true,
        }],
        ..Plan::default()
    }
    .told()
}

#[test]
fn a_plan_is_told_in_the_log_before_and_after() {
    insta::assert_snapshot!("plan_in_the_log", lines(&plan(), Tense::Would).join("\n"));
    insta::assert_snapshot!("plan_in_the_log_afterwards", lines(&plan(), Tense::Did).join("\n"));
    let none = Plan::default().told();
    assert_eq!(lines(&none, Tense::Would), ["nothing would be restarted, written or removed"]);
}

#[test]
fn a_plan_is_told_in_markdown_and_json() {
    insta::assert_snapshot!("plan_in_markdown", markdown(&plan(), Tense::Would));
    insta::assert_snapshot!("plan_in_json", serde_json::to_string_pretty(&plan()).unwrap());
}

#[test]
fn a_summary_begins_with_what_changed_and_that_of_an_unchanged_project_does_not() {
    let deployed = summary::markdown(&Report { plan: Some(plan()), ..success() });
    let at = |part: &str| deployed.find(part).unwrap_or_else(|| panic!("{part} in {deployed}"));
    assert!(at("### What changed") < at("### Secrets") && at("**recreated**") < at("### Secrets"));
    let validated = summary::markdown(&Report {
        plan: Some(plan()),
        result: Outcome::Validated,
        ..Report::new("validate")
    });
    assert!(validated.contains("### What a deployment would change\n\n**"), "{validated}");
    let unchanged =
        summary::markdown(&Report { plan: Some(plan()), result: Outcome::Unchanged, ..success() });
    assert!(!unchanged.contains("What changed"), "{unchanged}");
}

/// Two hundred secrets with long names, a few of which are worth a look.
fn two_hundred() -> Report {
    let services: Vec<String> = (0..12).map(|n| format!("service-{n:02}")).collect();
    let services: Vec<&str> = services.iter().map(String::as_str).collect();
    let secrets = (0..200).map(|n| {
        let (source, path) = if n % 3 == 0 { ("env", "") } else { ("vault", "secret/some/longer/path/") };
        let name = format!("SECRET_WITH_A_RATHER_LONG_NAME_{n:03}");
        let mut row =
            found(&name, source, &format!("{path}{}#value", name.to_lowercase()), &services[..=n % 12]);
        if n == 150 {
            row.state = SecretState::Missing;
        }
        row
    });
    Report {
        secrets: secrets.collect(),
        changed: words(&["SECRET_WITH_A_RATHER_LONG_NAME_199"]),
        sources: [("vault", 133, 133, 140, 812), ("env", 67, 66, 0, 1)]
            .map(|(id, asked, found, calls, milliseconds)| SourceRow {
                id: id.into(),
                asked,
                found,
                calls,
                milliseconds,
            })
            .into(),
        ..success()
    }
}

#[test]
fn two_hundred_secrets_are_readable_at_eighty_columns() {
    let lines = log::table(&two_hundred(), 80);
    insta::assert_snapshot!("two_hundred_secrets_at_80_columns", lines.join("\n"));
    let table = lines.iter().take_while(|line| !line.starts_with("delivery"));
    assert!(table.clone().all(|line| line.chars().count() <= 80), "{lines:#?}");
    assert!(table.count() < 60);
    for looked_for in ["NAME_150", "NAME_199", "… and 160 more of the secrets"] {
        let number = looked_for.trim_start_matches("NAME_");
        assert!(lines.iter().any(|line| line.contains(number)), "{looked_for}: {lines:#?}");
    }
    // The summary has the sources, too.
    let summary = summary::markdown(&two_hundred());
    assert!(summary.contains("| `vault` | 133 of 133 | 140 | 812 ms |"), "{summary}");
}

#[test]
fn drift_is_told_in_the_summary_and_the_json_report() {
    let mut report = Report { mode: "drift".into(), ..empty() };
    report.drift = vec![DriftRow {
        kind: DriftKind::WithoutSecrets,
        service: Some("web".into()),
        detail: "service web was started without the override file".into(),
    }];
    let summary = summary::markdown(&report);
    assert!(
        summary.contains("| `web` | without-secrets | service web was started without the override file |"),
        "{summary}"
    );
    let json: serde_json::Value = serde_json::from_str(&json::to_string(&report).unwrap()).unwrap();
    assert_eq!(json["drift"][0]["kind"], "without-secrets");
}
