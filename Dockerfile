# syntax=docker/dockerfile:1
# Tricorn with llama.cpp for the CPU. docs/deployment.md has how it is run; for NVIDIA GPUs:
#   docker build \
#     --build-arg BUILD_IMAGE=nvidia/cuda:12.9.1-devel-ubuntu24.04 \
#     --build-arg RUNTIME_IMAGE=nvidia/cuda:12.9.1-runtime-ubuntu24.04 \
#     --build-arg CMAKE_ARGS="-DGGML_CUDA=on -DGGML_NATIVE=off" \
#     --build-arg RUNTIME_PACKAGES="gcc libc6-dev python3-dev" .
# Both images must have the same Python, 3.11 or newer, or none: then the distribution's is installed.
ARG BUILD_IMAGE=python:3.12-slim-bookworm
ARG RUNTIME_IMAGE=python:3.12-slim-bookworm

FROM ${BUILD_IMAGE} AS build
# Versions are the base image's distribution's.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential \
    && if ! command -v python3; then apt-get install -y --no-install-recommends python3-venv python3-dev; fi \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/tricorn
COPY LICENSE README.md gunicorn.conf.py pyproject.toml run.py ./
COPY requirements requirements
COPY src src
# Another engine: vllm or mlx. vLLM for CUDA is chosen where a GPU is seen, which no build does: install
# it in the running container.
ARG ENGINE=llamacpp
# Without "native" llama.cpp is built for every x86-64 CPU with AVX2, not for the one that builds.
ARG CMAKE_ARGS=-DGGML_NATIVE=off
# Traces' packages are there in case they are wanted: nothing can be added to a running container.
RUN CMAKE_ARGS="${CMAKE_ARGS}" PIP_NO_CACHE_DIR=1 python3 run.py engines install "${ENGINE}" \
    && PYTHONPATH=src PIP_NO_CACHE_DIR=1 python3 -c "from pathlib import Path; from tricorn.installing import environments, installer; environments.ensure(installer.tracing_environment(Path.cwd()), print)" \
    && python3 -m compileall -q src \
    && mkdir -p .engines/vllm data logs models

FROM ${RUNTIME_IMAGE} AS runtime
# For engines that compile while they run: vLLM on a GPU needs gcc, libc6-dev and python3-dev.
ARG RUNTIME_PACKAGES=""
# libgomp1: llama.cpp's threads.
# hadolint ignore=DL3008,SC2086
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 ${RUNTIME_PACKAGES} \
    && if ! command -v python3; then apt-get install -y --no-install-recommends python3-venv; fi \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 tricorn \
    && useradd --uid 10001 --gid 10001 --create-home --home-dir /var/lib/tricorn tricorn
WORKDIR /opt/tricorn
# The program is root's, so that the server cannot change it; what it writes is its own.
COPY --from=build /opt/tricorn /opt/tricorn
RUN chown tricorn:tricorn .engines .engines/vllm data logs models
USER 10001:10001
ENV HOME=/var/lib/tricorn \
    HOST=0.0.0.0 \
    PORT=8000 \
    RUN_DIR=/tmp/tricorn
VOLUME ["/opt/tricorn/models", "/opt/tricorn/data", "/var/lib/tricorn"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD [".venv/bin/python", "-m", "tricorn.healthcheck"]
ENTRYPOINT ["python3", "run.py"]
CMD ["--mode", "prod"]
