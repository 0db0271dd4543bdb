"""A sensor in a car: its raw acceleration stays at the gateway, and the trip that arrives says how the ride was."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.bus_mqtt import MqttBus
from adapters.clock import SystemClock
from gateway import ride
from ingest.pipeline import SUBSCRIPTIONS
from lift import topics
from lift import trips as t
from lift.batch import Floats
from simulator.acceleration import RATE_HZ, Recording, record_trip
from simulator.city import build_city
from tests import servers

SECOND = 1_000_000
REST_S, AFTER_S = 5, 40
WITH_SENSOR, WITHOUT = "063577", "063578"
PLANT = build_city(lifts=40, seed=3).plant
RIDE = {
    *(t.RIDE_X_MAX, t.RIDE_X_A95, t.RIDE_Y_MAX, t.RIDE_Y_A95, t.RIDE_Z_MAX, t.RIDE_Z_A95),
    *(t.JERK_MAX, t.ACCELERATION_MAX, t.ACCELERATION_A95, t.DECELERATION_MAX, t.DECELERATION_A95),
}


def recorded() -> tuple[Recording, Floats]:
    """Record the simulator's tallest lift from bottom to top; gives it, and all that the sensor says."""
    slot, chance = int(np.argmax(PLANT.landings)), np.random.default_rng(1)
    trip = record_trip(PLANT, slot, origin=0, goal=int(PLANT.landings[slot]) - 1, chance=chance)
    before, after = (chance.normal(0, 0.008, (rest_s * RATE_HZ, 3)) for rest_s in (REST_S, AFTER_S))
    return trip, np.concatenate([before, trip.axes, after])


def lines(trip: Recording, axes: Floats, start: int) -> Iterator[object]:
    """Tell the trip second by second: readings of two lifts that move alike, raw acceleration of one of them."""
    speed = np.gradient(trip.height, trip.time)
    for second in range(len(axes) // RATE_HZ):
        now = float(second - REST_S)
        moves = int(0 < now < trip.time[-1])
        reading = {
            "at": (start + second * SECOND) / 1000,
            "car_status": moves,
            "car_speed": float(np.interp(now, trip.time, speed)) * moves,
            "car_height": float(np.interp(now, trip.time, trip.height)),
        }
        yield [{"lift": lift, **reading} for lift in (WITH_SENSOR, WITHOUT)]
        samples = axes[second * RATE_HZ : (second + 1) * RATE_HZ].round(5).tolist()
        yield {"lift": WITH_SENSOR, "at": reading["at"], "rate_hz": RATE_HZ, "acceleration": samples}


def carried(line: servers.Server, folder: Path, told: list[object]) -> tuple[list[tuple[str, bytes]], str]:
    """Be the platform while a gateway of a file carries these lines; gives what arrived, and the gateway's log."""
    name = f"gw-{secrets.token_hex(4)}"
    (folder / "gw.toml").write_text(
        f'name = "{name}"\ndriver = "jsonlines"\nencoding = "json"\n'
        f'[broker]\nurl = "mqtt://127.0.0.1:{line.port}"\n[lifts.{WITH_SENSOR}]\n[lifts.{WITHOUT}]\n'
    )
    (folder / "lines").write_text("".join(json.dumps(one) + "\n" for one in told))
    arrived: list[tuple[str, bytes]] = []
    bus = MqttBus(f"mqtt://127.0.0.1:{line.port}", client_id=f"ingest-{name}", subscribe=SUBSCRIPTIONS)
    command = [sys.executable, "-m", "runtime", "gateway", "--config", str(folder / "gw.toml"), "--json"]
    with closing(bus), (folder / "lines").open() as source, (folder / "log").open("w+") as log:
        while not bus.connected:
            time.sleep(0.01)
        with subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=log, text=True) as gateway:
            while gateway.poll() is None:
                messages = bus.receive(wait_s=0.1, most=100)
                bus.done(messages)
                for message in messages:
                    if not message.topic.startswith(topics.topic(name, "")):
                        continue
                    body = json.loads(message.payload)
                    if "seq" in body:
                        receipt = {"epoch": body["epoch"], "stored": [[1, body["seq"]]]}
                        bus.publish(topics.topic(name, topics.RECEIPT), json.dumps(receipt).encode())
                    arrived.append((message.topic.rpartition("/")[2], message.payload))
        log.seek(0)
        return arrived, log.read()


@pytest.mark.integration
def test_a_trip_with_raw_acceleration_arrives_with_its_ride_quality(mosquitto: servers.Server, tmp_path: Path) -> None:
    """The figures are those of the whole recording, the lift without a sensor has none, and no sample is sent on.

    Lines of raw acceleration that cannot be used are named, and cost nothing else.
    """
    trip, axes = recorded()
    told = list(lines(trip, axes, SystemClock().now() - len(axes) // RATE_HZ * SECOND))
    block = told[41]
    assert isinstance(block, dict)
    told[0:0] = [block | {"rate_hz": 100}, block | {"lift": "999999"}, block | {"acceleration": [[0, 0, "1"]]}]
    told.insert(50, block)
    arrived, log = carried(mosquitto, tmp_path, told)

    rows: list[dict[str, Any]] = [
        row for kind, payload in arrived if kind == topics.TRIPS for row in json.loads(payload)["readings"]
    ]
    found = {row["lift"]: row for row in rows}
    assert len(rows) == len(found) == 2
    whole = ride.assess(axes, RATE_HZ).columns()
    assert whole.keys() == RIDE
    assert {name: found[WITH_SENSOR][name.name] for name in RIDE} == pytest.approx(whole, rel=0.03)
    assert not {signal.name for signal in RIDE} & found[WITHOUT].keys()
    assert found[WITH_SENSOR]["distance"] == pytest.approx(found[WITHOUT]["distance"]) == trip.height[-1]

    for said in (
        "line 1: rate_hz: 100 of lift 063577",
        "line 2: lift: 999999 is not one of the 2 lifts here",
        "line 3: acceleration: sample 0: must be [x, y, z] in m/s²; got a list",
        "line 51: at: a block of lift 063577 begins",
    ):
        assert said in log
    assert not any(b'"acceleration"' in payload for _, payload in arrived)
    assert sum(len(payload) for _, payload in arrived) < 50_000
