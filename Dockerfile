# The action's image: one static binary, the launcher that it gives to services, Docker Compose, the buildx that Compose builds
# with, and CA certificates on nothing else. 1Password's op is not ours to hand out: with-op/Dockerfile adds it.
# Builds with BuildKit and with the legacy builder (runners and act may use either), hence no cache mounts.
#
# The same commit gives the same binaries, wherever it is built: no path of the builder stays in them
# (--remap-path-prefix; scripts/reproducible checks it), nor any time.

# Small with musl, which the official image gets; with Debian's own C library it does the same and is three times as large.
FROM rust:1.95.0-slim-trixie AS launcher
WORKDIR /build
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/build=/claude-secrets --remap-path-prefix=/usr/local/cargo=/cargo --remap-path-prefix=/root/.cargo=/cargo"
COPY Cargo.toml Cargo.lock ./
COPY launcher launcher
RUN mkdir src tests && touch src/lib.rs tests/conformance.rs \
 && musl=$(uname -m)-unknown-linux-musl \
 && target=$(rustc --print host-tuple) \
 && if [ -d "$(rustc --print target-libdir --target "$musl")" ] || rustup target add "$musl"; then target=$musl; fi \
 && cargo build --locked --package claude-secrets-launcher --profile launcher --target "$target" \
 && cp "target/$target/launcher/claude-secrets-launcher" claude-secrets-exec

FROM rust:1.95.0-slim-trixie AS build
WORKDIR /build
# Writes the list of crates into the program, where scanners and inventories find it.
RUN cargo install --locked cargo-auditable@0.7.7
# crt-static also on the gnu target: the binary has to run from scratch. With musl it reads from stores as fast and is 5 %
# smaller, but computes longer: 0.76 s instead of 0.56 s for 1,000 secrets (November 2026, both with thin LTO). With an explicit --target the flags are kept
# from build scripts and procedural macros, which cannot be static.
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/build=/claude-secrets --remap-path-prefix=/usr/local/cargo=/cargo --remap-path-prefix=/root/.cargo=/cargo"
# The dependencies in a layer of their own: it is rebuilt only when they change.
COPY Cargo.toml Cargo.lock ./
COPY launcher/Cargo.toml launcher/
RUN mkdir src tests launcher/src \
 && touch src/lib.rs launcher/src/lib.rs tests/conformance.rs \
 && echo 'fn main() {}' > src/main.rs \
 && cargo auditable build --locked --release --bin claude-secrets --target "$(rustc --print host-tuple)" \
 && rm -r src launcher target/*/release/.fingerprint/claude-secrets-*
COPY launcher launcher
COPY src src
# What --version tells; a release gives it, other builds need not differ by it.
ARG COMMIT=""
RUN CLAUDE_SECRETS_COMMIT=$COMMIT \
    cargo auditable build --locked --release --bin claude-secrets --target "$(rustc --print host-tuple)" \
 && cp "target/$(rustc --print host-tuple)/release/claude-secrets" .

# Laid out first, to keep the image's layers free of what is stripped from them.
FROM rust:1.95.0-slim-trixie AS parts
WORKDIR /parts/usr/local/bin
COPY --from=docker/compose-bin:v5.6.0 /docker-compose ../lib/docker/cli-plugins/docker-compose
COPY --from=docker/buildx-bin:0.38.2 /buildx ../lib/docker/cli-plugins/docker-buildx
# Compose where `docker` would look for its plugins, and as `docker-compose`. Neither it nor buildx needs `docker` itself.
RUN strip ../lib/docker/cli-plugins/docker-* \
 && ln -s ../lib/docker/cli-plugins/docker-compose docker-compose \
 && mkdir -p /parts/etc/ssl/certs \
 && cp /etc/ssl/certs/ca-certificates.crt /parts/etc/ssl/certs/ \
 && mkdir -m 1777 /parts/tmp

FROM scratch
LABEL org.opencontainers.image.title="claude-secrets" \
      org.opencontainers.image.description="Deploys a Docker Compose project with its secrets as Docker secrets" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=parts /parts /
COPY --from=build /build/claude-secrets /usr/local/bin/
COPY --from=launcher /build/claude-secrets-exec /usr/local/bin/
# With what scripts/notices wrote, where it has: a release hands out others' work, and their licences with it.
COPY LICENSE NOTICE third-party-notices* /usr/share/doc/claude-secrets/
# Else buildx keeps its notes in HOME, which is a folder of the runner's.
ENV BUILDX_CONFIG=/tmp/buildx
ENTRYPOINT ["/usr/local/bin/claude-secrets"]
