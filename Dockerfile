# Serves the model that is mounted at /model (docs/serving.md):
#   docker build -t unified_vl .
#   docker run -p 8000:8000 -v $PWD/runs/demo/model:/model:ro -e UNIFIED_VL_TOKEN=... unified_vl
FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 \
    TOKENIZERS_PARALLELISM=false
WORKDIR /build
COPY constraints.txt pyproject.toml README.md LICENSE ./

# torch first, its CPU build: the default one brings gigabytes of CUDA
RUN pip install --constraint constraints.txt --index-url https://download.pytorch.org/whl/cpu \
    torch torchvision
COPY unified_vl unified_vl
RUN pip install --constraint constraints.txt ".[serve]" && rm -rf /build/*

RUN useradd --create-home --uid 10001 served
USER served
WORKDIR /home/served
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=3)"]
# exec form: the server itself gets SIGTERM, and answers what it has before it ends
ENTRYPOINT ["unified-vl", "serve", "/model", "--host", "0.0.0.0"]
