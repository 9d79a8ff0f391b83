# tap-callcap in an image of its own, with the versions of uv.lock.
#
#   docker build --tag tap-callcap .
#   docker build --tag callcap-postgres --build-arg TARGET=meltanolabs-target-postgres==0.8.1 .
#
# The second image also has a target, in an environment of its own, and load.sh.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
SHELL ["/bin/sh", "-euxc"]
# hadolint ignore=DL3008
RUN apt-get update; \
    apt-get install --yes --no-install-recommends ca-certificates python3-venv; \
    rm -rf /var/cache/apt/* /var/lib/apt/lists/*
RUN python3 -m venv /opt/uv; \
    /opt/uv/bin/pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY schemas schemas
COPY tap_callcap tap_callcap
ENV UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
RUN UV_PROJECT_ENVIRONMENT=/opt/tap /opt/uv/bin/uv sync --locked --no-dev --no-editable --compile-bytecode; \
    mkdir /opt/target
ARG TARGET=
# A pip_url of meltano.yml may have several requirements.
# hadolint ignore=SC2086
RUN if [ -n "$TARGET" ]; then \
        /opt/uv/bin/uv venv /opt/target --allow-existing; \
        /opt/uv/bin/uv pip install --python /opt/target --compile-bytecode $TARGET; \
    fi

FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates python3-minimal libpython3-stdlib tini && \
    rm -rf /var/cache/apt/* /var/lib/apt/lists/* && \
    useradd --uid 10001 --create-home callcap
COPY --from=build /opt/tap /opt/tap
COPY --from=build /opt/target /opt/target
COPY --chmod=755 examples/load.sh /usr/local/bin/load.sh
ENV PATH=/opt/tap/bin:/opt/target/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/callcap
ENTRYPOINT ["tini", "--", "tap-callcap"]
CMD ["--config=ENV"]
