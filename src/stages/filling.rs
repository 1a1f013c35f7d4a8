//! The volumes of a deployment: those of the project's files, of the launcher and of the services' secrets.

use crate::count::count;
use crate::delivery::launch;
use crate::delivery::plan::{PlannedFile, Reader, names_in_volume};
use crate::delivery::volume::{self, NewVolume, VolumeFile};
use crate::error::Result;
use crate::labels;
use crate::release;
use crate::stages::applying::Deployment;
use crate::stages::overriding;
use crate::stages::planning;
use crate::stages::planning::Planned;
use crate::stages::run::Run;

impl Deployment<'_> {
    /// Whether the project lacks the volume of the launcher: its name tells what the launcher in it understands.
    async fn lacks_launcher(&self) -> Result<bool> {
        if !planning::uses_launcher(self.prepared) {
            return Ok(false);
        }
        let project = &self.prepared.project.model.name;
        let name = overriding::launcher_volume(project);
        Ok(!volume::complete(self.tools, project).await?.iter().any(|volume| volume.name == name))
    }

    /// Makes the volumes that are not there yet, before anything refers to them.
    pub(crate) async fn write_volumes(&self, run: &Run, planned: &Planned) -> Result<()> {
        let release = &self.prepared.release;
        let name = &self.prepared.project.model.name;
        let in_volumes = self.prepared.choice.kind.in_volumes();
        if !release.is_empty() || in_volumes {
            volume::remove_incomplete(self.tools, name).await?;
        }
        for made in release::create(self.tools, name, release).await? {
            run.console.line(&format!("project files: the volume {made} is made"));
        }
        if !in_volumes {
            return Ok(());
        }
        let launcher = overriding::launcher_volume(name);
        let program = if self.lacks_launcher().await? { Some(launch::program()?) } else { None };
        let mut new: Vec<NewVolume> = Vec::new();
        new.extend(program.as_ref().map(|program| {
            let name = launch::PROGRAM.to_owned();
            let file = VolumeFile { name, value: program, mode: 0o555, uid: 0, gid: 0 };
            let labels = vec![(labels::LAUNCHER, launch::VERSION.to_owned())];
            NewVolume { name: &launcher, labels, files: vec![file] }
        }));
        let mut lines = Vec::new();
        for (service, name) in &planned.volumes {
            if let Some(volume) = new_volume(planned, service, name)? {
                let secrets = count(volume.files.len(), "secret");
                lines.push(format!("{service}: {secrets} in the volume {name}"));
                new.push(volume);
            }
        }
        volume::create(self.tools, name, &new).await?;
        for line in lines {
            run.console.line(&line);
        }
        Ok(())
    }
}

/// The volume of a service, unless it is there.
fn new_volume<'a>(planned: &'a Planned, service: &str, name: &'a str) -> Result<Option<NewVolume<'a>>> {
    let (Some(plan), Some(found)) = (planned.plans.get(service), planned.revisions.get(service)) else {
        return Ok(None);
    };
    if found.volume.is_some() {
        return Ok(None);
    }
    let mut names = names_in_volume(&plan.files);
    let files: Vec<VolumeFile> = plan
        .files
        .iter()
        .filter_map(|file| Some(volume_file(file, names.remove(file.file.as_str())?, plan.reader)))
        .collect();
    let held = files.iter().map(|file| (file.name.as_str(), file.mode, file.uid, file.gid, file.value));
    let sum = found.revision.beside(&volume::sum_of(held))?;
    let labels = vec![
        (labels::SERVICE, service.to_owned()),
        (labels::REVISION, found.revision.label().to_owned()),
        (labels::SUM, sum),
    ];
    Ok(Some(NewVolume { name, labels, files }))
}

fn volume_file(file: &PlannedFile, name: String, reader: Reader) -> VolumeFile<'_> {
    let (owner, mode) = file.permissions(reader, 0o400);
    let (uid, gid) = owner.unwrap_or((0, 0));
    VolumeFile { name, value: &file.value, mode, uid, gid }
}
