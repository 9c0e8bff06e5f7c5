# Meridian alone, in a small image that runs as nobody in particular. docker-compose.yml builds and uses it.
FROM rust:1-bookworm AS build
WORKDIR /meridian
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY config config
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/meridian/target \
    cargo build --release --locked --bin meridian && cp target/release/meridian /usr/local/bin/meridian

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --shell /usr/sbin/nologin meridian
COPY --from=build /usr/local/bin/meridian /usr/local/bin/meridian
USER meridian
EXPOSE 6432 6433
ENTRYPOINT ["meridian"]
CMD ["serve", "--config", "/etc/meridian/meridian.toml"]
