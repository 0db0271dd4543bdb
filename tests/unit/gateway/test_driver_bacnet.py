"""The BACnet driver against a real BACnet device: values, changes told at once, named faults, no writing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bacpypes3.apdu import ErrorRejectAbortNack, WritePropertyRequest
from bacpypes3.constructeddata import Any as AnyValue
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import CharacterString
from hypothesis import given
from hypothesis import strategies as st

from gateway.drivers import _lift_object as lift_object
from gateway.drivers.bacnet import READING_REQUESTS, Bacnet, _Reader
from lift.codes import NUMBERS
from lift.signals import BY_NAME
from tests import servers
from tests.unit.gateway import bacnet_device
from tests.unit.gateway.bacnet_device import AT_REST, Device, device
from tests.unit.gateway.configured import Running, document, running

# So that a value can only come because the device told it.
NEVER_ASK = "every_s = 3600\nrefresh_s = 3600\n"
OFTEN = "every_s = 0.1\nrefresh_s = 0.3\n"
ONE = "[lifts.a]\ninstance = 7\n"


def driver(box: Device, settings: str = OFTEN, lifts: str = ONE, port: int = 0) -> Bacnet:
    """Make a driver of a configuration."""
    text = f'[bacnet]\nlisten = "127.0.0.1:{port or servers.free_port()}"\ndevice = "{box.address}"\ntimeout_s = 0.2\n'
    read = document(text + settings + lifts)
    made = Bacnet(read.root.section("bacnet"), dict(read.root.section("lifts").each()))
    assert not read.problems
    return made


@contextmanager
def watching(box: Device, settings: str = OFTEN, lifts: str = ONE) -> Iterator[Running]:
    """Watch a device for the length of a test."""
    with running(driver(box, settings, lifts)) as one:
        yield one


def test_a_lift_object_is_read_in_our_words() -> None:
    """Position, doors, direction, load, mode, faults and alarm arrive as our signals and codes."""
    lifts = "[lifts.063577]\ninstance = 7\nlanding_offset = -2\n"
    with device({7: AT_REST}, tells="nothing") as box, watching(box, lifts=lifts) as run:
        row = run.next("063577")
        del row["at"]
        assert row == {
            "lift": "063577",
            "car_position": 1,
            "car_direction": 0,
            "car_status": 0,
            "door_state": 2,
            "door_closed": 1,
            "door_zone": 1,
            "alarm_button": 0,
            "service_mode": 1,
            "load": 0.25,
            "message_codes": [],
        }
        box.set(7, carMovingDirection=4, carDriveStatus=5, carDoorStatus=[0, 6], carMode=8)
        box.set(7, passengerAlarm=True, faultSignals=[8, 9, 4])
        row = run.next("063577", alarm_button=1, message_codes=[4, 41, 43, 90])
        assert (row["car_direction"], row["car_status"], row["service_mode"]) == (2, 1, 2)
        assert (row["door_closed"], row["door_state"]) == (0, 1)
        run.until(lambda: list(run.troubles.present().values()) == ["call button stuck"])
        run.leave()


@pytest.mark.parametrize("tells", ["object", "property"])
def test_a_change_arrives_without_being_asked_for(tells: str) -> None:
    """A device that tells of changes, of an object's or of each property's, is not asked again to hear of one."""
    with device({7: AT_REST}, tells=tells) as box, watching(box, NEVER_ASK) as run:
        run.next("a", load=0.25)
        asked = len(box.app.asked)
        box.set(7, passengerAlarm=True)
        row = run.next("a", alarm_button=1)
        assert row["message_codes"] == [90]
        box.set(7, carDoorStatus=[7, 0])
        run.next("a", door_state=3)
        assert box.app.asked[asked:] == []


def test_a_device_that_tells_nothing_is_asked() -> None:
    """Both subscriptions are refused, and its changes arrive all the same."""
    with device({7: AT_REST}, tells="nothing") as box, watching(box, "every_s = 0.1\nrefresh_s = 3600\n") as run:
        run.next("a")
        box.set(7, carPosition=9)
        run.next("a", car_position=9)
        assert box.app.asked.count("SubscribeCOVRequest") == 1
        assert run.troubles.present() == {}


def test_a_device_that_answers_one_question_at_a_time() -> None:
    """Where several properties at once are refused, each is asked for by itself."""
    with device({7: AT_REST}, tells="nothing") as box:
        box.app.one_by_one = True
        with watching(box) as run:
            assert run.next("a", load=0.25)["car_position"] == 3
            assert box.app.asked.count("ReadPropertyMultipleRequest") == 1
            assert run.troubles.present() == {}


def test_what_is_missing_or_of_a_wrong_type_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lift without fault signals and with a text for its position: both are named, the rest is read."""
    odd = type("Odd", (bacnet_device.SilentLift,), {"__annotations__": {"carPosition": CharacterString}})
    monkeypatch.setattr(bacnet_device, "SilentLift", odd)
    lacking = {name: value for name, value in AT_REST.items() if name not in {"faultSignals", "carLoad"}}
    with device({7: {**lacking, "carPosition": "G"}}, tells="nothing") as box, watching(box) as run:
        row = run.next("a", door_zone=1)
        assert {"car_position", "message_codes", "load"}.isdisjoint(row)
        about = f"a: lift 7 at {box.address}"
        assert run.troubles.present() == {
            f"{about}: car-position": "is not of the standard's type",
            f"{about}: fault-signals": "the device does not give it",
        }


def test_a_lift_that_is_not_there_does_not_stop_its_neighbour() -> None:
    """Of two lifts one does not exist at the device: it is named, and the other is read."""
    with device({7: AT_REST}) as box, watching(box, lifts=ONE + "[lifts.b]\ninstance = 8\n") as run:
        about = f"b: lift 8 at {box.address}"
        run.until(lambda: about in run.troubles.present())
        run.next("a")
        assert run.troubles.present() == {about: "gives no property at all: is there such a lift?"}
        assert run.rows("b") == []


def test_a_device_that_was_away_is_watched_again() -> None:
    """It falls silent, which is named; when it is back it is read and told to tell of changes again."""
    with device({7: AT_REST}) as box, watching(box) as run:
        run.next("a")
        box.app.mute = True
        run.until(lambda: run.troubles.present() == {f"a: lift 7 at {box.address}": "does not answer within 0.4 s"})
        box.do(lambda: setattr(box.app, "mute", False))
        box.set(7, carPosition=12)
        run.next("a", car_position=12)
        run.until(lambda: not run.troubles.present())
        assert box.app.asked.count("SubscribeCOVRequest") >= 2


def test_a_device_that_has_forgotten_us_is_reminded() -> None:
    """A restart at the device loses subscriptions; the next refresh finds out, and they are made anew."""
    with device({7: AT_REST}) as box, watching(box, "every_s = 3600\nrefresh_s = 0.3\n") as run:
        run.next("a", load=0.25)
        box.forget()
        subscribed = box.app.asked.count("SubscribeCOVRequest")
        box.set(7, carPosition=5)
        run.next("a", car_position=5)
        run.until(lambda: box.app.asked.count("SubscribeCOVRequest") > subscribed)


def test_a_lift_that_is_set_by_hand_says_nothing() -> None:
    """While Out_Of_Service is set its values are somebody's inventions: none is taken, and the reason is named."""
    with device({7: {**AT_REST, "outOfService": True}}, tells="nothing") as box, watching(box) as run:
        about = f"a: lift 7 at {box.address}: out-of-service"
        run.until(lambda: about in run.troubles.present())
        assert run.rows() == []
        box.set(7, outOfService=False)
        run.next("a", car_position=3)


def test_nothing_is_ever_written_either_way() -> None:
    """What reached the device reads or subscribes, no write can leave, and the gateway cannot be written to."""
    port = servers.free_port()
    with device({7: AT_REST}) as box:
        with running(driver(box, port=port)) as run:
            run.next("a")
            write = {"propertyIdentifier": "object-name", "propertyValue": AnyValue(CharacterString("x"))}

            async def write_to_gateway() -> str:
                request = WritePropertyRequest(
                    objectIdentifier=("device", 3963330), destination=Address(f"127.0.0.1:{port}"), **write
                )
                try:
                    await box.app.request(request)
                except ErrorRejectAbortNack as error:
                    return str(error)
                return "written"

            assert asyncio.run_coroutine_threadsafe(write_to_gateway(), box._loop).result(10) == (
                "property: write-access-denied"
            )
        assert set(box.app.asked) <= {kind.__name__ for kind in READING_REQUESTS}
    with pytest.raises(AssertionError, match="WritePropertyRequest does not read"):
        _Reader.request(Any, WritePropertyRequest(objectIdentifier=("lift", 7), **write))  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------- our words


def test_every_standard_fault_has_been_decided_on() -> None:
    """Each BACnetLiftFault of the standard has a code, or is known to have none."""
    assert set(lift_object.FAULT_CODES) == set(range(17))
    assert set(lift_object.FAULT_CODES.values()) <= NUMBERS | {0}


def test_a_firm_may_choose_codes_of_its_own() -> None:
    """The file's table goes before ours, also for a maker's own faults; what is no code is named."""
    text = '[bacnet]\nfault_codes = { 2 = 1, 1024 = 9, 3 = 99, x = 1 }\n[lifts.a]\ndevice = "10.0.0.9"\ninstance = 1\n'
    read = document(text)
    made = Bacnet(read.root.section("bacnet"), dict(read.root.section("lifts").each()))
    assert [(one.line, one.key) for one in read.problems] == [(2, "bacnet.fault_codes.3"), (2, "bacnet.fault_codes.x")]
    row = made._lifts[0].says.row({"faultSignals": [2, 1024, 7]}, ["faultSignals"])
    assert row == {"message_codes": [1, 3, 9]}


@pytest.mark.parametrize(
    ("doors", "closed", "state"),
    [
        ([0], 1, 2),
        ([0, 1], 0, 4),
        ([8, 5], 1, 5),
        ([2], None, None),
        ([0, 2], None, None),
        ([1, 2], 0, None),
        ([3, 7], 0, None),
        ([4], None, None),
        ([9, 0], 0, 6),
        ([], None, None),
    ],
)
def test_of_several_doors_the_least_closed_counts(doors: list[int], closed: int | None, state: int | None) -> None:
    """A door that is open is open whatever is unknown of the other; closed is said only when all are."""
    row = lift_object.LiftObject().row({"carDoorStatus": doors}, ["carDoorStatus"])
    assert (row.get("door_closed"), row.get("door_state")) == (closed, state)


enumerated = st.one_of(st.integers(0, 20), st.integers(1024, 65_535))
anything = st.fixed_dictionaries(
    {},
    optional={
        "carPosition": st.integers(0, 250),
        "carMovingDirection": enumerated,
        "carDoorStatus": st.lists(enumerated, max_size=3),
        "carDoorZone": st.integers(0, 1),
        "carMode": enumerated,
        "carLoad": st.floats(0, 150),
        "carLoadUnits": enumerated,
        "passengerAlarm": st.integers(0, 1),
        "carDriveStatus": enumerated,
        "faultSignals": st.lists(enumerated, max_size=5),
    },
)


@given(anything)
def test_whatever_a_device_says_only_our_values_come_out(known: dict[str, Any]) -> None:
    """Any mixture of properties, with makers' own values, gives values in range, and none without its property."""
    row = lift_object.LiftObject().row(known, list(known))
    assert set(row.pop("message_codes", ())) <= NUMBERS
    for name, value in row.items():
        assert BY_NAME[name].low <= value <= BY_NAME[name].high
    assert lift_object.LiftObject().row(known, []) == {}
    assert ("faultSignals" in known) or "message_codes" not in lift_object.LiftObject().row(known, list(known))
