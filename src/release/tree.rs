//! One file or directory of the checkout that a service mounts: what of it belongs to the release, as an archive with a name
//! that tells its content.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::git::Git;
use super::nested::Nested;
use crate::files;

/// The name of a directory in its archive.
const DIRECTORY: &str = "d";
/// Files that only keep an otherwise empty directory in git.
const KEEPERS: &[&str] = &[".gitkeep", ".keep", ".gitignore"];

/// What a service mounts.
pub(super) enum Tree {
    /// Files of the release.
    Release(Archive),
    /// A directory that has nothing of the release: the service's own data. `has_content` when the checkout has some, too.
    State { has_content: bool },
}

/// Files to be copied.
pub(super) struct Archive {
    /// A tar archive.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// A digest of it.
    pub(super) digest: String,
    /// What is mounted of it.
    pub(super) path: String,
    /// How many files it has.
    pub(super) count: usize,
}

/// Looks at what is at an absolute path, in which this is mounted. An error is what is wrong, to be put behind the path's name, and the help.
pub(super) fn look(git: &mut Git, path: &Path, nested: &Nested, room: u64) -> Result<Tree, (String, String)> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(_) if fs::symlink_metadata(path).is_ok() => {
            return Err(("is a link to nothing".to_owned(), "Correct or remove the link.".to_owned()));
        }
        Err(_) => return Ok(Tree::State { has_content: false }),
    };
    if !real.starts_with(git.top()) {
        let what = "is a link that leads out of the checkout".to_owned();
        return Err((what, "Put the file itself there, or name a path of the server.".to_owned()));
    }
    let meta = fs::metadata(&real).map_err(|_| unreadable())?;
    let kind = meta.file_type();
    if kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device() {
        let what = "is no file but a socket, a pipe or a device of this machine".to_owned();
        return Err((what, "Name a path outside of the checkout: it is then one of the server.".to_owned()));
    }
    let above: Vec<PathBuf> = real
        .ancestors()
        .skip(1)
        .take_while(|above| above.starts_with(git.top()))
        .map(Path::to_owned)
        .collect();
    let mut is_taken = true;
    let start = above.last().map_or(0, |top| git.enter(top));
    for pair in above.iter().rev().skip(1) {
        is_taken &= git.takes(pair, true);
        git.enter(pair);
    }
    is_taken &= git.takes(&real, meta.is_dir());
    let mut walk = Walk {
        git,
        hidden: nested.hidden.iter().map(|place| Path::new(DIRECTORY).join(place)).collect(),
        tar: tar::Builder::new(Vec::new()),
        entries: BTreeMap::new(),
        count: 0,
        ignored: Vec::new(),
        only_keepers: true,
        room,
    };
    let name = real.file_name().map_or_else(|| PathBuf::from(DIRECTORY), PathBuf::from);
    let walked = if meta.is_dir() {
        walk.directory(&real, Path::new(DIRECTORY), is_taken)
    } else {
        walk.file(&real, &name, is_taken)
    };
    let walked = walked.and_then(|()| {
        let places = nested.places.iter().filter(|_| meta.is_dir());
        places.into_iter().try_for_each(|(place, is_directory)| walk.place(place, *is_directory))
    });
    let Walk { tar, count, ignored, only_keepers, .. } = walk;
    git.leave(start);
    walked?;
    if meta.is_dir() && only_keepers {
        return Ok(Tree::State { has_content: !ignored.is_empty() });
    }
    if let Some(first) = ignored.iter().min() {
        let shown = first.strip_prefix(git.top()).unwrap_or(first).display().to_string();
        let what = if meta.is_dir() {
            format!("has files of the release and others that git ignores ({shown}) in one mount")
        } else {
            "is ignored by git, so that nobody can say which release it belongs to".to_owned()
        };
        let help = format!(
            "If it belongs to the release (a build made it): `git add --force {shown}` in the step before. If it is data of a \
             service: give it a mount of its own, or a volume."
        );
        return Err((what, help));
    }
    let bytes = Zeroizing::new(tar.into_inner().map_err(|_| unreadable())?);
    let digest = HEXLOWER.encode(&Sha256::digest(&*bytes)[..8]);
    let path = if meta.is_dir() { DIRECTORY.to_owned() } else { name.display().to_string() };
    Ok(Tree::Release(Archive { bytes, digest, path, count }))
}

fn unreadable() -> (String, String) {
    ("cannot be read".to_owned(), "Let the user that runs this read it.".to_owned())
}

struct Walk<'a> {
    git: &'a mut Git,
    /// What nobody sees: something is mounted there.
    hidden: BTreeSet<PathBuf>,
    tar: tar::Builder<Vec<u8>>,
    /// What is in the archive so far; whether it is a directory.
    entries: BTreeMap<PathBuf, bool>,
    count: usize,
    /// Files that are there and belong to no release.
    ignored: Vec<PathBuf>,
    only_keepers: bool,
    /// So many bytes may follow.
    room: u64,
}

type Walked = Result<(), (String, String)>;

impl Walk<'_> {
    fn directory(&mut self, path: &Path, name: &Path, is_taken: bool) -> Walked {
        let meta = fs::symlink_metadata(path).map_err(|_| unreadable())?;
        self.empty(name, meta.mode(), true)?;
        let before = self.git.enter(path);
        let entries = fs::read_dir(path).map_err(|_| unreadable())?;
        let entries: BTreeSet<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        for entry in entries {
            let Some(last) = entry.file_name() else { continue };
            if last == ".git" || self.git.is_own(&entry) {
                continue;
            }
            let meta = fs::symlink_metadata(&entry).map_err(|_| unreadable())?;
            let is_taken = is_taken && self.git.takes(&entry, meta.is_dir());
            let name = name.join(last);
            if self.hidden.contains(&name) {
                continue;
            }
            if meta.is_dir() {
                self.directory(&entry, &name, is_taken)?;
            } else {
                self.file(&entry, &name, is_taken)?;
            }
        }
        self.git.leave(before);
        Ok(())
    }

    /// Makes a place for what is mounted there, and the directories above it.
    fn place(&mut self, below: &Path, is_directory: bool) -> Walked {
        let whole = Path::new(DIRECTORY).join(below);
        let mut above: Vec<&Path> = whole.ancestors().collect();
        above.reverse();
        for name in above.into_iter().filter(|name| *name != Path::new("")) {
            match self.entries.get(name) {
                Some(true) => {}
                // A link leads on, and nobody knows where to.
                Some(false) => return Ok(()),
                None => self.empty(name, 0o755, is_directory || name != whole)?,
            }
        }
        Ok(())
    }

    /// A directory as such, or an empty file.
    fn empty(&mut self, name: &Path, mode: u32, is_directory: bool) -> Walked {
        let kind = if is_directory { tar::EntryType::Directory } else { tar::EntryType::Regular };
        let mut header = header(kind, mode, 0);
        self.entries.insert(name.to_owned(), is_directory);
        self.tar.append_data(&mut header, name, std::io::empty()).map_err(|_| unreadable())
    }

    fn file(&mut self, path: &Path, name: &Path, is_taken: bool) -> Walked {
        if !is_taken {
            self.ignored.push(path.to_owned());
            return Ok(());
        }
        self.entries.insert(name.to_owned(), false);
        let meta = fs::symlink_metadata(path).map_err(|_| unreadable())?;
        self.only_keepers &=
            KEEPERS.iter().any(|keeper| Path::new(keeper) == Path::new(path.file_name().unwrap_or_default()));
        if meta.is_symlink() {
            let target = fs::read_link(path).map_err(|_| unreadable())?;
            let mut header = header(tar::EntryType::Symlink, 0o777, 0);
            return self.tar.append_link(&mut header, name, target).map_err(|_| unreadable());
        }
        if !meta.is_file() {
            let what = format!("holds {}, which is no file", name.display());
            return Err((what, "Take sockets, pipes and devices out of what is mounted.".to_owned()));
        }
        let contents = files::read(path, self.room).map_err(|error| {
            if error.kind() == std::io::ErrorKind::FileTooLarge {
                let what =
                    format!("is larger than what is copied (256 MB for all together), at {}", name.display());
                return (what, "Put large files into an image or a volume.".to_owned());
            }
            unreadable()
        })?;
        let bytes = contents.value.expose();
        self.room = self.room.saturating_sub(bytes.len() as u64);
        self.count += 1;
        let mut header = header(tar::EntryType::Regular, meta.mode(), bytes.len() as u64);
        self.tar.append_data(&mut header, name, bytes).map_err(|_| unreadable())
    }
}

/// The same for the same content: no owner and no time, and no mode that a umask makes.
fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode & 0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn checkout(files: &[&str], ignored: &str) -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join(".gitignore"), ignored).unwrap();
        for file in files {
            let path = top.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("content of {file}")).unwrap();
        }
        let git = |words: &[&str]| {
            let mut command = Command::new("git");
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(top.path());
            assert!(command.args(words).output().unwrap().status.success());
        };
        git(&["init", "-q"]);
        git(&["add", "."]);
        top
    }

    fn looked(top: &Path, path: &str) -> Result<Tree, (String, String)> {
        let top = top.canonicalize().unwrap();
        looked_with(&top, path, &Nested::default())
    }

    fn looked_with(top: &Path, path: &str, nested: &Nested) -> Result<Tree, (String, String)> {
        let top = top.canonicalize().unwrap();
        look(&mut Git::of(&top, vec![top.join("conf/ours.yml")]).unwrap(), &top.join(path), nested, 1 << 20)
    }

    fn names(archive: &Archive) -> Vec<String> {
        let mut tar = tar::Archive::new(&archive.bytes[..]);
        tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn what_git_knows_is_a_release_with_a_name_of_its_content() {
        let top = checkout(&["conf/nginx.conf", "conf/sites/a", "one.ini"], "*.log\n");
        let Ok(Tree::Release(directory)) = looked(top.path(), "conf") else { panic!() };
        assert_eq!(
            names(&directory),
            ["d/", "d/nginx.conf", "d/sites/", "d/sites/a"].map(|n| n.trim_end_matches('/').to_owned())
        );
        let Ok(Tree::Release(file)) = looked(top.path(), "one.ini") else { panic!() };
        assert_eq!((file.path.as_str(), file.count), ("one.ini", 1));
        // What a run writes itself is no part of it.
        fs::write(top.path().join("conf/ours.yml"), "generated").unwrap();
        let Ok(Tree::Release(again)) = looked(top.path(), "conf") else { panic!() };
        assert_eq!(again.digest, directory.digest);
        fs::write(top.path().join("conf/sites/a"), "other").unwrap();
        let Ok(Tree::Release(changed)) = looked(top.path(), "conf") else { panic!() };
        assert_ne!(changed.digest, directory.digest);
    }

    #[test]
    fn what_is_not_there_or_only_kept_is_state_and_content_that_git_ignores_is_told() {
        let top = checkout(&["kept/.gitkeep"], "data/\nmixed/*.log\ndist/\nlocal.ini\n");
        for (path, has_content) in [("data", false), ("kept", false)] {
            assert!(
                matches!(looked(top.path(), path), Ok(Tree::State { has_content: c }) if c == has_content)
            );
        }
        for file in ["data/table", "mixed/a.conf", "mixed/b.log", "local.ini"] {
            fs::create_dir_all(top.path().join(file).parent().unwrap()).unwrap();
            fs::write(top.path().join(file), "x").unwrap();
        }
        assert!(matches!(looked(top.path(), "data"), Ok(Tree::State { has_content: true })));
        let (what, help) = looked(top.path(), "mixed").err().unwrap();
        assert!(
            what.contains("mixed/b.log") && help.contains("git add --force mixed/b.log"),
            "{what}: {help}"
        );
        assert!(looked(top.path(), "local.ini").err().unwrap().0.contains("is ignored by git"));
    }

    #[test]
    fn what_is_mounted_inside_has_a_place_and_hides_what_is_there() {
        let top = checkout(&["app/main.js", "app/conf/a"], "node_modules/\n");
        fs::create_dir_all(top.path().join("app/node_modules/x")).unwrap();
        fs::write(top.path().join("app/node_modules/x/index.js"), "x").unwrap();
        let places = [("node_modules", true), ("var/log", true), ("conf/b", false), ("conf/a/x", true)];
        let places: BTreeMap<PathBuf, bool> = places.map(|(path, is)| (path.into(), is)).into();
        let hidden = BTreeSet::from(["node_modules".into(), "var/log".into()]);
        let Ok(Tree::Release(archive)) = looked_with(top.path(), "app", &Nested { places, hidden }) else {
            panic!()
        };
        let mut found = names(&archive);
        found.sort();
        let expected =
            ["d", "d/conf", "d/conf/a", "d/conf/b", "d/main.js", "d/node_modules", "d/var", "d/var/log"];
        assert_eq!(found, expected);
        // Who does not mount something there would see what git ignores.
        let places = BTreeMap::from([("node_modules".into(), true)]);
        let shown = Nested { places, hidden: BTreeSet::new() };
        assert!(looked_with(top.path(), "app", &shown).is_err());
    }

    #[test]
    fn links_are_kept_and_none_is_followed_out() {
        let top = checkout(&["conf/a"], "");
        std::os::unix::fs::symlink("/etc/passwd", top.path().join("conf/out")).unwrap();
        std::os::unix::fs::symlink("/etc", top.path().join("etc")).unwrap();
        let Ok(Tree::Release(directory)) = looked(top.path(), "conf") else { panic!() };
        assert!(names(&directory).contains(&"d/out".to_owned()));
        assert!(looked(top.path(), "etc").err().unwrap().0.contains("leads out of the checkout"));
    }
}
