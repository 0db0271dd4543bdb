# Every wheel is checked against the lock's hashes; installed are the versions it names, without the tools of
# development, which the lock holds too.
FROM python:3.12-slim AS build
WORKDIR /build
COPY requirements.lock pyproject.toml ./
RUN pip download --quiet --no-cache-dir --require-hashes --only-binary :all: --no-deps -r requirements.lock -d /wheels
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' > needed.txt \
    && python -m venv /opt/liftwatch \
    && /opt/liftwatch/bin/pip install --quiet --no-cache-dir --no-index --find-links /wheels -r needed.txt \
    && /opt/liftwatch/bin/pip uninstall --quiet --yes pip

FROM python:3.12-slim
# A number of its own, so that files in volumes never belong to somebody else of the host.
RUN groupadd --gid 9633 liftwatch \
    && useradd --uid 9633 --gid 9633 --no-create-home --home-dir /var/lib/liftwatch --shell /usr/sbin/nologin liftwatch \
    && install --directory --owner 9633 --group 9633 --mode 0750 /var/lib/liftwatch
COPY --from=build /opt/liftwatch /opt/liftwatch
WORKDIR /app
# What .dockerignore lets through: the packages, nothing of their tests.
COPY . .
# The root file system may be read-only later, so bytecode is made now.
RUN /opt/liftwatch/bin/python -m compileall -q /app
ENV PATH=/opt/liftwatch/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LIFTWATCH_DATA_DIR=/var/lib/liftwatch \
    LIFTWATCH_HTTP_HOST=0.0.0.0
USER 9633:9633
VOLUME /var/lib/liftwatch
EXPOSE 9633
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9633/v1/health', timeout=4)"]
ENTRYPOINT ["python", "-m", "runtime"]
# Alone, the image shows everything at once, with a simulated city.
CMD ["run"]
