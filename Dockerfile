# Pagebind with what it needs for folders, Google Cloud Storage, S3 and notifications: docker build -t pagebind .
#
# The base is pinned by its tag and gets security fixes with every build. To pin it by digest, look it up
# (docker buildx imagetools inspect python:3.13-slim) and build with --build-arg PYTHON=python:3.13-slim@sha256:...
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements-image.txt requirements-image-build.txt ./
# Only wheels: a source distribution would be built by tools that no hash vouches for.
RUN python -m venv --without-pip /opt/pagebind \
    && python -m pip --python /opt/pagebind/bin/python install --only-binary :all: --require-hashes -r requirements-image.txt \
    && python -m pip install --target /opt/build --only-binary :all: --require-hashes -r requirements-image-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY shared/pagebind shared/pagebind
RUN PYTHONPATH=/opt/build python -m pip wheel --no-build-isolation --no-deps --wheel-dir /opt/wheels . \
    && python -m pip --python /opt/pagebind/bin/python install --no-deps --no-index --find-links /opt/wheels pagebind

FROM ${PYTHON}
LABEL org.opencontainers.image.title="Pagebind" \
    org.opencontainers.image.description="Turns folders of comic pages on an Alist or OpenList server into CBZ files" \
    org.opencontainers.image.licenses="Apache-2.0"
# 1000 is the first user of most machines: books in a folder of theirs are theirs. Any other uid works as well.
RUN groupadd --gid 1000 pagebind && useradd --uid 1000 --gid 1000 --create-home pagebind
# Whoever runs it writes the lock of runs to /state, for stores that are buckets.
RUN install -d /config && install -d -m 1777 /state && install -d -o 1000 -g 1000 /data/work /data/library
COPY --from=builder /opt/pagebind /opt/pagebind
# The packages belong to root and are compiled already; with a read-only root there is nowhere to write to.
ENV PATH=/opt/pagebind/bin:$PATH \
    PAGEBIND_CONFIG=/config/pagebind.toml \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_STATE_HOME=/state
USER 1000:1000
WORKDIR /config
# It ends within ten seconds, which is what `docker stop` waits.
STOPSIGNAL SIGTERM
# Well is who is at work, however long, or ended a good run within two hours: the interval only says how soon it shows.
# Each check of a bucket is one listing and, as a rule, one read.
HEALTHCHECK --interval=2m --timeout=30s --start-period=5m --retries=3 CMD ["pagebind", "status", "--check", "--quiet"]
ENTRYPOINT ["pagebind"]
CMD ["serve"]
