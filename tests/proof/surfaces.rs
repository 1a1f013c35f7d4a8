//! A value on each surface of containers, networks, volumes, of the model, the override and the report.

use crate::matrix::{Project, wait_for_health};
use crate::scene::{docker, service_image};
use crate::{DELIVERIES, NUMBER, VALUE};

/// Every surface that can be given a value by hand, as text of a Compose file (`V` is the value, `N` the number, `D` a
/// directory), with the places where `docker inspect` shows it.
const OF_A_CONTAINER: &[(&str, &[&str])] = &[
    ("container_name: V", &["KEY at Name"]),
    ("hostname: V", &["Config.Hostname"]),
    ("domainname: V.example", &["Config.Domainname"]),
    ("working_dir: /V", &["Config.WorkingDir"]),
    ("extra_hosts: ['V:10.0.0.1']", &["HostConfig.ExtraHosts[0]"]),
    ("dns_search: [V.example]", &["HostConfig.DnsSearch[0]"]),
    ("tmpfs: ['/mnt/V']", &["HostConfig.Tmpfs.(a key)"]),
    ("sysctls: { net.core.somaxconn: 'N' }", &["PIN at HostConfig.Sysctls.net.core.somaxconn"]),
    ("logging: { driver: json-file, options: { tag: V } }", &["HostConfig.LogConfig.Config.tag"]),
    (
        "labels: { planted: V, V: key, pin: 'N' }",
        &["Config.Labels.planted", "Config.Labels.(a key)", "Config.Labels.pin"],
    ),
    ("environment: { PLANTED: V }", &["Config.Env["]),
    ("entrypoint: [env, V=1]", &["Config.Entrypoint[1]", "at Args[0]"]),
    ("command: [env, '--chdir=/V', sleep, '3000']", &["Config.Cmd[1]", "at Args["]),
    (
        "healthcheck: { test: [CMD, sh, -c, 'echo V; exit 0'], interval: 1s }",
        &["Config.Healthcheck.Test[3]", "State.Health.Log["],
    ),
    ("volumes: ['D/V:/bound', 'backend-data:/at/V']", &["HostConfig.Binds[", "Mounts["]),
    ("dns_opt: [V]", &["HostConfig.DnsOptions[0]"]),
    ("group_add: ['N']", &["PIN at HostConfig.GroupAdd[0]"]),
    ("networks: { backend: { aliases: [V] } }", &["NetworkSettings.Networks."]),
];

/// The same for networks and volumes.
const OF_OTHERS: &str = "networks:\n  backend:\n    labels: { planted: V }\n    driver_opts: { x.planted: V }\n\
                         volumes:\n  backend-data:\n    labels: { planted: V }\n    \
                         driver_opts: { type: tmpfs, device: V, o: size=1m }\n";

#[test]
fn a_container_that_is_no_services_is_searched_too() {
    let project = Project::new("volume");
    let (label, image) = (format!("com.docker.compose.project={}", project.scene.name), service_image());
    let (name, variable) = (format!("{}-by-hand", project.scene.name), format!("SHOWN={VALUE}"));
    docker(["create", "--name", &name, "--label", &label, "--env", &variable, &image, "sleep", "3000"]);
    for mode in ["deploy", "validate"] {
        let facts = project.leaks(mode);
        assert!(facts.iter().any(|fact| fact.contains(&name) && fact.contains("Config.Env")), "{facts:#?}");
    }
    docker(["rm", "--force", &name]);
    project.run("validate").expect(0);
}

#[test]
fn a_value_on_any_surface_of_what_runs_is_found_in_every_run() {
    for delivery in DELIVERIES {
        let project = Project::new(delivery);
        let directory = project.scene.beside("binds");
        std::fs::create_dir_all(directory.join(VALUE)).unwrap();
        let fill = |text: &str| {
            let text = text.replace("D/V", &format!("{}/V", directory.display()));
            // The letters of the table are capitals that no key of it has.
            let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
            words
                .map(|word| {
                    let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
                    let end = &word[bare.len()..];
                    match bare {
                        "V" => format!("{VALUE}{end}"),
                        "N" => format!("{NUMBER}{end}"),
                        _ => word.to_owned(),
                    }
                })
                .collect::<String>()
        };
        let services: String =
            OF_A_CONTAINER.iter().map(|(text, _)| format!("    {}\n", fill(text))).collect();
        project.plant(&format!("services:\n  frontend:\n{services}{}", fill(OF_OTHERS)));
        wait_for_health(&project.container());
        let mut places: Vec<String> =
            OF_A_CONTAINER.iter().flat_map(|(_, places)| *places).map(|&place| place.to_owned()).collect();
        let network = format!("docker network inspect {}_backend", project.scene.name);
        let volume = format!("docker volume inspect {}_***", project.scene.name);
        for (what, of) in [
            (&network, ["Labels.planted", "Options.x.planted"]),
            (&volume, ["Labels.planted", "Options.device"]),
        ] {
            places.extend(of.map(|place| format!("{what} shows the value of KEY at {place}")));
        }
        // The network's list of containers has the container's name.
        places.push(format!("{network} shows the value of KEY at Containers."));
        project.finds_exactly(&places);
    }
}

#[test]
fn a_value_that_a_service_itself_shows_is_found_in_the_run_that_starts_it() {
    for delivery in DELIVERIES {
        let project = Project::new(delivery);
        let compose = std::fs::read_to_string(project.scene.project().join("compose.yaml")).unwrap();
        project.scene.write("compose.yaml", compose.replace("[CMD, 'true']", "[CMD, cat, /run/secrets/key]"));
        project.finds_exactly(&["shows the value of KEY at State.Health.Log[".to_owned()]);
    }
}

#[test]
fn a_value_anywhere_in_the_compose_file_is_refused_before_anything_changes() {
    for delivery in DELIVERIES {
        let project = Project::new(delivery);
        let before = project.container();
        let compose = std::fs::read_to_string(project.scene.project().join("compose.yaml")).unwrap();
        let planted = compose.replace(
            "    init: true\n",
            &"    init: true\n    hostname: V\n    domainname: V.example\n    working_dir: /V\n    extra_hosts: ['V:10.0.0.1']\n    \
              logging: { driver: json-file, options: { tag: V } }\n    annotations: { planted: V }\n    \
              container_name: V\n    security_opt: ['label:type:V']\n    dns_search: [V]\n"
                .replace('V', VALUE),
        );
        let planted = planted
            .replace("networks: [backend]", &format!("networks: {{ backend: {{ aliases: [{VALUE}] }} }}"));
        let planted = format!("{planted}    driver_opts: {{ planted: {VALUE} }}\n");
        project.scene.write("compose.yaml", planted);
        let facts = project.problems("deploy", 2, "secret-in-larger-value");
        for place in [
            "hostname",
            "domainname",
            "working_dir",
            "extra_hosts[0]",
            "logging.options.tag",
            "annotations.planted",
            "container_name",
            "security_opt[0]",
            "dns_search[0]",
            "networks.backend.aliases[0]",
            "driver_opts.planted",
        ] {
            let place = format!("{place} holds the value of KEY");
            assert!(facts.iter().any(|fact| fact.contains(&place)), "{place} in {facts:#?}");
        }
        assert_eq!(facts.len(), 11, "{facts:#?}");
        assert_eq!(project.container(), before);
    }
}

#[test]
fn a_value_in_the_override_file_or_the_manifest_is_found() {
    for delivery in DELIVERIES {
        let project = Project::new(delivery);
        let path = project.scene.project().join("docker-compose.secrets.yml");
        let right = std::fs::read_to_string(&path).unwrap();
        let planted = right.replace("services:\n", &format!("x-planted: {VALUE}\nservices:\n"));
        std::fs::write(&path, format!("{planted}# {VALUE}\n")).unwrap();
        let facts = project.leaks("validate");
        for place in [
            "docker compose config shows the value of KEY at x-planted",
            "secrets.yml shows the value of KEY at x-planted",
            "at line ",
        ] {
            assert!(facts.iter().any(|fact| fact.contains(place)), "{place} in {facts:#?}");
        }
        // A deployment writes it anew.
        project.run("deploy").expect(0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), right);
        let manifest = std::fs::read_to_string(project.scene.project().join("claude-secrets.yml")).unwrap();
        project.scene.write("claude-secrets.yml", manifest.replace("a made-up service", VALUE));
        project.finds_exactly(&["the report shows the value of KEY at secrets[0].description".to_owned()]);
    }
}
