//! The document of a database: its password is a secret, its user, host and port are words of the project.

use crate::matrix::Project;
use crate::{DELIVERIES, PASSWORD};

#[test]
fn of_the_document_of_a_database_the_password_alone_is_found() {
    for delivery in DELIVERIES {
        let project = Project::new(delivery);
        project.plant(&format!(
            "services: {{ frontend: {{ hostname: appuser, labels: {{ planted: {PASSWORD} }} }} }}\n\
             networks: {{ backend: {{ labels: {{ planted: 'postgres://appuser:{PASSWORD}@db:5432' }} }} }}\n"
        ));
        project.finds_exactly(&[
            "shows the value of DATABASE at Config.Labels.planted".to_owned(),
            format!(
                "network inspect {}_backend shows the value of DATABASE at Labels.planted",
                project.scene.name
            ),
        ]);
    }
}

#[test]
fn in_the_log_of_a_service_that_fails_its_password_alone_is_hidden() {
    for delivery in DELIVERIES {
        let project = Project::new(delivery);
        let compose = std::fs::read_to_string(project.scene.project().join("compose.yaml")).unwrap();
        // The run would refuse a Compose file with the password, so the service takes it from its file.
        let fails = r#"echo appuser:$$(cut -d\" -f8 /run/secrets/database) is refused at db:5432; exit 1"#;
        let failing = compose.replace("echo appuser of postgres at db:5432; exec sleep 3000", fails);
        assert_ne!(failing, compose);
        project.scene.write("compose.yaml", failing);
        let said = project.run("deploy").expect(6);
        assert!(said.stderr.contains("appuser:*** is refused at db:5432"), "{}", said.stderr);
        assert!(!said.stderr.contains(PASSWORD), "{delivery}");
    }
}
