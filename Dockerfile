# The daemon in a container, with nothing else in it:
#
#   docker build -t detour .
#   docker run -p 53:53/udp -p 53:53/tcp -v /etc/detour:/etc/detour:ro -v detour:/var/lib/detour detour
#
# In a container detour.toml should say state_dir = "/var/lib/detour" and listen = ["0.0.0.0:53"]. The
# control address stays on loopback: the health check, and `docker exec NAME detour status`, run inside.

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
RUN cargo build --profile dist --locked --bin detour \
    && install -d /out

# libc, libgcc and the CA certificates https probes trust; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build --chown=65532:65532 /out/ /var/lib/detour/
COPY --from=build /src/target/dist/detour /usr/local/bin/detour
VOLUME /var/lib/detour
EXPOSE 53/udp 53/tcp
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/detour", "healthz", "-c", "/etc/detour/detour.toml"]
STOPSIGNAL SIGTERM
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/detour"]
CMD ["serve", "-c", "/etc/detour/detour.toml"]
