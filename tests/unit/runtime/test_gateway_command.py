"""`liftwatch gateway`: a checked file, real devices, and a broker that lets in who can show a certificate."""

import json
import os
import secrets as chance
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from adapters.bus_mqtt import MqttBus
from adapters.clock import SystemClock
from deploy import make_secrets
from gateway import config
from gateway.driver import Surroundings
from gateway.drivers.controller import Controller
from gateway.trips import Segmenter
from ingest.pipeline import SUBSCRIPTIONS
from lift import topics
from lift.batch import concat, from_rows
from lift.errors import Invalid, LiftError
from lift.trips import ACCELERATION_MAX, DISTANCE, JERK_MAX
from runtime import cli
from runtime.simulated_lifts import SimulatedLifts
from runtime.site import Site
from tests import servers
from tests.gateway_line import Moving
from tests.production import secured_mosquitto
from tests.unit.gateway.configured import document
from tests.unit.gateway.modbus_device import device, words
from tests.unit.gateway.test_driver_modbus import AT_REST, MAPS

WITHIN_S = 20.0
# A Monday, 18:00 in the city.
EVENING = 1_763_978_400_000_000


def command(*arguments: str) -> tuple[int, str]:
    """Run `liftwatch gateway` to its end; gives the exit status and what it said, 2 and the error when refused."""
    result = CliRunner().invoke(cli.app, ["gateway", *arguments])
    if isinstance(result.exception, LiftError):
        return 2, str(result.exception)
    return result.exit_code, result.stdout


def await_telemetry(ingest: MqttBus, gateway: str) -> dict[str, Any]:
    """Wait for a gateway's next telemetry message; gives it, and receipts every number up to its own."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        messages = ingest.receive(wait_s=0.2, most=10)
        ingest.done(messages)
        for message in messages:
            if message.topic == topics.topic(gateway, topics.TELEMETRY):
                told: dict[str, Any] = json.loads(message.payload)
                receipt = {"epoch": told["epoch"], "stored": [[1, told["seq"]]]}
                ingest.publish(topics.topic(gateway, topics.RECEIPT), json.dumps(receipt).encode())
                return told
    pytest.fail(f"nothing came from {gateway}")


# ----------------------------------------------------------------------------------------- the file


def test_the_check_tells_people_and_programs(tmp_path: Path) -> None:
    """A good file is summed up with status 0; a bad one gives each problem with file and line, and status 1."""
    file = tmp_path / "gw.toml"
    file.write_text('name = "gw"\ndriver = "controller"\n[broker]\nurl = "mqtt://h"\n[lifts.063577]\n')
    told = f"{file}: nothing is wrong: gw, 1 lift by controller, to mqtt://h\n"
    assert command("--config", str(file), "--check") == (0, told)
    file.write_text('nam = "gw"\ndriver = "controller"\n[broker]\nurl = "mqtt://h"\n[lifts.063577]\n')
    status, text = command("--config", str(file), "--check", "--json")
    assert status == 1
    assert json.loads(text)["ok"] is False
    assert {(one["line"], one["key"]) for one in json.loads(text)["problems"]} == {(1, ""), (1, "nam")}
    status, text = command("--config", str(file))
    assert status == 2
    assert f"{file}:1: nam: is not known here; did you mean name?" in text


def test_the_check_knows_raw_acceleration(tmp_path: Path) -> None:
    """Simulated lifts give it a second at a time and for few lifts; the check says so before anything runs."""
    file = tmp_path / "gw.toml"
    head = 'name = "gw"\ndriver = "controller"\n[broker]\nurl = "mqtt://h"\n[controller]\nraw = true\n'
    file.write_text(head + "[lifts.063577]\n")
    assert command("--config", str(file), "--check")[0] == 0
    file.write_text(f"{head}every_s = 0.5\n" + "".join(f"[lifts.{number}]\n" for number in range(65)))
    status, text = command("--config", str(file), "--check")
    assert status == 1
    assert text.splitlines() == [
        f"{file}:6: controller.raw: needs every_s = 1, for a step has a second of raw acceleration; it is 0.5",
        f"{file}:6: controller.raw: is for at most 64 lifts; there are 65",
    ]


def test_one_says_which_gateway_to_be() -> None:
    """A name or a file, not both and not neither; and only a file can be checked."""
    assert command() == (2, "NAME: say either --config FILE, or a NAME to read standard input")
    assert command("gw", "--config", "gw.toml")[1].startswith("NAME: say either --config FILE")
    assert command("gw", "--check") == (2, "--check: looks at a file: say --config FILE")


@pytest.mark.integration
def test_a_gateway_of_a_file_reads_a_device_until_told_to_stop(mosquitto: servers.Server, tmp_path: Path) -> None:
    """Registers of a Modbus box arrive at the broker as numbered JSON; a stop leaves nothing without a receipt."""
    name = f"gw-{chance.token_hex(4)}"
    with device({4: [words(0, *AT_REST)]}) as box, closing(_bus(mosquitto, "ingest-file", *SUBSCRIPTIONS)) as ingest:
        (tmp_path / "box.toml").write_text((MAPS / "retrofit_box.toml").read_text())
        (tmp_path / "gw.toml").write_text(
            f'name = "{name}"\ndriver = "modbus"\nencoding = "json"\n'
            f'[broker]\nurl = "mqtt://127.0.0.1:{mosquitto.port}"\n'
            f'[modbus]\nhost = "127.0.0.1:{box.port}"\nmap = "box.toml"\n[lifts.063577]\nunit = 4\n'
        )
        with _started("--config", str(tmp_path / "gw.toml"), "--json") as running:
            # The first test call goes out too, and may go out first.
            readings = [one for _ in range(2) for one in await_telemetry(ingest, name)["readings"]]
            assert {reading["lift"] for reading in readings} == {"063577"}
            (reading,) = (one for one in readings if "car_position" in one)
            assert (reading["car_position"], reading["message_codes"]) == (3, [])
            running.send_signal(signal.SIGTERM)
            out, err = running.communicate(timeout=20)
        told = json.loads(out)
        assert running.returncode == 0, err
        assert told["accepted"] >= 1
        assert told["troubles"] == {}
        assert Path(told["spool"]) == tmp_path / f"spool/{name}.db"


def test_simulated_lifts_try_a_gateway_out() -> None:
    """With the driver `controller` the file's lifts are simulated, under their own codes and at the clock's time."""
    read = document("[controller]\nevery_s = 0.01\nseed = 7\n[lifts.063577]\n[lifts.999999]\n")
    driver = Controller(read.root.section("controller"), dict(read.root.section("lifts").each()))
    clock, stop = SystemClock(), threading.Event()
    lifts = SimulatedLifts(("063577", "999999"), clock.now(), seed=driver.seed, story=driver.scenario)
    began = clock.now()
    for number, batch in enumerate(driver.batches(Surroundings(clock, stop, source=lifts))):
        assert {batch.names[slot] for slot in batch.lift} == {"063577", "999999"}
        assert began <= batch.at.max() <= clock.now()
        if number == 3:
            stop.set()
    with pytest.raises(Invalid, match="controller needs simulated lifts"):
        next(driver.batches(Surroundings(clock, threading.Event())))


def test_simulated_lifts_give_raw_acceleration_when_asked() -> None:
    """With `raw` their trips get the ride columns, whatever the clock and a slow step make of the seconds' times."""
    jitter = np.random.default_rng(1)

    class Stumbles(Moving):
        def now(self) -> int:
            return self.at + int(jitter.integers(300_000))

    class Hurry(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return self.is_set()

    read = document("[controller]\nraw = true\n[lifts.063577]\n[lifts.999999]\n")
    driver = Controller(read.root.section("controller"), dict(read.root.section("lifts").each()))
    assert read.problems == []
    clock = Stumbles()
    lifts = SimulatedLifts(("063577", "999999"), EVENING, seed=3, story="evening_peak")
    segmenter = Segmenter(("063577", "999999"))
    around = Surroundings(clock, Hurry(), source=lifts, take_raw=segmenter.take_raw)
    trips = []
    for number, batch in enumerate(driver.batches(around)):
        trips.append(segmenter.take(batch))
        clock.move(1)
        if number == 600:
            break
    rows = concat(trips)
    assert around.troubles.present() == {}
    assert len(rows) > 5
    assert not np.isnan(rows.column(JERK_MAX)).any()
    long = np.abs(rows.column(DISTANCE)) > 10
    assert rows.column(ACCELERATION_MAX)[long] == pytest.approx(0.9, rel=0.4)


# ------------------------------------------------------------------------------------- certificates


@dataclass
class Broker:
    """The production mosquitto, which here lets in only who shows a certificate of the city's own CA."""

    port: int
    folder: Path

    def site(self, name: str, text: str) -> Site:
        """Make the gateway of a file whose broker section says this."""
        file = self.folder / f"{name}.toml"
        file.write_text(
            f'name = "{name}"\ndriver = "jsonlines"\nencoding = "json"\n[spool]\nfile = "{chance.token_hex(4)}.db"\n'
            f'[broker]\nurl = "mqtts://localhost:{self.port}"\nca = "secrets.d/ca.crt"\n{text}'
        )
        found, problems = config.read(file, os.environ)
        assert problems == []
        assert found is not None
        return Site.of_config(found, SystemClock())


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run mosquitto with deploy/mosquitto, and ask for client certificates on top."""
    folder = tmp_path_factory.mktemp("certified")
    secrets = folder / "secrets.d"
    assert make_secrets.main(["--folder", str(secrets)]) == 0
    certificate(folder, "gw-007", secrets)
    certificate(folder, "ingest", secrets)
    strangers = folder / "strangers"
    make_secrets.make(strangers, hosts=[], gateways=[])
    certificate(folder, "stranger", strangers)
    extra = f"cafile {secrets}/ca.crt\nrequire_certificate true\nuse_identity_as_username true\n"
    try:
        with secured_mosquitto(folder, secrets, extra) as server:
            yield Broker(server.port, folder)
    except servers.Missing as reason:
        pytest.skip(str(reason))


def certificate(folder: Path, name: str, authority: Path) -> None:
    """Make a client's key and its certificate, as docs/gateway.md says how."""
    key, request, made = (str(folder / f"{name}.{end}") for end in ("key", "csr", "crt"))
    make_secrets.openssl("req", *make_secrets._NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    by = ["-CA", str(authority / "ca.crt"), "-CAkey", str(authority / "ca.key"), "-set_serial", "7"]
    make_secrets.openssl("x509", "-req", "-in", request, "-out", made, *by, "-days", "2", "-sha256")


@pytest.mark.integration
def test_a_certificate_from_the_file_opens_the_broker(broker: Broker) -> None:
    """The gateway comes in over TLS under its certificate's name and carries a reading to ingest."""
    ingest = MqttBus(
        f"mqtts://localhost:{broker.port}",
        client_id="ingest",
        subscribe=SUBSCRIPTIONS,
        ca=str(broker.folder / "secrets.d/ca.crt"),
        cert=str(broker.folder / "ingest.crt"),
        key=str(broker.folder / "ingest.key"),
    )
    with closing(ingest), closing(broker.site("gw-007", 'cert = "gw-007.crt"\nkey = "gw-007.key"\n')) as site:
        site.take(from_rows([{"lift": "063577", "at": SystemClock().now(), "passenger": 1}]))
        until(lambda: ingest.connected)
        told = None
        while told is None:
            site.gateway.pump()
            for message in ingest.receive(wait_s=0.1, most=10):
                ingest.done([message])
                if message.topic == topics.topic("gw-007", topics.TELEMETRY):
                    told = json.loads(message.payload)
        assert told["readings"][0]["lift"] == "063577"


@pytest.mark.integration
@pytest.mark.parametrize("text", ["", 'cert = "stranger.crt"\nkey = "stranger.key"\n'], ids=["none", "of another CA"])
def test_without_the_citys_certificate_nobody_comes_in(broker: Broker, text: str) -> None:
    """No certificate, or one that another authority has signed: the broker refuses, and readings stay on disk."""
    with closing(broker.site("gw-007", text)) as site:
        site.take(from_rows([{"lift": "063577", "at": SystemClock().now(), "passenger": 1}]))
        until(lambda: "certificate" in site._bus.failure)
        site.gateway.pump()
        assert not site._bus.connected
        assert site.spooled == 1


def until(what: Callable[[], object]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + WITHIN_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _bus(server: servers.Server, client_id: str, *subscribe: str) -> MqttBus:
    bus = MqttBus(f"mqtt://127.0.0.1:{server.port}", client_id=client_id, subscribe=subscribe)
    until(lambda: bus.connected)
    return bus


@contextmanager
def _started(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    line = [sys.executable, "-m", "runtime", "gateway", *arguments]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
