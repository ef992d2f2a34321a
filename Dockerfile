# docker build -t voice-agent .                       CPU
# docker build -t voice-agent --build-arg GPU=1 .     CUDA libraries and vLLM as well
#
# docker run --network host -v voice-agent:/app/var voice-agent
#
# SIP and WebRTC send media on many ports, so the host's network is used; addresses to listen on
# are those of the settings file. Models are fetched into the volume on the first start.
FROM python:3.11-slim-bookworm

ARG GPU=0

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 agent

WORKDIR /app

COPY requirements.lock requirements-gpu.lock ./
RUN if [ "$GPU" = "1" ]; then lock=requirements-gpu.lock; else lock=requirements.lock; fi \
    && pip install --no-cache-dir --require-hashes -r "$lock"

COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && mkdir -p var && chown agent:agent var

USER agent
VOLUME /app/var
ENV VOICE_AGENT_CONFIG=configs/local.yaml PYTHONUNBUFFERED=1
EXPOSE 8080/tcp 5060/udp 5060/tcp

HEALTHCHECK --interval=15s --timeout=10s --start-period=5m --retries=3 \
    CMD ["voice-agent", "check", "--running"]
STOPSIGNAL SIGTERM
CMD ["sh", "-c", "voice-agent models pull && exec voice-agent serve"]
