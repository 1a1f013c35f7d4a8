//! Variables that the programs which a run starts read for themselves: no secret can have such a name. In its place stands
//! a placeholder while Docker's programs run, and with a placeholder for a `PATH` nothing runs.

/// Who reads a variable of a family, and how the names begin.
const FAMILIES: &[(&str, &str)] = &[
    ("LD_", "the loader"),
    ("DYLD_", "the loader"),
    ("MALLOC_", "the C library"),
    ("DOCKER_", "Docker"),
    ("COMPOSE_", "Docker Compose"),
    ("BUILDKIT_", "Docker's builder"),
    ("BUILDX_", "Docker's builder"),
    ("XDG_", "every program"),
];

/// How a name ends that is a credential's, perhaps with `_FILE` behind it: `DOCKER_PASSWORD` and `LD_SDK_KEY` are real secrets, and no program reads a
/// variable of a family above whose name ends so.
const CREDENTIALS: &[&str] =
    &["PASSWORD", "PASS", "PASSWD", "TOKEN", "PAT", "USERNAME", "USER", "SECRET", "KEY", "CREDENTIALS"];

/// Names that are in no family. Proxies are not among them: their addresses hold passwords, people do declare them, and
/// Docker's programs reach the engine without.
const NAMES: &[(&str, &str)] = &[
    ("PATH", "every program"),
    ("HOME", "every program"),
    ("SHELL", "every program"),
    ("IFS", "the shell"),
    ("ENV", "the shell"),
    ("BASH_ENV", "the shell"),
    ("SHELLOPTS", "the shell"),
    ("BASHOPTS", "the shell"),
    ("TMPDIR", "every program"),
    ("GLIBC_TUNABLES", "the loader"),
    ("GCONV_PATH", "the C library"),
    ("LOCPATH", "the C library"),
    ("NLSPATH", "the C library"),
    ("RES_OPTIONS", "the C library"),
    ("LOCALDOMAIN", "the C library"),
    ("HOSTALIASES", "the C library"),
    ("GODEBUG", "every program in Go"),
    ("GOGC", "every program in Go"),
    ("GOMEMLIMIT", "every program in Go"),
    ("GOMAXPROCS", "every program in Go"),
    ("GOTRACEBACK", "every program in Go"),
    ("GOCOVERDIR", "every program in Go"),
    ("GOFIPS140", "every program in Go"),
    ("ZONEINFO", "every program in Go"),
    ("SSL_CERT_FILE", "every program in Go"),
    ("SSL_CERT_DIR", "every program in Go"),
    ("SSH_AUTH_SOCK", "ssh"),
    ("SSH_ASKPASS", "ssh"),
    ("GIT_DIR", "git"),
    ("GIT_WORK_TREE", "git"),
    ("GIT_INDEX_FILE", "git"),
    ("GIT_EXEC_PATH", "git"),
    ("GIT_SSH", "git"),
    ("GIT_SSH_COMMAND", "git"),
    ("GIT_ASKPASS", "git"),
    ("GIT_CONFIG_GLOBAL", "git"),
    ("GIT_CONFIG_SYSTEM", "git"),
    ("GIT_CONFIG_COUNT", "git"),
    ("SOURCE_DATE_EPOCH", "Docker's builder"),
    ("SECRETS_MODE", "the services, which get it from this program,"),
];

/// Who reads the variable `name` for itself; `None` when nobody does.
pub fn reader(name: &str) -> Option<&'static str> {
    if let Some((_, reader)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(reader);
    }
    let (_, reader) = FAMILIES.iter().find(|(start, _)| name.starts_with(start))?;
    let whole = name.strip_suffix("_FILE").unwrap_or(name);
    let last = whole.rsplit('_').next().unwrap_or(whole);
    (!CREDENTIALS.contains(&last)).then_some(*reader)
}

/// Who reads the variable of a secret of this name, or the one that names its file.
pub fn reader_for_secret(name: &str) -> Option<&'static str> {
    reader(name).or_else(|| reader(&format!("{name}_FILE")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_read_is_no_secrets_name() {
        for name in [
            "PATH",
            "HOME",
            "TMPDIR",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "LD_AUDIT",
            "GLIBC_TUNABLES",
            "DOCKER_HOST",
            "DOCKER_CONFIG",
            "DOCKER_CONTEXT",
            "DOCKER_TLS_VERIFY",
            "DOCKER_CERT_PATH",
            "DOCKER_API_VERSION",
            "DOCKER_DEFAULT_PLATFORM",
            "DOCKER_AUTH_CONFIG",
            "DOCKER_BUILDKIT",
            "DOCKER_OF_TOMORROW",
            "COMPOSE_FILE",
            "COMPOSE_PROJECT_NAME",
            "COMPOSE_PROFILES",
            "BUILDKIT_HOST",
            "BUILDX_BUILDER",
            "XDG_RUNTIME_DIR",
            "GODEBUG",
            "GOMEMLIMIT",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "BASH_ENV",
            "GIT_SSH_COMMAND",
        ] {
            assert!(reader_for_secret(name).is_some(), "{name}");
        }
        // A secret `SSL_CERT` would be looked for in the file of `SSL_CERT_FILE`: all authorities of the machine.
        for name in ["SSL_CERT", "COMPOSE", "COMPOSE_ENV", "GIT_INDEX"] {
            assert!(reader_for_secret(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_people_declare_is_free() {
        for name in [
            "ANTHROPIC_API_KEY",
            "GITHUB_TOKEN",
            "DATABASE_URL",
            "DOCKER_PASSWORD",
            "DOCKER_TOKEN",
            "DOCKER_USERNAME",
            "DOCKERHUB_TOKEN",
            "DOCKER_REGISTRY_PASSWORD",
            "LD_SDK_KEY",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "NO_PROXY",
            "GIT_AUTHOR_NAME",
            "GIT_TOKEN",
            "GIT_PASSWORD",
            "SSH_PRIVATE_KEY",
            "TLS_CERT",
            "TLS_KEY",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "GOOGLE_API_KEY",
            "GODADDY_SECRET",
            "PATH_TO_KEY",
            "MY_HOME",
            "USER",
            "PASSWORD",
            "TOKEN",
            "KEY",
            "AWS_SECRET_ACCESS_KEY",
            "KUBECONFIG",
            "PGPASSWORD",
            "Path",
        ] {
            assert!(reader_for_secret(name).is_none(), "{name}");
        }
    }
}
