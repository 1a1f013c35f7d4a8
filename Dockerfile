# The action's image: one static binary, the launcher that it gives to services, Docker Compose, the docker CLI, 1Password's
# op and CA certificates on nothing else.
# Builds with BuildKit and with the legacy builder (runners and act may use either), hence no cache mounts.

# Small with musl, which the official image gets; with Debian's own C library it does the same and is three times as large.
FROM rust:1.95.0-slim-trixie AS launcher
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY launcher launcher
RUN mkdir src tests && touch src/lib.rs tests/conformance.rs \
 && musl=$(uname -m)-unknown-linux-musl \
 && target=$(rustc --print host-tuple) \
 && if [ -d "$(rustc --print target-libdir --target "$musl")" ] || rustup target add "$musl"; then target=$musl; fi \
 && RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --locked --package claude-secrets-launcher --profile launcher --target "$target" \
 && cp "target/$target/launcher/claude-secrets-launcher" claude-secrets-exec

FROM rust:1.95.0-slim-trixie AS build
WORKDIR /build
# crt-static also on the gnu target: the binary has to run from scratch. With an explicit --target the flag is kept
# from build scripts and procedural macros, which cannot be static.
ENV RUSTFLAGS="-C target-feature=+crt-static"
# The dependencies in a layer of their own: it is rebuilt only when they change.
COPY Cargo.toml Cargo.lock ./
COPY launcher/Cargo.toml launcher/
RUN mkdir src tests launcher/src \
 && touch src/lib.rs launcher/src/lib.rs tests/conformance.rs \
 && echo 'fn main() {}' > src/main.rs \
 && cargo build --locked --release --bin claude-secrets --target "$(rustc --print host-tuple)" \
 && rm -r src launcher target/*/release/.fingerprint/claude-secrets-*
COPY launcher launcher
COPY src src
RUN cargo build --locked --release --bin claude-secrets --target "$(rustc --print host-tuple)" \
 && cp "target/$(rustc --print host-tuple)/release/claude-secrets" .

# Laid out first, to keep the image's layers free of what is stripped from them.
FROM rust:1.95.0-slim-trixie AS parts
WORKDIR /parts/usr/local/bin
COPY --from=docker:28.2.2-cli /usr/local/bin/docker .
COPY --from=docker/compose-bin:v2.40.3 /docker-compose ../lib/docker/cli-plugins/docker-compose
COPY --from=1password/op:2.39.0 /usr/local/bin/op .
# Compose as a plugin for `docker compose`, and as `docker-compose`, which starts in half the time. 1Password's op, which is
# static too, stays as it is, but for rights that its own image may have given it.
RUN strip docker ../lib/docker/cli-plugins/docker-compose \
 && chmod 0755 op \
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
ENTRYPOINT ["/usr/local/bin/claude-secrets"]
