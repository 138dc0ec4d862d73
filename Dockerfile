# CPU:  docker build --tag morning_jax .
# GPU:  docker build --build-arg EXTRAS=gpu,report --tag morning_jax:gpu .
# TPU:  docker build --build-arg EXTRAS=tpu --tag morning_jax:tpu .
# docs/how-to/container.md says how to run them.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
WORKDIR /source
RUN pip install --no-cache-dir build
COPY setup.cfg pyproject.toml MANIFEST.in README.md LICENSE NOTICE ./
COPY morning_jax morning_jax
COPY launch launch
COPY configs configs
RUN python -m build --wheel --outdir /dist

FROM python:${PYTHON}-slim-bookworm
ARG PYTHON=3.11
ARG EXTRAS=serve,report
ARG LOCKED=1
COPY constraints-${PYTHON}.txt /tmp/constraints.txt
COPY --from=build /dist /tmp/dist
RUN if [ "$LOCKED" != 1 ]; then : > /tmp/constraints.txt; fi \
  && pip install --no-cache-dir --constraint /tmp/constraints.txt \
    "$(ls /tmp/dist/*.whl)[${EXTRAS}]" \
  && rm -rf /tmp/dist /tmp/constraints.txt \
  && useradd --uid 10001 --create-home morning \
  && mkdir /work && chown morning /work
# By number, so that an orchestrator can see that it is not root.
USER 10001
WORKDIR /work
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["python"]
CMD ["-m", "launch.train", "--help"]
