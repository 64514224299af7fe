# Two images from one file: `--target api` (no TensorFlow) and `--target worker` (worker, sweeper,
# trainer, migrations). `--build-arg ACCELERATOR=gpu` gives a worker for NVIDIA GPUs.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM scratch AS source
COPY facetag /facetag
COPY api /api
COPY cli /cli
COPY migrations /migrations
COPY trainer /trainer
COPY worker /worker

# The libraries are installed before the source is copied: a change of ours rebuilds seconds of it.
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/facetag
ENV PATH=/opt/facetag/bin:$PATH
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./

FROM build AS build-api
RUN pip install -c constraints.txt ".[api]"
COPY --from=source / ./
RUN pip install --no-deps --force-reinstall .

FROM build AS build-worker
ARG ACCELERATOR=cpu
RUN pip install -c constraints.txt ".[${ACCELERATOR},train]"
COPY --from=source / ./
RUN pip install --no-deps --force-reinstall .

FROM ${PYTHON_IMAGE} AS runtime
RUN useradd --uid 10001 --create-home facetag
ENV PATH=/opt/facetag/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /home/facetag

FROM runtime AS worker
ENV FACETAG_BUNDLE=/srv/facetag/models/default FACETAG_DATA_DIR=/home/facetag/data \
    MPLCONFIGDIR=/tmp/matplotlib
# A volume that is mounted here belongs to the same user.
RUN install -d -o facetag -g facetag /home/facetag/data
COPY --from=build-worker /opt/facetag /opt/facetag
COPY models/default /srv/facetag/models/default
USER 10001
# Workers of this image start in seconds, on any processor. A GPU's worker uses nothing of it.
ARG ACCELERATOR=cpu
RUN if [ "$ACCELERATOR" = cpu ]; then facetag warm --any-processor; fi
ENTRYPOINT ["facetag"]
CMD ["worker"]

FROM runtime AS api
ENV FACETAG_API_HOST=0.0.0.0 FACETAG_API_PORT=8000
COPY --from=build-api /opt/facetag /opt/facetag
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["facetag"]
CMD ["api"]
