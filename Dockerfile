# Three images from one file: `--target api` (no TensorFlow), `--target worker` (worker, sweeper,
# migrations) and `--target trainer`, which adds what fitting needs.
# `--build-arg ACCELERATOR=gpu` gives workers and trainers for NVIDIA GPUs.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM scratch AS source
COPY facetag /facetag
COPY api /api
COPY cli /cli
COPY migrations /migrations
COPY trainer /trainer
COPY worker /worker

# The libraries are installed before the source is copied: a change of ours rebuilds seconds of it.
# What no process uses is deleted: descriptions of Amazon's other services, headers, tests, symbols.
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN apt-get update -qq && apt-get install -qq --no-install-recommends binutils
RUN python -m venv /opt/facetag
ENV PATH=/opt/facetag/bin:$PATH
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./

FROM build AS build-api
RUN pip install -c constraints.txt ".[api]"
RUN cd /opt/facetag/lib/python3*/site-packages \
    && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sqs ! -name 'sso*' ! -name sts \
        -exec rm -r '{}' + \
    && find . -type f '(' -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.c' ')' -delete \
    && strip --strip-unneeded uvloop/*.so httptools/parser/*.so
COPY --from=source / ./
RUN pip install --no-deps --force-reinstall .
RUN pip uninstall --yes setuptools pip

FROM build AS build-worker
ARG ACCELERATOR=cpu
RUN pip install -c constraints.txt ".[${ACCELERATOR}]"
RUN cd /opt/facetag/lib/python3*/site-packages \
    && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sqs ! -name 'sso*' ! -name sts \
        -exec rm -r '{}' + \
    && rm -r clang tensorflow/include tensorflow/compiler/mlir/stablehlo/*.so \
        tensorflow/compiler/tf2xla/ops/*.so openvino/include openvino/libs/cache.json \
        openvino/libs/*_gpu_plugin.so openvino/libs/*_npu_plugin.so \
        openvino/libs/*_onnx_frontend* openvino/libs/*_pytorch_frontend* \
        openvino/libs/*_paddle_frontend* openvino/libs/*_gguf_frontend* \
        openvino/libs/*_tensorflow_lite_frontend* openvino/libs/*_jax_frontend* \
        openvino/libs/*_auto_plugin.so openvino/libs/*_auto_batch_plugin.so \
        openvino/libs/*_hetero_plugin.so \
    && find numpy scipy -type d -name tests -prune -exec rm -r '{}' + \
    && find . -type f '(' -name '*.pyi' -o -name '*.h' -o -name '*.pyx' -o -name '*.pxd' \
        -o -name '*.c' ')' -delete \
    && strip --strip-unneeded tensorflow/libtensorflow_*.so.2 \
        tensorflow/python/profiler/internal/*.so tensorflow/lite/python/*.so
COPY --from=source / ./
RUN pip install --no-deps --force-reinstall .

# Workers load TensorFlow only to trace a network that is new: its bytecode would cost more than it
# saves, and it imports none of these packages.
FROM build-worker AS lean-worker
RUN cd /opt/facetag/lib/python3*/site-packages \
    && find tensorflow keras -name '*.pyc' -delete \
    && pip uninstall --yes grpcio setuptools pip

# Only what is added to the worker's libraries is copied to the trainer's image.
FROM build-worker AS build-trainer
ARG ACCELERATOR=cpu
RUN touch /stamp
RUN pip install -c constraints.txt ".[${ACCELERATOR},train]"
RUN cd /opt/facetag/lib/python3*/site-packages \
    && find pandas scipy sklearn matplotlib -type d -name tests -prune -exec rm -r '{}' + \
    && mkdir /added && find /opt/facetag -type f -newer /stamp -exec cp --parents -t /added '{}' +

FROM ${PYTHON_IMAGE} AS runtime
RUN useradd --uid 10001 --create-home facetag
ENV PATH=/opt/facetag/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /home/facetag

FROM runtime AS worker
ENV FACETAG_BUNDLE=/srv/facetag/models/default FACETAG_DATA_DIR=/home/facetag/data
# A volume that is mounted here belongs to the same user.
RUN install -d -o facetag -g facetag /home/facetag/data
COPY --from=lean-worker /opt/facetag /opt/facetag
COPY models/default /srv/facetag/models/default
USER 10001
# Workers of this image start in seconds, on any processor: what is compiled for the one here goes.
# A GPU's worker uses nothing of it.
ARG ACCELERATOR=cpu
RUN if [ "$ACCELERATOR" = cpu ]; then \
        facetag warm --any-processor && rm -r .cache/facetag/graphs/compiled; \
    fi
ENTRYPOINT ["facetag"]
CMD ["worker"]

FROM worker AS trainer
ENV MPLCONFIGDIR=/tmp/matplotlib
COPY --from=build-trainer /added /
CMD ["worker", "--trainer"]

FROM runtime AS api
ENV FACETAG_API_HOST=0.0.0.0 FACETAG_API_PORT=8000
COPY --from=build-api /opt/facetag /opt/facetag
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["facetag"]
CMD ["api"]
