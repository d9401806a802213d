# syntax=docker/dockerfile:1
# Two stages: everything that builds stays behind in the first.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/plumbline
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app app
COPY backend backend
COPY kernels kernels
# cpu: torch without CUDA, a tenth of the size. For a GPU build with
#   --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 --build-arg EXTRAS=ray,text,gpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=ray,text
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/plumbline/bin/pip install --constraint constraints.txt --extra-index-url "${TORCH_INDEX}" ".[${EXTRAS}]"

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Plumbline" org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 plumbline \
    && useradd --uid 10001 --gid plumbline --create-home plumbline \
    && install --directory --owner=plumbline --group=plumbline /workspace
COPY --from=build /opt/plumbline /opt/plumbline
ENV PATH=/opt/plumbline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PLUMBLINE_LOG_FORMAT=json
USER 10001:10001
WORKDIR /workspace
VOLUME /workspace
EXPOSE 5006
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://localhost:5006/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["plumbline"]
CMD ["serve", "--workspace", "/workspace", "--host", "0.0.0.0", "--port", "5006"]
