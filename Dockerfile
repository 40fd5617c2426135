# The service alone: no tests, and no film libraries (they bring GPL binaries), so that a simulated video is a short
# bundled clip. Keep /data. A read-only root file system is enough with a /tmp for uploads that are under way:
#
#   docker build -t greenroom .
#   docker run --read-only --tmpfs /tmp -v greenroom:/data -p 8080:8080 greenroom
#
# A replica that only works (`docker run … greenroom worker`) serves nothing: give it --no-healthcheck. On PostgreSQL:
# compose.yaml.

FROM python:3.13-slim-bookworm AS builder
COPY requirements.lock /build/
WORKDIR /build
# The environment has no pip of its own: the image installs nothing any more.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv && \
    python -m pip --python /opt/venv/bin/python install --require-hashes -r requirements.lock
COPY app /srv/greenroom/app
COPY migrations /srv/greenroom/migrations
COPY pyproject.toml /srv/greenroom/
# Compiled once, here; a hash that is not looked at suits files that never change, whatever their dates.
RUN python -m compileall -q --invalidation-mode unchecked-hash /srv/greenroom

FROM python:3.13-slim-bookworm
RUN groupadd --gid 10001 greenroom && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin greenroom && \
    install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /srv/greenroom /srv/greenroom
WORKDIR /srv/greenroom
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATABASE_URL=sqlite:////data/greenroom.db \
    STORAGE_URL=/data/files
USER 10001:10001
VOLUME /data
EXPOSE 8080
# Without proxies: one named in the environment must not be asked for the way to this container itself.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve", "--host", "0.0.0.0"]
