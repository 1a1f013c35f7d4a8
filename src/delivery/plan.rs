//! What each service gets: files with their owners and modes, before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::TARGET;
use super::choose::Kind;
use super::files::SecretFile;
use super::files::index::{GITIGNORE, INDEX, UNFINISHED};
use super::in_clear;
use super::launch;
use super::names::free;
use super::revision::Content;
use super::workers;
use crate::access::{Access, ServiceAccess};
use crate::compose::images::{Images, user_of};
use crate::compose::project::Project;
use crate::compose::service::Service;
use crate::diagnostic::Diagnostic;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::manifest::FileSpec;
use crate::secret::{SecretName, SecretValue};

/// Who reads a service's secrets, as far as that decides about owners.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reader {
    /// Root with its capabilities: reads every file.
    Anyone,
    /// This user and group, or root without capabilities, which reads only its own files.
    User(u32, u32),
    /// Not known: the file must be readable by all inside of the container.
    Unknown,
}

/// One file of one service. It has no `Debug`: it holds the value.
#[derive(Clone)]
pub struct PlannedFile {
    /// The secret, or `None` for one of the project's own that moves along.
    pub name: Option<SecretName>,
    /// The file's name below `/run/secrets`, or an absolute path in the container.
    pub file: String,
    /// The bytes.
    pub value: SecretValue,
    /// What is said of the file.
    pub spec: FileSpec,
    /// Whether other services that have a file of this name have the same one.
    pub shared: bool,
}

/// One of the project's own secrets that moves into a service's volume.
#[derive(Clone)]
pub struct OwnSecret {
    /// The file's name below `/run/secrets`.
    pub file: String,
    /// The bytes.
    pub value: SecretValue,
    /// Its owner and mode.
    pub spec: FileSpec,
}

/// What one service gets.
pub struct ServicePlan {
    /// The files.
    pub files: Vec<PlannedFile>,
    /// Who reads them.
    pub reader: Reader,
    /// What the service's revision covers.
    pub content: Content,
    /// Who the service's user is, where that had to be looked up: `name=uid:gid`.
    pub user: Option<String>,
}

/// Users by image id and name: who they are, or that the image does not say.
pub type Users = BTreeMap<(String, String), Option<(u32, u32)>>;

/// A secret's value with what the manifest says of its file.
pub struct Available<'a> {
    /// The bytes.
    pub value: &'a SecretValue,
    /// What the manifest says of the file.
    pub spec: &'a FileSpec,
}

/// What a plan is made from.
pub struct PlanInput<'a> {
    /// Docker's programs.
    pub tools: &'a Tools,
    /// The project.
    pub project: &'a Project,
    /// Who gets what.
    pub access: &'a Access,
    /// The values, by secret.
    pub available: BTreeMap<SecretName, Available<'a>>,
    /// The project's own secrets that move into a volume, by service.
    pub own: &'a BTreeMap<String, Vec<OwnSecret>>,
    /// The images that the engine has.
    pub images: &'a Images,
    /// The delivery.
    pub kind: Kind,
    /// Users that are known already.
    pub users: Users,
}

/// Plans every service that gets something, and what it hands on to workers.
pub async fn plan(basis: PlanInput<'_>) -> Result<BTreeMap<String, ServicePlan>> {
    let PlanInput { tools, project, access, available, own, images, kind, mut users } = basis;
    let mut plans = BTreeMap::new();
    for (name, service_access) in &access.services {
        let Some(service) = project.model.services.get(name) else {
            continue;
        };
        let mut files = granted_files(service_access, &available);
        files.extend(composed_files(name, service_access, access, &available)?);
        check_variables(name, service_access, &files)?;
        if files.is_empty() {
            continue;
        }
        let mut taken: BTreeSet<String> = files.iter().map(|planned| planned.file.clone()).collect();
        for own in own.get(name).into_iter().flatten() {
            if taken.insert(own.file.clone()) {
                let OwnSecret { file, value, spec } = own.clone();
                files.push(PlannedFile { name: None, file, value, spec, shared: false });
            }
        }
        let (reader, user) = reader(tools, service, service_access, images, &mut users).await?;
        let content = content(&files, kind, reader);
        plans.insert(name.clone(), ServicePlan { files, reader, content, user });
        if let Some(set) = workers::plan(service_access, &available, kind) {
            plans.insert(workers::set_of(name), set);
        }
    }
    Ok(plans)
}

/// The files of the secrets that a service is granted: each below its own name, and at the places that the Compose file
/// names.
fn granted_files(own: &ServiceAccess, available: &BTreeMap<SecretName, Available>) -> Vec<PlannedFile> {
    let mut files = Vec::new();
    for granted in &own.secrets {
        let Some(found) = available.get(&granted.name) else { continue };
        let planned = |file: &str, spec: FileSpec, shared| PlannedFile {
            name: Some(granted.name.clone()),
            file: file.to_owned(),
            value: found.value.clone(),
            spec,
            shared,
        };
        // What the manifest says of a file comes before what the Compose file says.
        let over = |other: &FileSpec| FileSpec {
            name: None,
            mode: found.spec.mode.or(other.mode),
            uid: found.spec.uid.or(other.uid),
            gid: found.spec.gid.or(other.gid),
        };
        if !granted.places.iter().any(|(place, _)| *place == granted.file) {
            files.push(planned(&granted.file, found.spec.clone(), true));
        }
        files.extend(granted.places.iter().map(|(place, spec)| planned(place, over(spec), false)));
    }
    files
}

/// The files of larger values, composed of the secrets in them.
fn composed_files(
    service: &str,
    own: &ServiceAccess,
    access: &Access,
    available: &BTreeMap<SecretName, Available>,
) -> Result<Vec<PlannedFile>> {
    let value_of = |variable: &str| Some(available.get(access.owners.get(variable)?)?.value);
    own.composed
        .iter()
        .map(|composed| {
            let value = composed.text.compose(value_of).ok_or_else(|| {
                Error::new(
                    Code::DeliveryFailed,
                    format!("a secret in {} of service {service} has no value", composed.file),
                )
            })?;
            let (file, spec) = (composed.file.clone(), composed.spec.clone());
            Ok(PlannedFile { name: None, file, value, spec, shared: false })
        })
        .collect()
}

impl ServicePlan {
    /// The user who alone can read one of the files; `None` when all can read all of them.
    pub fn only_reader(&self) -> Option<u32> {
        self.files.iter().find_map(|file| match file.permissions(self.reader, 0o400) {
            (Some((uid, _)), mode) if mode & 0o044 == 0 => Some(uid),
            _ => None,
        })
    }
}

/// The kernel takes no longer text as a variable, its name included (`MAX_ARG_STRLEN`, execve(2)).
const LONGEST_VARIABLE: usize = 128 * 1024;

/// Values that the kernel takes for a variable.
fn check_variables(service: &str, own: &ServiceAccess, files: &[PlannedFile]) -> Result<()> {
    let at_start = own.at_start().into_iter().map(|(variable, file)| (variable, file, variable.len(), false));
    let in_clear = own.in_clear().into_iter();
    let in_clear =
        in_clear.map(|(variable, file)| (variable, file, in_clear::source(service, variable).len(), true));
    let values: BTreeMap<&str, &SecretValue> =
        files.iter().rev().map(|planned| (planned.file.as_str(), &planned.value)).collect();
    let problems: Vec<Diagnostic> = at_start
        .chain(in_clear)
        .filter_map(|(variable, file, length_of_name, in_clear)| {
            let value = values.get(file)?;
            let why = if value.expose().contains(&0) {
                "holds a zero byte"
            } else if length_of_name + value.expose().len() + 2 > LONGEST_VARIABLE {
                "is longer than a variable can be (128 KiB)"
            } else if in_clear && std::str::from_utf8(value.expose()).is_err() {
                "is not UTF-8, as what the engine is told must be"
            } else {
                return None;
            };
            let fact = format!("service {service}: the value of its variable {variable} ({}) {why}", value.shape());
            Some(Diagnostic::new(fact).help(format!(
                "Let the program read a file, in claude-secrets.yml:\nservices:\n  {service}: {{ variables: {{ {variable}: {{ deliver: file }} }} }}"
            )))
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::SecretInvalid, "some secrets cannot be variables").problems(problems))
}

/// The names of a service's files in a directory of its own, which has no directories: each as it would be called alone,
/// and no two the same.
fn names_in_directory(files: &[PlannedFile]) -> BTreeMap<&str, String> {
    let mut sorted: Vec<&PlannedFile> = files.iter().collect();
    sorted.sort_by(|a, b| b.shared.cmp(&a.shared).then_with(|| a.file.cmp(&b.file)));
    let wishes = sorted.iter().map(|file| (file.file.as_str(), plain_name(&file.file))).collect();
    free(wishes, &BTreeSet::from(NO_FILES.map(str::to_owned)))
}

/// The names of a service's files in its volume: as below `/run/secrets`, and one word for a place that is elsewhere.
pub fn names_in_volume(files: &[PlannedFile]) -> BTreeMap<&str, String> {
    let (elsewhere, below): (Vec<&PlannedFile>, Vec<&PlannedFile>) =
        files.iter().partition(|file| file.file.starts_with('/'));
    let first = |file: &&PlannedFile| file.file.split('/').next().unwrap_or_default().to_owned();
    let mut taken: BTreeSet<String> = below.iter().map(first).collect();
    taken.extend(NO_FILES.map(str::to_owned));
    let mut wishes: Vec<(&str, String)> =
        elsewhere.iter().map(|file| (file.file.as_str(), plain_name(&file.file))).collect();
    wishes.sort();
    let mut names = free(wishes, &taken);
    names.extend(below.iter().map(|file| (file.file.as_str(), file.file.clone())));
    names
}

/// Names that no file of a service has in a directory: those of our bookkeeping, and those that are directories.
const NO_FILES: [&str; 6] = [INDEX, UNFINISHED, GITIGNORE, "", ".", ".."];

/// The name of a shared file in the secrets directory, where the launcher is, too.
fn name_of_shared(file: &str) -> String {
    if file == launch::FILE { format!("{file}_") } else { file.to_owned() }
}

/// A plain file name for a place in a container, as its file is called where files have no directories.
pub fn plain_name(file: &str) -> String {
    file.trim_start_matches('/').replace('/', "-")
}

impl PlannedFile {
    /// Where it is in the service's containers.
    pub fn target(&self) -> String {
        if self.file.starts_with('/') { self.file.clone() } else { format!("{TARGET}/{}", self.file) }
    }

    /// Owner and mode for a reader: the manifest's word first, else the reader alone may read it.
    pub fn permissions(&self, reader: Reader, mode: u32) -> (Option<(u32, u32)>, u32) {
        let (owner, mode) = match reader {
            Reader::Anyone => (Some((0, 0)), mode),
            Reader::User(uid, gid) => (Some((uid, gid)), mode),
            Reader::Unknown => (None, 0o444),
        };
        let (uid, gid) = owner.unwrap_or((0, 0));
        let said = self.spec.uid.is_some() || self.spec.gid.is_some();
        let owner =
            if said { Some((self.spec.uid.unwrap_or(uid), self.spec.gid.unwrap_or(gid))) } else { owner };
        (owner, self.spec.mode.unwrap_or(mode))
    }
}

/// The files of all services below one directory, and which of them each service mounts: (service, file) → path.
///
/// A secret is one file where one owner suits all its readers, who then share it; a service that needs another owner
/// has a copy of its own in a directory of its name. Without root nothing can be given away: the files are readable by
/// all inside of the containers, and the directory, which bind mounts bypass, keeps everyone else on the host out.
pub fn lay_out(
    plans: &BTreeMap<String, ServicePlan>,
    root: bool,
) -> (Vec<SecretFile>, BTreeMap<(String, String), PathBuf>) {
    let mut by_file: BTreeMap<&str, Vec<(&str, &PlannedFile, Reader)>> = BTreeMap::new();
    for (service, plan) in plans {
        for file in plan.files.iter().filter(|file| file.shared) {
            let reader = if root { plan.reader } else { Reader::Unknown };
            by_file.entry(&file.file).or_default().push((service, file, reader));
        }
    }
    let own: BTreeMap<&str, String> = {
        let mut taken: BTreeSet<String> = by_file.keys().map(|file| name_of_shared(file)).collect();
        taken.insert(launch::FILE.to_owned());
        plans.keys().map(|service| (service.as_str(), directory_of(service, &mut taken))).collect()
    };
    let names: BTreeMap<&str, BTreeMap<&str, String>> =
        plans.iter().map(|(service, plan)| (service.as_str(), names_in_directory(&plan.files))).collect();
    let name_of = |service: &str, file: &str| names.get(service).and_then(|names| names.get(file).cloned());
    let mut files = Vec::new();
    let mut written = BTreeSet::new();
    let mut paths = BTreeMap::new();
    for (service, plan) in plans {
        let reader = if root { plan.reader } else { Reader::Unknown };
        for file in plan.files.iter().filter(|file| !file.shared) {
            let name = name_of(service, &file.file).unwrap_or_default();
            let path = PathBuf::from(&own[service.as_str()]).join(name);
            let (owner, mode) = file.permissions(reader, 0o600);
            let owner = owner.filter(|_| root);
            files.push(SecretFile { path: path.clone(), value: file.value.clone(), mode, owner });
            written.insert(path.clone());
            paths.insert((service.clone(), file.file.clone()), path);
        }
    }
    for (file, users) in by_file {
        let shared = shared_reader(users.iter().map(|(_, _, reader)| *reader));
        for (index, (service, planned, reader)) in users.iter().enumerate() {
            let suits = *reader == shared || *reader == Reader::Anyone || shared == Reader::Unknown;
            let directory = own.get(service).map(PathBuf::from).filter(|_| !suits).unwrap_or_default();
            let copy = || name_of(service, file).unwrap_or_default();
            let path = if suits { PathBuf::from(name_of_shared(file)) } else { directory.join(copy()) };
            let reader = if suits { shared } else { *reader };
            if index == 0 || !suits {
                let (owner, mode) = planned.permissions(reader, 0o600);
                let owner = owner.filter(|_| root);
                files.push(SecretFile { path: path.clone(), value: planned.value.clone(), mode, owner });
                written.insert(path.clone());
            }
            paths.insert(((*service).to_owned(), file.to_owned()), path);
        }
        // The first user may be one that has a copy of its own; the shared file must be there all the same.
        let shared_path = PathBuf::from(name_of_shared(file));
        if let Some((_, planned, _)) = users.first()
            && written.insert(shared_path.clone())
        {
            let (owner, mode) = planned.permissions(shared, 0o600);
            files.push(SecretFile {
                path: shared_path,
                value: planned.value.clone(),
                mode,
                owner: owner.filter(|_| root),
            });
        }
    }
    (files, paths)
}

/// The directory of a service's own copies: its name, where that can be one. Compose takes `.`, `..` and `.gitignore` for
/// names, and one that a secret's file has as well.
fn directory_of(service: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = directory_name(service);
    while !taken.insert(name.clone()) {
        name.push('_');
    }
    name
}

/// The directory of a service, or of the set of its workers, unless that is taken.
fn directory_name(service: &str) -> String {
    if workers::is_set(service) {
        return workers::directory(workers::service_of(service)).display().to_string();
    }
    if service.starts_with('.') { format!("_{service}") } else { service.to_owned() }
}

/// The reader that a shared file is made for: anyone who is not known decides; else the lowest user that must own it.
fn shared_reader(readers: impl Iterator<Item = Reader>) -> Reader {
    let all: BTreeSet<Reader> = readers.collect();
    if all.contains(&Reader::Unknown) {
        return Reader::Unknown;
    }
    all.into_iter().find(|reader| *reader != Reader::Anyone).unwrap_or(Reader::Anyone)
}

async fn reader(
    tools: &Tools,
    service: &Service,
    access: &ServiceAccess,
    images: &Images,
    users: &mut Users,
) -> Result<(Reader, Option<String>)> {
    if let Some(uid) = access.uid {
        return Ok((Reader::User(uid, access.gid.unwrap_or(uid)), None));
    }
    let image = images.get(&service.image);
    let user = match (&service.user, image) {
        (user, _) if !user.is_empty() => user.as_str(),
        (_, Some(image)) => image.user.as_str(),
        // Neither Compose nor an image that is here says who it is.
        (_, None) => return Ok((Reader::Unknown, None)),
    };
    let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
    let mut looked_up = None;
    let known = match name.parse::<u32>() {
        Ok(uid) => Some((uid, uid)),
        Err(_) if name.is_empty() || name == "root" => Some((0, 0)),
        Err(_) => match image {
            Some(image) => {
                let key = (image.id.clone(), name.to_owned());
                let known = match users.get(&key) {
                    Some(known) => *known,
                    None => user_of(tools, &service.image, name).await?,
                };
                users.insert(key, known);
                looked_up = known.map(|(uid, gid)| format!("{name}={uid}:{gid}"));
                known
            }
            None => None,
        },
    };
    let gid = group.and_then(|group| group.parse().ok());
    let reader = match known {
        None => Reader::Unknown,
        Some((0, _)) if !service.no_capabilities => Reader::Anyone,
        Some((uid, own)) => Reader::User(uid, access.gid.or(gid).unwrap_or(own)),
    };
    Ok((reader, looked_up))
}

/// What a revision covers: the values and how they are delivered.
pub(super) fn content(files: &[PlannedFile], kind: Kind, reader: Reader) -> Content {
    let mut content = Content::default();
    content.add(kind.name().as_bytes());
    let mut files: Vec<&PlannedFile> = files.iter().collect();
    files.sort_by(|a, b| a.file.cmp(&b.file));
    for file in files {
        let (owner, mode) = file.permissions(reader, 0o400);
        content.add(file.file.as_bytes());
        content.add(&mode.to_le_bytes());
        // Owners of files follow the image without a new revision: its container is recreated anyway.
        if kind.in_volumes() {
            let (uid, gid) = owner.unwrap_or((u32::MAX, u32::MAX));
            content.add(&uid.to_le_bytes());
            content.add(&gid.to_le_bytes());
        }
        content.add(file.value.expose());
    }
    content
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::files::index::is_secret_path;
    use super::*;

    /// Path, mode and owner of a file.
    type LaidOut = (String, u32, Option<(u32, u32)>);

    fn plans(services: &[(&str, Reader)]) -> BTreeMap<String, ServicePlan> {
        let file = || PlannedFile {
            name: None,
            file: "key".into(),
            value: SecretValue::new(b"v".to_vec()),
            spec: FileSpec::default(),
            shared: true,
        };
        services
            .iter()
            .map(|(name, reader)| {
                let plan = ServicePlan {
                    files: vec![file()],
                    reader: *reader,
                    content: Content::default(),
                    user: None,
                };
                ((*name).to_owned(), plan)
            })
            .collect()
    }

    fn laid_out(services: &[(&str, Reader)], root: bool) -> Vec<LaidOut> {
        let (files, paths) = lay_out(&plans(services), root);
        assert_eq!(paths.len(), services.len());
        assert!(paths.values().all(|path| files.iter().any(|file| file.path == *path)));
        files.into_iter().map(|file| (file.path.display().to_string(), file.mode, file.owner)).collect()
    }

    #[test]
    fn readers_that_one_owner_suits_share_a_file() {
        let shared = laid_out(&[("a", Reader::Anyone), ("b", Reader::User(1000, 1000))], true);
        assert_eq!(shared, [("key".to_owned(), 0o600, Some((1000, 1000)))]);
        assert_eq!(laid_out(&[("a", Reader::Anyone)], true), [("key".to_owned(), 0o600, Some((0, 0)))]);
    }

    #[test]
    fn a_reader_that_needs_another_owner_has_a_copy() {
        let both = laid_out(&[("a", Reader::User(2000, 2000)), ("b", Reader::User(1000, 1000))], true);
        assert_eq!(
            both,
            [("a/key".to_owned(), 0o600, Some((2000, 2000))), ("key".to_owned(), 0o600, Some((1000, 1000)))]
        );
    }

    /// Compose takes all of these for names of services.
    #[test]
    fn whatever_a_service_is_called_its_own_files_have_a_directory_there() {
        let user = |uid| Reader::User(uid, uid);
        let odd = [".", "..", ".gitignore", ".claude-secrets.json", "key", "key_", "_."];
        let mut services: Vec<(&str, Reader)> =
            odd.iter().zip(2000..).map(|(name, uid)| (*name, user(uid))).collect();
        services.push(("web", user(1)));
        let files = laid_out(&services, true);
        assert_eq!(files.len(), services.len());
        for (path, ..) in &files {
            assert!(is_secret_path(Path::new(path)), "{path}");
            assert!(!files.iter().any(|(other, ..)| other.starts_with(&format!("{path}/"))), "{path}");
        }
        let paths: BTreeSet<_> = files.iter().map(|(path, ..)| path).collect();
        assert_eq!(paths.len(), files.len());
    }

    fn file(file: &str, shared: bool) -> PlannedFile {
        PlannedFile {
            name: None,
            file: file.into(),
            value: SecretValue::new(b"v".to_vec()),
            spec: FileSpec::default(),
            shared,
        }
    }

    #[test]
    fn each_file_has_a_place_of_its_own_whatever_it_is_called() {
        let names =
            ["/etc/a-b", "/etc/a/b", "etc-a-b", "/.gitignore", "/.claude-secrets.json", "sub/x", "/sub"];
        let mut files: Vec<PlannedFile> = names.map(|name| file(name, false)).into();
        files.push(file(launch::FILE, true));
        files.push(file("sub-x", true));
        let in_volume = names_in_volume(&files);
        assert_eq!(
            (&*in_volume["sub/x"], &*in_volume["/sub"], &*in_volume["etc-a-b"]),
            ("sub/x", "sub_", "etc-a-b")
        );
        let distinct: BTreeSet<&String> = in_volume.values().collect();
        assert_eq!(distinct.len(), files.len());
        let plan = |files: Vec<PlannedFile>, reader| ServicePlan {
            files,
            reader,
            content: Content::default(),
            user: None,
        };
        let other = plan(vec![file("sub-x", true)], Reader::User(7, 7));
        let plans = BTreeMap::from([
            ("web".to_owned(), plan(files, Reader::User(8, 8))),
            ("other".to_owned(), other),
        ]);
        let (files, paths) = lay_out(&plans, true);
        let written: BTreeSet<String> = files.iter().map(|file| file.path.display().to_string()).collect();
        assert_eq!(written.len(), files.len(), "{written:?}");
        assert!(
            !written.contains(launch::FILE) && written.iter().all(|path| is_secret_path(Path::new(path)))
        );
        let used: BTreeSet<String> = paths.values().map(|path| path.display().to_string()).collect();
        assert!(used.is_subset(&written) && used.len() == paths.len(), "{used:?}");
        assert_eq!(paths[&("web".to_owned(), "/etc/a-b".to_owned())], Path::new("web/etc-a-b"));
    }

    #[test]
    fn an_unknown_reader_or_no_root_makes_it_readable_inside() {
        assert_eq!(laid_out(&[("a", Reader::Unknown)], true), [("key".to_owned(), 0o444, None)]);
        let without = laid_out(&[("a", Reader::User(1, 1)), ("b", Reader::User(2, 2))], false);
        assert_eq!(without, [("key".to_owned(), 0o444, None)]);
    }
}
