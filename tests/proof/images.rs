//! A value in an image: its variables, labels and command, and the history that only its layers tell.

use std::process::Command;

use crate::matrix::Project;
use crate::scene::{Scene, docker, done, service_image};
use crate::{DELIVERIES, VALUE};

/// An image of a name of its own, which goes when the test ends.
struct Image(String);

impl Image {
    /// Makes the image from another one: by a container that is given this command, and with these changes.
    fn make(&self, from: &str, command: &str, changes: &[&str]) {
        let created = docker(["create", from, "sh", "-c", command]);
        let container = created.trim();
        let changes = changes.iter().flat_map(|change| ["--change", *change]);
        docker(["commit"].into_iter().chain(changes).chain([container, self.0.as_str()]));
        docker(["rm", container]);
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        docker(["rmi", "--force", self.0.as_str()]);
    }
}

#[test]
fn a_value_in_the_configuration_or_the_history_of_an_image_is_found_in_every_run() {
    for delivery in DELIVERIES {
        let project = Project::new(delivery);
        // Both end after the project: images that containers use cannot be removed.
        let configured = Image(format!("{}-configured", project.scene.name));
        let layered = Image(format!("{}-layered", project.scene.name));
        let below = Image(format!("{}-below", project.scene.name));
        let clean = r#"CMD ["sleep", "3000"]"#;
        let (variable, label) = (format!("ENV PLANTED={VALUE}"), format!("LABEL planted={VALUE}"));
        configured.make(&service_image(), "true", &[&variable, &label, clean]);
        below.make(&service_image(), &format!("echo {VALUE}"), &[clean]);
        layered.make(&below.0, "true", &[clean]);
        let compose = std::fs::read_to_string(project.scene.project().join("compose.yaml")).unwrap();
        let with = |image: &Image| {
            project.scene.write("compose.yaml", compose.replace(&service_image(), &image.0));
        };
        with(&configured);
        project.finds_exactly(&[
            format!("docker image inspect {} shows the value of KEY at Config.Env[", configured.0),
            format!("docker image inspect {} shows the value of KEY at Config.Labels.planted", configured.0),
            // What an image says its containers say, too.
            "1 shows the value of KEY at Config.Env[".to_owned(),
            "1 shows the value of KEY at Config.Labels.planted".to_owned(),
        ]);
        with(&layered);
        project.finds_exactly(&[format!("docker history {} shows the value of KEY at CreatedBy", layered.0)]);
        gone(&project.scene);
    }
}

/// Removes the containers, so that their images can go.
fn gone(scene: &Scene) {
    let mut command = Command::new("docker");
    command.args(["compose", "-p", &scene.name, "down", "-t", "1"]);
    done(command).expect(0);
}
