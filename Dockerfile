# avseg serve on the CPU. Build: docker build -t avseg-serve .
# Pip takes PyTorch with CUDA libraries, several GB that are not used here; pytorch.org names an index of wheels without
# them, which --build-arg PIP_EXTRA_INDEX_URL=... adds.
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home avseg && install --directory --owner avseg --group avseg /state

WORKDIR /opt/avseg
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY avseg ./avseg
ARG PIP_EXTRA_INDEX_URL=""
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt ".[serve]" \
    && rm -rf /opt/avseg

ENV PATH=/opt/venv/bin:/usr/bin:/bin PYTHONUNBUFFERED=1
USER avseg
WORKDIR /state
VOLUME /state
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz')"]
CMD ["avseg", "serve", "demo", "--host", "0.0.0.0", "--folder", "/state", "--devices", "cpu"]
