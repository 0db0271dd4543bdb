"""The production shape, as far as it can be checked without a container engine.

The broker's configuration runs in a real mosquitto; of the other files it is checked that they agree with each
other and with the program.
"""

import hashlib
import re
import socket
import ssl
import stat
import subprocess
import time
import tomllib
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.bus_mqtt import MqttBus
from adapters.records_sql import SqlRecords
from api.guard import hash_token
from api.permissions import Role
from dashboards.generate import ALL, GENERATED
from dashboards.grafana import FOLDER_TITLE, FOLDER_UID
from dashboards.sources import influxdb_source, prometheus_source
from deploy import admit_prometheus, make_secrets
from gateway.gateway import Gateway
from ingest.pipeline import SUBSCRIPTIONS
from lift import topics
from lift.ports import Message
from lift.wire import PAYLOAD_BYTES_MAX
from runtime.app import parse_roles
from runtime.demo import PASSWORDS
from runtime.settings import PREFIX, Settings, load
from tests import servers
from tests.production import secured_mosquitto, variables

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()

EVERY_SERVICE = pytest.mark.parametrize("name", SERVICES)


# ------------------------------------------------------------------------------------------ secrets


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of secrets as a fresh installation makes it, with two gateways let in."""
    folder = tmp_path_factory.mktemp("production") / "secrets.d"
    assert make_secrets.main(["--folder", str(folder), "--gateway", "gw-a", "--gateway", "gw-b"]) == 0
    return folder


def passwords(folder: Path, *names: str) -> dict[str, str]:
    """Let gateways in and give the passwords that are printed for them."""
    command = [str(ROOT / "deploy/make_secrets.py"), "--folder", str(folder)]
    command += [part for name in names for part in ("--gateway", name)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(re.findall(r"gateway (\S+) signs in with the password (\S+)", printed))


def test_secrets_stay_on_this_machine(made: Path) -> None:
    """Only the owner may enter the folder, the CA's key is the owner's alone, and git ignores the place."""
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE((made / "ca.key").stat().st_mode) == 0o600
    assert f"{make_secrets.FOLDER.relative_to(ROOT)}/" in (ROOT / ".gitignore").read_text().splitlines()


def test_making_secrets_again_changes_nothing(made: Path) -> None:
    """A second run does not lock out a database that was set up with the first one's passwords."""
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    assert make_secrets.main(["--folder", str(made), "--gateway", "gw-a"]) == 0
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


def test_a_new_gateway_is_added_to_the_same_file(tmp_path: Path) -> None:
    """The broker has this very file mounted, so it has to stay this very file."""
    passwords(tmp_path / "s", "gw-a")
    file = tmp_path / "s" / "mosquitto.passwd"
    before = file.read_text(), file.stat().st_ino
    assert set(passwords(tmp_path / "s", "gw-b")) == {"gw-b"}
    assert file.read_text().startswith(before[0])
    assert file.stat().st_ino == before[1]


def test_naming_a_host_renews_the_brokers_certificate_only(tmp_path: Path) -> None:
    """Gateways keep the CA that they know the broker by."""
    folder = tmp_path / "s"
    make_secrets.main(["--folder", str(folder)])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    make_secrets.main(["--folder", str(folder), "--host", "lifts.example.org", "--host", "192.0.2.7"])
    changed = {path.name for path in folder.iterdir() if path.read_bytes() != before[path.name]}
    assert changed == {"mosquitto.crt", "mosquitto.key"}
    shown = subprocess.run(
        ["openssl", "x509", "-in", str(folder / "mosquitto.crt"), "-noout", "-ext", "subjectAltName"],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "DNS:lifts.example.org" in shown
    assert "IP Address:192.0.2.7" in shown


@pytest.mark.parametrize("name", ["", "gw/1", "gw 1", "+", "#", "ingest", "x" * 65, "gw:1"])
def test_a_name_that_could_break_out_is_refused(tmp_path: Path, name: str) -> None:
    """A gateway's name goes into topics and into the broker's files, so only plain ones are taken."""
    with pytest.raises(SystemExit) as refused:
        make_secrets.main(["--folder", str(tmp_path / "s"), "--gateway", name])
    assert refused.value.code == 2
    assert not (tmp_path / "s").exists()


def test_gateways_are_named_as_their_topics_are() -> None:
    """The script cannot import the program, so its rule of names is a copy, and equal."""
    assert make_secrets.GATEWAY_NAME.pattern == topics.GATEWAY_NAME.pattern


def test_passwords_are_kept_as_hashes(tmp_path: Path) -> None:
    """Nobody who reads the broker's file can sign in with it."""
    clear = passwords(tmp_path / "s", "gw-a")["gw-a"]
    text = (tmp_path / "s" / "mosquitto.passwd").read_text()
    assert clear not in text
    _, _, rounds, salt, digest = next(line for line in text.splitlines() if line.startswith("gw-a:")).split("$")
    assert hashlib.pbkdf2_hmac("sha512", clear.encode(), b64decode(salt), int(rounds)) == b64decode(digest)


# ------------------------------------------------------------------------------------------- broker


@dataclass
class Broker:
    """A real mosquitto under the production configuration, and what it takes to sign in."""

    server: servers.Server
    secrets: Path
    passwords: dict[str, str]

    def dial(self, user: str, password: str, *subscribe: str, client_id: str) -> MqttBus:
        """Begin to connect as a user, over TLS and with our own client."""
        return MqttBus(
            f"mqtts://localhost:{self.server.port}",
            client_id=client_id,
            subscribe=subscribe,
            username=user or None,
            password=password,
            ca=str(self.secrets / "ca.crt"),
        )

    def bus(self, user: str, *subscribe: str, client_id: str = "") -> MqttBus:
        """Connect as a user who may come in, and wait until that is done."""
        bus = self.dial(user, self.passwords[user], *subscribe, client_id=client_id or user)
        deadline = time.monotonic() + 10
        while not bus.connected:
            assert time.monotonic() < deadline, bus.failure
            time.sleep(0.01)
        return bus


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run mosquitto with deploy/mosquitto."""
    folder = tmp_path_factory.mktemp("broker")
    secrets = folder / "secrets.d"
    let_in = passwords(secrets, "gw-a", "gw-b", "demo")
    let_in["ingest"] = variables(secrets / "ingest.env")["LIFTWATCH_MQTT_PASSWORD"]
    try:
        with secured_mosquitto(folder, secrets) as server:
            yield Broker(server, secrets, let_in)
    except servers.Missing as reason:
        pytest.skip(str(reason))


def received(bus: MqttBus, *, until: str, within_s: float = 10.0) -> list[str]:
    """Give the topics of what arrives, up to and with the one that is waited for."""
    seen: list[str] = []
    while until not in seen:
        messages = bus.receive(wait_s=within_s, most=100)
        assert messages, f"{until} did not arrive; so far: {seen}"
        bus.done(messages)
        seen += [message.topic for message in messages]
    return seen


@pytest.mark.integration
def test_a_gateway_speaks_under_its_own_name_only(broker: Broker) -> None:
    """What a gateway publishes under another's name, or as a receipt, reaches nobody; its own reaches ingest."""
    with (
        closing(broker.bus("ingest", *SUBSCRIPTIONS)) as ingest,
        closing(broker.bus("gw-b", *Gateway.subscriptions("gw-b"))) as other,
        closing(broker.bus("gw-a")) as gateway,
    ):
        foreign = [topics.topic("gw-b", kind) for kind in ("telemetry", "trips", "status", "receipt", "request")]
        for topic in [*foreign, topics.topic("gw-a", topics.RECEIPT), "elsewhere"]:
            gateway.publish(topic, b"{}")
        own = topics.topic("gw-a", topics.TELEMETRY)
        gateway.publish(own, b"{}")
        assert received(ingest, until=own) == [own]
        ingest.publish(topics.topic("gw-b", topics.RECEIPT), b"real")
        receipt = other.receive(wait_s=10, most=10)
        assert [message.payload for message in receipt] == [b"real"]
        other.done(receipt)


@pytest.mark.integration
def test_a_gateway_hears_only_what_is_for_it(broker: Broker) -> None:
    """Another gateway's receipts, requests and readings are none of its business."""
    everything = [*SUBSCRIPTIONS, "lifts/v1/+/receipt", "lifts/v1/+/request", "#"]
    with closing(broker.bus("gw-b", *everything)) as curious, closing(broker.bus("ingest", *SUBSCRIPTIONS)) as ingest:
        with closing(broker.bus("gw-a")) as gateway:
            gateway.publish(topics.topic("gw-a", topics.TELEMETRY), b"{}")
            received(ingest, until=topics.topic("gw-a", topics.TELEMETRY))
        for gateway_name in ("gw-a", "gw-b"):
            ingest.publish(topics.topic(gateway_name, topics.RECEIPT), b"{}")
            ingest.publish(topics.topic(gateway_name, topics.REQUEST), b"{}")
        heard = received(curious, until=topics.topic("gw-b", topics.REQUEST))
        assert set(heard) == {topics.topic("gw-b", topics.RECEIPT), topics.topic("gw-b", topics.REQUEST)}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("user", "password"), [("", ""), ("gw-a", "wrong"), ("gw-a", ""), ("nobody", "x"), ("ingest", "wrong")]
)
def test_strangers_stay_outside(broker: Broker, user: str, password: str) -> None:
    """Nobody gets in without a name and its password."""
    with closing(broker.dial(user, password, client_id="stranger")) as bus:
        deadline = time.monotonic() + 10
        while not bus.failure:
            assert time.monotonic() < deadline
            assert not bus.connected
            time.sleep(0.01)
        assert not bus.connected


@pytest.mark.integration
def test_a_broker_of_another_ca_is_not_trusted(broker: Broker, made: Path) -> None:
    """A gateway with its own city's CA does not give its password to a stranger's broker."""
    for ca, trusted in ((broker.secrets / "ca.crt", True), (made / "ca.crt", False)):
        context = ssl.create_default_context(cafile=str(ca))
        with socket.create_connection(("localhost", broker.server.port), timeout=5) as plain:
            if trusted:
                context.wrap_socket(plain, server_hostname="mosquitto").close()
            else:
                with pytest.raises(ssl.SSLCertVerificationError):
                    context.wrap_socket(plain, server_hostname="mosquitto")


@pytest.mark.integration
def test_the_port_speaks_tls_only(broker: Broker) -> None:
    """A password never crosses the network in clear: without TLS there is no answer."""
    with socket.create_connection(("localhost", broker.server.port), timeout=5) as plain:
        plain.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
        try:
            answer = plain.recv(4)
        except ConnectionError:
            answer = b""
    assert not answer.startswith(b"\x20")  # CONNACK


@pytest.mark.integration
def test_no_gateway_takes_over_anothers_session(broker: Broker) -> None:
    """A client that gives another's client id neither throws it out nor gets its messages."""
    with (
        closing(broker.bus("gw-a", *Gateway.subscriptions("gw-a"), client_id="shared")) as honest,
        closing(broker.bus("gw-b", client_id="shared")) as rogue,
        closing(broker.bus("ingest")) as ingest,
    ):
        topic = topics.topic("gw-a", topics.RECEIPT)
        ingest.publish(topic, b"{}")
        assert received(honest, until=topic) == [topic]
        assert honest.connected
        assert rogue.connected
        assert rogue.receive(wait_s=0.2, most=1) == []


@pytest.mark.integration
def test_the_largest_message_passes_and_survives_a_restart(broker: Broker) -> None:
    """4 MB pass, and what ingest has not acknowledged is there again after the broker was stopped and started."""
    topic = topics.topic("gw-a", topics.TELEMETRY)
    with closing(broker.bus("ingest", *SUBSCRIPTIONS)) as ingest:
        with closing(broker.bus("gw-a")) as gateway:
            gateway.publish(topic, b"x" * (PAYLOAD_BYTES_MAX - 100))
        first = _first(ingest, topic)
        broker.server.stop()
        broker.server.start()
        again = _first(ingest, topic)
        ingest.done([again])
    assert len(again.payload) == len(first.payload) == PAYLOAD_BYTES_MAX - 100


def _first(bus: MqttBus, topic: str) -> Message:
    for _ in range(40):
        for message in bus.receive(wait_s=0.5, most=1):
            if message.topic == topic:
                return message
            bus.done([message])
    pytest.fail(f"{topic} did not arrive")


def test_the_broker_refuses_what_ingest_would_not_read() -> None:
    """One limit on the size of a message, not two."""
    settings = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text()
    assert f"message_size_limit {PAYLOAD_BYTES_MAX}\n" in settings


# ------------------------------------------------------------------------------------------ compose


@EVERY_SERVICE
def test_every_service_is_hardened_and_bounded(name: str) -> None:
    """Nothing runs as root, writes outside its volumes, grows without limit or stays down."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == ("no" if name == "metrics-token" else "unless-stopped")
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert name in OURS or re.fullmatch(r"[1-9]\d*:\d+", service["user"])
    assert re.search(r":v?\d+\.\d+(\.\d+)?$", service["image"]), "a version is pinned"
    assert "healthcheck" in service or name in OURS


@EVERY_SERVICE
def test_what_a_service_mounts_and_needs_exists(name: str) -> None:
    """Files are in the repository, secrets are made by the script, volumes and networks are declared."""
    service = SERVICES[name]
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]
    assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert set(service.get("depends_on", ())) <= set(SERVICES)


def test_the_script_makes_every_secret(made: Path) -> None:
    """After one run of the script nothing that Compose wants is missing, and nothing it makes is of no use."""
    wanted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    wanted |= {Path(file).name for name in OURS for file in SERVICES[name]["env_file"]}
    assert wanted | {"ca.key"} == {path.name for path in made.iterdir()}


@EVERY_SERVICE
def test_no_secret_stands_in_the_file(name: str) -> None:
    """Passwords and tokens are read from files."""
    for key, value in SERVICES[name].get("environment", {}).items():
        assert not re.search("PASSWORD|TOKEN|SECRET", key) or str(value).startswith("/run/secrets/"), key


@pytest.mark.parametrize("name", sorted(OURS - {"metrics-token"}))
def test_every_setting_is_one_of_ours(name: str, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Compose sets for a role is read by the program, and accepted."""
    given = {
        key: value for file in SERVICES[name]["env_file"] for key, value in variables(made / Path(file).name).items()
    }
    given |= SERVICES[name].get("environment", {})
    given |= dict(re.findall(r"(LIFTWATCH_\w+)=(\S+)", DOCKERFILE))
    assert {key for key in given if key.removeprefix(PREFIX).lower() not in Settings.model_fields} == set()
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    load()
    command, option, roles = SERVICES[name]["command"]
    assert (command, option) == ("serve", "--roles")
    assert parse_roles(roles)


def test_the_demo_is_well_once_its_people_have_passwords() -> None:
    """Ingest learns at its start which lifts there are, so it waits until the simulated city is registered."""
    (data_dir,) = re.findall(r"LIFTWATCH_DATA_DIR=(\S+)", DOCKERFILE)
    assert SERVICES["city"]["healthcheck"]["test"] == ["CMD", "test", "-d", f"{data_dir}/{PASSWORDS}"]
    assert SERVICES["ingest"]["depends_on"]["city"] == {"condition": "service_healthy", "required": False}


def test_stores_and_roles_agree_on_names(made: Path) -> None:
    """Database, bucket, organisation and user are spelled alike on both sides."""
    roles = variables(made / "roles.env")
    postgresql, influxdb = SERVICES["postgresql"]["environment"], SERVICES["influxdb"]["environment"]
    secret = (made / "postgres_password").read_text()
    database = f"{postgresql['POSTGRES_USER']}:{secret}@postgresql/{postgresql['POSTGRES_DB']}"
    assert roles["LIFTWATCH_RECORDS_URL"] == f"postgresql+psycopg://{database}"
    bucket, org = influxdb["DOCKER_INFLUXDB_INIT_BUCKET"], influxdb["DOCKER_INFLUXDB_INIT_ORG"]
    token = (made / "influxdb_token").read_text()
    assert roles["LIFTWATCH_TELEMETRY_URL"] == f"influxdb://influxdb:8086/{bucket}?org={org}&token={token}"


def test_only_three_ports_are_open_and_one_to_the_world() -> None:
    """Gateways reach the broker; API and Grafana are this machine's unless someone says otherwise."""
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    local = "${BIND_ADDRESS:-127.0.0.1}"
    assert ports == {
        "mosquitto": ["8883:8883"],
        "api": [f"{local}:9633:9633"],
        "grafana": [f"{local}:3000:3000"],
    }
    assert {name for name, service in SERVICES.items() if service["networks"] == ["stores"]} == {
        "postgresql",
        "influxdb",
    }
    assert COMPOSE["networks"]["stores"] == {"internal": True}


# ------------------------------------------------------------------------- Grafana and Prometheus


def test_provisioned_sources_are_what_the_dashboards_choose() -> None:
    """Both ways to a data source, the provisioned and the pushed, lead to the same uid and settings."""
    provisioned = yaml.safe_load((ROOT / "deploy/grafana/datasources.yml").read_text())
    assert provisioned["apiVersion"] == 1
    bucket = SERVICES["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_BUCKET"]
    pushed = [
        influxdb_source("http://influxdb:8086", bucket=bucket, token=""),
        prometheus_source("http://prometheus:9090"),
    ]
    for ours, theirs in zip(provisioned["datasources"], pushed, strict=True):
        assert {key: ours[key] for key in ("uid", "name", "type", "access", "url")} == {
            key: theirs[key] for key in ("uid", "name", "type", "access", "url")
        }
        settings: Any = theirs["jsonData"]
        assert ours["jsonData"].items() <= settings.items()
    files = re.findall(r"\$__file\{/run/secrets/(\w+)\}", (ROOT / "deploy/grafana/datasources.yml").read_text())
    assert set(files) <= set(SERVICES["grafana"]["secrets"])


def test_provisioned_dashboards_are_the_generated_ones() -> None:
    """Grafana looks where the generated files are mounted, and puts them where a push would."""
    provider = yaml.safe_load((ROOT / "deploy/grafana/dashboards.yml").read_text())["providers"][0]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    mounted = mounts[f"./{GENERATED.relative_to(ROOT)}"]
    assert provider["options"]["path"] == mounted
    assert (provider["folder"], provider["folderUid"]) == (FOLDER_TITLE, FOLDER_UID)
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in {f"{mounted}/{dashboard.uid}.json" for dashboard in ALL}


def test_prometheus_scrapes_every_role_that_has_an_api() -> None:
    """No role's figures are forgotten, and the token is where Prometheus looks for it."""
    job = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"][0]
    served = {name for name in OURS if SERVICES[name].get("command", ["", "", ""])[2].endswith("api")}
    assert {target for group in job["static_configs"] for target in group["targets"]} == {
        f"{name}:9633" for name in served
    }
    token = job["authorization"]["credentials_file"]
    assert Path(token).name in SERVICES["prometheus"]["secrets"]
    assert SERVICES["metrics-token"]["entrypoint"][-1] == token


def test_prometheus_is_let_in_for_years_and_for_figures_only(tmp_path: Path) -> None:
    """The recorded token is a sign-in of the role metrics, however often it is recorded."""
    url = f"sqlite:///{tmp_path}/records.db"
    now, years = 1_795_420_800_000_000, 9 * 365 * 24 * 3600 * 1_000_000
    for _ in range(2):
        admit_prometheus.admit("a token", url, now=now)
    records = SqlRecords(url)
    with closing(records), records.read() as read:
        user = read.session_user(hash_token("a token"), now + years)
    assert user is not None
    assert (user.role, user.password_hash) == (Role.METRICS, "")


# -------------------------------------------------------------------------------------------- image


def test_the_image_holds_every_package_and_nothing_else() -> None:
    """A package added to the program is missed here until the image has it; secrets and tests never get in.

    Beside the packages the image has the files that the API serves.
    """
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert lines[1] == "*"
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {name.rstrip("*") for name in declared} - {"bench"}
    assert let_in == packages | {"requirements.lock", "pyproject.toml"} | {"console", "docs/runbooks"}


def test_the_image_is_locked_and_unprivileged() -> None:
    """Dependencies are checked by hash, and the program runs under an account of its own."""
    assert "--require-hashes" in DOCKERFILE
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert bases
    assert all(re.fullmatch(r"python:3\.\d+-slim", base) for base in bases)
    stages = DOCKERFILE.split("FROM ")
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", stages[-1], re.MULTILINE)
    owners = re.findall(r"uid=(\d+),gid=(\d+)", (ROOT / "docker-compose.yml").read_text())
    assert {f"USER {user}:{group}" for user, group in owners} == set(re.findall(r"^USER \S+", DOCKERFILE, re.MULTILINE))
