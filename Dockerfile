# All parts of Mist in one image; compose.yaml says which container is which.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm
ARG DOCKER_CLI_IMAGE=docker:28-cli

FROM ${DOCKER_CLI_IMAGE} AS docker-cli

FROM ${PYTHON_IMAGE}
# What Mist's own work needs besides Python: git clones, over SSH too; setpriv (of the base image)
# steps down to the owner of the data directory.
RUN apt-get update -q \
 && apt-get install -y -q --no-install-recommends ca-certificates git openssh-client \
 && rm -rf /var/lib/apt/lists/*
# BuildKit's client: builds run in the machine's own engine, whose socket compose.yaml brings in.
COPY --from=docker-cli /usr/local/bin/docker /usr/local/bin/docker
COPY --from=docker-cli /usr/local/libexec/docker/cli-plugins/docker-buildx \
     /usr/local/libexec/docker/cli-plugins/docker-buildx

WORKDIR /opt/mist
COPY mist requirements.txt ./
RUN ./mist install
COPY . .
RUN .venv/bin/python -c "from pathlib import Path; from apps.engine.style import build_style; build_style(Path.cwd(), log=print)" \
 && .venv/bin/python -m compileall -q apps mist_project \
 && install -m 755 container/mist container/mist-healthy /usr/local/bin/

ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["mist"]
CMD ["help"]
