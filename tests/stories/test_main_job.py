"""The main job through the real program: a trapped passenger becomes a ticket that a desk can close."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from adapters.bus_mqtt import MqttBus
from adapters.clock import SystemClock
from gateway.gateway import Gateway
from gateway.spool import Spool
from lift import topics
from lift.batch import from_rows
from tests import servers
from tests.program import Program, program, until

SECOND = 1_000_000
CLOSING: list[tuple[str, dict[str, object]]] = [
    ("accept", {}),
    ("depart", {}),
    ("arrive", {}),
    ("release", {"people": 1}),
    ("call-back", {}),
    ("file-cause", {"cause": "Rubbish in the door track 门轨异物"}),
    ("close", {}),
]


def open_tickets(desk: Program) -> list[dict[str, Any]]:
    """List the rescues under way."""
    found: list[dict[str, Any]] = desk.get("/v1/tickets?open=true")["tickets"]
    return found


@pytest.mark.timeout(180)
def test_a_trapped_passenger_becomes_a_ticket_and_is_closed(tmp_path: Path) -> None:
    """Within a minute there is a ticket; it goes to closed over the API; Ctrl-C and a restart keep it."""
    with program(tmp_path) as desk:
        desk.sign_in_as()
        assert until(lambda: open_tickets(desk), within_s=60)
        ticket = open_tickets(desk)[0]
        for move, body in CLOSING:
            status, answer = desk.ask("POST", f"/v1/tickets/{ticket['ticket_id']}/{move}", body)
            assert status == 200, answer
        closed = desk.get(f"/v1/tickets/{ticket['ticket_id']}")
        assert closed["stage"] == "closed"
        assert closed["closed_at"]
        assert [event["number"] for event in closed["events"]] == list(range(1, len(closed["events"]) + 1))
        assert [callout["level"] for callout in closed["callouts"]] == [1]
        history = desk.get(f"/v1/lifts/{ticket['lift']}/history?signals=passenger,door_zone")
        assert desk.stop() < 5
        desk.start()
        desk.sign_in_as()
        kept = desk.get(f"/v1/tickets/{ticket['ticket_id']}")
        # The lift's condition may end at any time; what people did may not change any more.
        assert {**kept, "alarms": None} == {**closed, "alarms": None}
        again = desk.get(f"/v1/lifts/{ticket['lift']}/history?signals=passenger,door_zone")
        assert set(history["at"]) <= set(again["at"])
        assert desk.get("/v1/quarantine")["messages"] == []


@pytest.mark.timeout(120)
def test_a_reading_from_outside_makes_one_ticket_whatever_repeats(tmp_path: Path) -> None:
    """A line of JSON from any MQTT client opens one ticket; repeats open no second; the stream tells it once."""
    with program(tmp_path, scenario="life", simulated_lifts=10) as desk:
        desk.sign_in_as()
        seen: list[dict[str, Any]] = []
        threading.Thread(target=_listen, args=(desk, seen), daemon=True).start()
        bus = MqttBus(desk.broker, client_id="outside")
        assert until(lambda: bus.connected, within_s=10)
        for _ in range(8):
            reading = {
                "lift": "063577",
                "at": SystemClock().now() // 1000,
                "alarm_button": 1,
                "car_status": 0,
                "door_closed": 1,
            }
            bus.publish(topics.topic("demo", topics.TELEMETRY), json.dumps(reading).encode())
            time.sleep(1)
        bus.close()
        assert until(lambda: open_tickets(desk), within_s=60)
        assert [ticket["lift"] for ticket in open_tickets(desk)] == ["063577"]
        assert until(lambda: [event for event in seen if event["kind"] == "ticket.received"], within_s=5)
        assert len([event for event in seen if event["kind"] == "alarm.raised"]) == 1
        assert desk.ask("GET", "/v1/lifts")[0] == 200
        desk.token = "nobody"
        assert desk.ask("GET", "/v1/tickets")[0] == 401


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
def test_kill_nine_loses_no_receipted_reading_and_no_ticket(tmp_path: Path, seed: int) -> None:
    """Killed at random and started again, it has every receipted reading once, and every ticket it told of."""
    chance = random.Random(seed)
    with program(tmp_path / "city", scenario="life", simulated_lifts=20) as desk:
        line = _Line(desk.broker, tmp_path / "spool.db")
        tickets: dict[str, str] = {}
        for kill in range(3):
            desk.sign_in_as()
            # In the second life somebody is trapped; in the others the lift just reports.
            line.send_for(2.0 + 6.0 * chance.random(), trapped=kill == 1)
            if kill == 1:
                assert until(lambda: open_tickets(desk), within_s=60)
            tickets |= {ticket["ticket_id"]: ticket["lift"] for ticket in open_tickets(desk)}
            desk.kill()
            line.send_for(1.0, trapped=kill == 1)
            desk.start()
        desk.sign_in_as()
        assert line.until_empty(within_s=60), f"seed {seed}: {line.spool.pending} never receipted"
        assert line.spool.counts.receipted == line.spool.counts.accepted == len(line.sent)
        assert line.spool.counts.dropped == 0
        stored = desk.get("/v1/lifts/063577/history?signals=car_position")
        assert len(stored["at"]) == len(set(stored["at"])) == len(line.sent), f"seed {seed}"
        assert stored["signals"]["car_position"] == [position for _, position in sorted(line.sent.items())]
        assert tickets
        for ticket_id, lift in tickets.items():
            assert desk.get(f"/v1/tickets/{ticket_id}")["lift"] == lift
            assert desk.ask("GET", f"/v1/tickets/{ticket_id}/audit")[0] == 200
        assert len(open_tickets(desk)) == 1
        line.close()


class _Line:
    """A gateway of the test's own, with the real spool, behind which lift 063577 counts its readings."""

    def __init__(self, broker: str, file: Path) -> None:
        self.spool = Spool(file, bytes_max=1 << 26, age_max_us=3600 * SECOND, fresh_epoch="test")
        self._bus = MqttBus(broker, client_id="demo-gateway", subscribe=Gateway.subscriptions("demo"))
        self._gateway = Gateway("demo", self._bus, self.spool, SystemClock(), resend_after_s=2.0)
        self.sent: dict[int, int] = {}

    def send_for(self, seconds: float, *, trapped: bool) -> None:
        """Accept ten readings a second and carry them as far as the platform lets us."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            at, position = SystemClock().now(), len(self.sent) % 200
            state = {"alarm_button": 1, "car_status": 0} if trapped else {"car_status": 0, "passenger": 0}
            self._gateway.accept(
                from_rows([{"lift": "063577", "at": at, "car_position": position, "door_closed": 1, **state}])
            )
            self.sent[at] = position
            self._gateway.pump(0.1)

    def until_empty(self, *, within_s: float) -> bool:
        """Carry on until every reading has its receipt."""
        end = time.monotonic() + within_s
        while self.spool.pending.messages and time.monotonic() < end:
            self._gateway.pump(0.1)
        return not self.spool.pending.messages

    def close(self) -> None:
        """Leave."""
        self._gateway.close()
        self._bus.close()
        self.spool.close()


def _listen(desk: Program, seen: list[dict[str, Any]]) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{desk.port}/v1/events", headers={"Authorization": f"Bearer {desk.token}"}
    )
    with urllib.request.urlopen(request, timeout=60) as stream:  # noqa: S310 - loopback
        lines = (line[6:] for line in stream if line.startswith(b"data: "))
        seen.extend(event for event in map(json.loads, lines) if "kind" in event)


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command of `liftwatch` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "runtime", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"LIFTWATCH_HTTP_PORT": "99999"}, "LIFTWATCH_HTTP_PORT: '99999' is not accepted"),
        (
            {"LIFTWATCH_RECORDS_URL": "mongo://x"},
            "LIFTWATCH_RECORDS_URL: 'mongo://x' is not accepted: unknown scheme 'mongo'",
        ),
        (
            {"LIFTWATCH_TELEMETRY_URL": "csv:x"},
            "LIFTWATCH_TELEMETRY_URL: 'csv:x' is not accepted: unknown scheme 'csv'",
        ),
        ({"LIFTWATCH_SCENARIO": "doomsday"}, "there is none named 'doomsday'; known are"),
        ({"LIFTWATCH_HTPP_PORT": "1"}, "LIFTWATCH_HTPP_PORT: is not a setting; did you mean LIFTWATCH_HTTP_PORT?"),
    ],
)
def test_a_bad_setting_stops_the_start_by_name(tmp_path: Path, environment: dict[str, str], told: str) -> None:
    """The error names the setting, its value and what is accepted, and nothing is started."""
    # Ports of its own, so that what runs on the usual ones of this machine is not what stops it.
    usual = {"LIFTWATCH_HTTP_PORT": str(servers.free_port()), "LIFTWATCH_MQTT_PORT": str(servers.free_port())}
    done = run_command("run", **{"LIFTWATCH_DATA_DIR": str(tmp_path), **usual, **environment})
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(180)
def test_a_port_in_use_is_named_with_the_setting_to_change(tmp_path: Path) -> None:
    """A second Liftwatch on the same ports is told which port, and which variable moves it."""
    with program(tmp_path / "first", scenario="life", simulated_lifts=5) as first:
        ports = {"LIFTWATCH_HTTP_PORT": str(first.port), "LIFTWATCH_MQTT_PORT": str(first.mqtt_port)}
        done = run_command("run", LIFTWATCH_DATA_DIR=str(tmp_path / "second"), **ports)
        assert done.returncode == 2
        assert f"LIFTWATCH_HTTP_PORT: port {first.port}" in done.stderr
        ports["LIFTWATCH_HTTP_PORT"] = str(servers.free_port())
        done = run_command("run", LIFTWATCH_DATA_DIR=str(tmp_path / "second"), **ports)
        assert done.returncode == 2
        assert "LIFTWATCH_MQTT_PORT" in done.stderr
        assert str(first.mqtt_port) in done.stderr


@pytest.mark.timeout(180)
def test_a_second_start_over_the_same_data_is_refused(tmp_path: Path) -> None:
    """Two programs over one folder would corrupt each other: the second says so and leaves the first alone."""
    with program(tmp_path, scenario="life", simulated_lifts=5) as first:
        other = Program(tmp_path)
        done = run_command("run", **other.environment)
        assert done.returncode == 2
        assert "LIFTWATCH" in done.stderr
        assert first.process is not None
        assert first.process.poll() is None
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(10) == 0
