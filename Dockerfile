# BuildKit builds this, as every Docker does since 23 (before: DOCKER_BUILDKIT=1).
# A static binary and nothing else: no shell, no libraries, no package manager, no root.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends musl-tools make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY templates templates
COPY static static
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    target="$(uname -m)-unknown-linux-musl" \
 && rustup target add "$target" \
 && cargo build --release --locked --bin latchkey --target "$target" \
 && mkdir -p /out/keys \
 && cp "target/$target/release/latchkey" /out/latchkey

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="Latchkey" \
      org.opencontainers.image.description="A standalone OpenID Connect Provider" \
      org.opencontainers.image.source="https://github.com/latchkey-id/latchkey" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /out/latchkey /latchkey
# A volume mounted here starts as a copy of this folder, and so belongs to the user below.
COPY --from=build --chown=65532:65532 --chmod=0700 /out/keys /keys

USER 65532:65532
# So that `docker compose exec latchkey latchkey user add ada` finds the program.
ENV PATH=/ KEYS_DIR=/keys
VOLUME ["/keys"]
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/latchkey", "healthcheck"]
ENTRYPOINT ["/latchkey"]
CMD ["serve"]
