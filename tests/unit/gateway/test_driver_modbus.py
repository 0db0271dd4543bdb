"""The Modbus driver against real Modbus servers: right values, named faults, lines that come back, no writing."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.pdu.register_message import WriteSingleRegisterRequest
from pymodbus.simulator import DataType, SimData

from gateway.document import Problem
from gateway.drivers import _register_map as maps
from gateway.drivers._register_map import BIT_KINDS, REGISTERS_MOST, Register, blocks, read_map
from gateway.drivers.modbus import READING_FUNCTIONS, Line, Modbus
from lift.signals import CAR_POSITION, CAR_SPEED
from tests import servers
from tests.unit.gateway.configured import Running, document, running
from tests.unit.gateway.modbus_device import Device, device, wire, words

MAPS = Path(__file__).parents[3] / "gateway/maps"
AT_REST = [0, 0b0101_1000, 0, 2, 0, 3, 1, 0xE240, 0, 700, 0, 120, 10, 20, 30, 285, 0x4120, 0, *range(6)]
# Two signals that stand far apart in a device, and a fault number.
SMALL = """
gap_max = 2
[signals.car_position]
register = "holding"
address = 0
type = "u16"
[signals.car_speed]
register = "holding"
address = 1
type = "f32"
[signals.load]
register = "input"
address = 20
type = "u16"
scale = 0.01
[signals.door_lock]
register = "discrete"
address = 5
values = { 0 = "closed", 1 = "open" }
[signals.brake_released]
register = "coil"
address = 0
[[codes]]
register = "holding"
address = 3
values = { 0 = 0, 17 = 2, 23 = 8 }
"""


def driver(folder: Path, text: str, map_: str = "") -> Modbus:
    """Make a driver of a configuration whose map stands beside it."""
    (folder / "map.toml").write_text(map_ or (MAPS / "retrofit_box.toml").read_text())
    read = document(f'[modbus]\nmap = "map.toml"\nevery_s = 0.05\ntimeout_s = 0.3\n{text}', folder)
    made = Modbus(read.root.section("modbus"), dict(read.root.section("lifts").each()))
    assert not read.problems
    return made


@contextmanager
def watching(folder: Path, box: Device, lifts: str, map_: str = "") -> Iterator[Running]:
    """Read a device that listens on the network."""
    with running(driver(folder, f'host = "127.0.0.1:{box.port}"\n{lifts}', map_)) as one:
        yield one


def test_a_retrofit_box_is_read_in_one_request(tmp_path: Path) -> None:
    """Bits, words, double words and floats arrive in our units, and 18 registers take a single request."""
    with device({3: [words(0, *AT_REST)]}) as box, watching(tmp_path, box, "[lifts.063577]\nunit = 3\n") as run:
        row = run.next("063577")
        del row["at"]
        assert (row.pop("lift"), row.pop("message_codes")) == ("063577", [])
        assert row == pytest.approx(
            {
                "car_status": 0,
                "car_direction": 0,
                "door_zone": 1,
                "door_closed": 1,
                "passenger": 0,
                "main_power": 1,
                "alarm_button": 0,
                "service_mode": 1,
                "car_position": 3,
                "car_speed": 0,
                "levelling_error": 3,
                "run_count": 123456,
                "door_cycles": 700,
                "running_hours": 2,
                "vibration_x": 0.0980665,
                "vibration_y": 0.196133,
                "vibration_z": 0.2941995,
                "machine_room_temperature": 28.5,
                "motor_current": 10.0,
            },
            rel=1e-6,
        )
        box.set(3, 0, 0b1_0100_0000_0000)
        box.set(3, 1, 0b1011_0101)
        box.set(3, 4, -17)
        moving = run.next("063577", car_direction=2)
        assert (moving["message_codes"], moving["passenger"], moving["alarm_button"]) == ([11, 90], 1, 1)
        assert moving["car_speed"] == pytest.approx(-1.7)
        assert set(box.requests) == {(3, 0, 18)}
        assert run.troubles.present() == {}
        run.leave()


def test_nothing_is_ever_written(tmp_path: Path) -> None:
    """Every function that reached the device reads, and a write that somebody smuggled in cannot leave."""
    with device({1: [words(0, *AT_REST)]}) as box:
        with watching(tmp_path, box, "[lifts.a]\n") as run:
            run.next()
            run.next()
        assert set(box.functions) <= READING_FUNCTIONS
        client = Line(f"127.0.0.1:{box.port}").client()
        assert client.read_holding_registers(2).registers == [0]
        before = list(box.functions)
        with pytest.raises(AssertionError, match="function 6 does not read"):
            client.execute(False, WriteSingleRegisterRequest(address=0, registers=[1], dev_id=1))  # noqa: FBT003
        client.close()  # type: ignore[no-untyped-call]
        assert box.functions == before


def test_all_four_kinds_of_register_and_a_fault_number(tmp_path: Path) -> None:
    """Holding and input registers, coils and discrete inputs are read each by their own function."""

    def bits(count: int, *on: int) -> list[SimData]:
        return [SimData(0, values=[number in on for number in range(count)], datatype=DataType.BITS)]

    high, low = struct.unpack(">HH", struct.pack(">f", 1.75))
    shapes = (bits(16, 0), bits(16, 5), [words(0, 4, high, low, 17)], [words(20, 65)])
    with device({1: shapes}) as box, watching(tmp_path, box, "[lifts.a]\n", map_=SMALL) as run:
        row = run.next("a")
        assert (row["car_position"], row["car_speed"], row["brake_released"], row["door_lock"]) == (4, 1.75, 1, 0)
        assert row["load"] == pytest.approx(0.65)
        assert row["message_codes"] == [2]
        assert set(box.functions) == {1, 2, 3, 4}


def test_a_dead_register_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    """The device lacks the speed's registers: that one is named, once, and every other value still comes."""
    text = """
        [signals.car_position]
        register = "holding"
        address = 0
        type = "u16"
        [signals.car_speed]
        register = "holding"
        address = 1
        type = "f32"
        [[codes]]
        register = "holding"
        address = 3
        values = { 0 = 0, 17 = 2 }
        [signals.load]
        register = "holding"
        address = 4
        type = "u16"
        scale = 0.01
    """
    with device({1: [words(0, 4), words(3, 0, 50)]}) as box, watching(tmp_path, box, "[lifts.a]\n", map_=text) as run:
        row = run.next("a")
        assert (row["car_position"], row["load"], row["message_codes"]) == (4, 0.5, [])
        assert "car_speed" not in row
        assert run.troubles.present() == {"a: holding 1 (car_speed)": "the device has no such register"}
        asked = len(box.requests)
        run.until(lambda: len(box.requests) > asked + 3)
        assert (1, 1, 2) not in box.requests[asked:]
        box.set(1, 3, 23)
        run.until(lambda: len(run.troubles.present()) == 2)
        run.until(lambda: "message_codes" not in run.rows("a")[-1])


def test_a_wrong_type_is_named_and_its_value_left_out(tmp_path: Path) -> None:
    """A float read as if it were something else, or a number without a meaning, is no reading of ours."""
    with device({1: [words(0, *AT_REST)]}) as box, watching(tmp_path, box, "[lifts.a]\n") as run:
        run.next("a")
        box.set(1, 2, 7)
        box.set(1, 4, 20_000)
        box.set(1, 5, 32_767)
        run.until(lambda: len(run.troubles.present()) == 2)
        run.until(lambda: {"service_mode", "car_speed", "levelling_error"}.isdisjoint(run.rows("a")[-1]))
        assert run.troubles.present() == {
            "a: holding 2 (service_mode)": "7 is not in its table of values",
            "a: holding 4 (car_speed)": "2000 is not -20 to 20 m/s: wrong address, type, order or scale?",
        }
        box.set(1, 2, 0)
        box.set(1, 4, 10)
        assert run.next("a", service_mode=1)["car_speed"] == 1
        run.until(lambda: not run.troubles.present())


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_a_silent_unit_rests_and_the_others_are_read_in_time(tmp_path: Path, framing: str) -> None:
    """One of two boxes on a line is dead: it is named, the other loses little, and when it is back it is read."""
    both = {1: [words(0, *AT_REST)], 2: [words(0, *AT_REST)]}
    with device(both, framing=framing) as box:
        box.silent.add(2)
        lifts = f'framing = "{framing}"\n[lifts.a]\nunit = 1\n[lifts.b]\nunit = 2\n'
        with watching(tmp_path, box, lifts) as run:
            run.until(lambda: len(run.rows("a")) >= 10)
            assert run.rows("b") == []
            assert run.troubles.present() == {f"b: unit 2 at 127.0.0.1:{box.port}": "does not answer within 0.3 s"}
            # Rests double, so the living one has not waited for the dead one each time.
            assert sum(unit == 2 for unit, _, _ in box.requests) < 5
            box.silent.clear()
            run.next("b")
            run.until(lambda: not run.troubles.present())


def test_a_unit_that_refuses_everything_is_one_trouble(tmp_path: Path) -> None:
    """A unit number that nobody has is named once, not register by register, and asked for again later."""
    lifts = "[lifts.a]\nunit = 1\n[lifts.b]\nunit = 2\n"
    with device({1: [words(0, *AT_REST)]}) as box, watching(tmp_path, box, lifts) as run:
        run.until(lambda: len(run.rows("a")) >= 3)
        (reason,) = run.troubles.present().values()
        assert reason.startswith("gives no register at all: ")


def test_a_line_that_is_lost_comes_back(tmp_path: Path) -> None:
    """The device goes away, which is named, and is read again when it is back at the same address."""
    with device({1: [words(0, *AT_REST)]}) as box, watching(tmp_path, box, "[lifts.a]\n") as run:
        run.next("a")
        box.stop()
        run.until(lambda: f"127.0.0.1:{box.port}" in run.troubles.present())
        with device({1: [words(0, *AT_REST)]}, port=box.port):
            run.next("a")
            run.until(lambda: not run.troubles.present())


def test_a_device_that_was_never_there_is_named_and_waited_for(tmp_path: Path) -> None:
    """One of two addresses does not exist: the other is read all the same, and stopping does not wait."""
    nowhere = servers.free_port()
    with device({1: [words(0, *AT_REST)]}) as box:
        lifts = f'[lifts.a]\nhost = "127.0.0.1:{box.port}"\n[lifts.b]\nhost = "127.0.0.1:{nowhere}"\n'
        with running(driver(tmp_path, lifts)) as run:
            run.next("a")
            run.until(lambda: run.troubles.present() == {f"127.0.0.1:{nowhere}": "cannot be reached"})
            run.leave()


def test_two_boxes_on_a_serial_line(tmp_path: Path) -> None:
    """Modbus RTU over a serial port: two units take turns, and each tells of its own lift."""
    other = [*AT_REST]
    other[3] = 7
    with wire() as (ours, theirs), device({1: [words(0, *AT_REST)], 2: [words(0, *other)]}, serial=theirs) as box:
        lifts = "[lifts.a]\nunit = 1\n[lifts.b]\nunit = 2\n"
        with running(driver(tmp_path, f'serial = "{ours}"\nbaudrate = 115200\n{lifts}')) as run:
            assert run.next("a")["car_position"] == 3
            assert run.next("b")["car_position"] == 8
        assert set(box.functions) == {3}


# ---------------------------------------------------------------------------------------------- maps


def problems(folder: Path, text: str) -> list[tuple[int, str]]:
    """Check a map; gives lines and what is wrong there."""
    (folder / "map.toml").write_text(text)
    return [(one.line, str(one).partition(": ")[2]) for one in read_map(folder / "map.toml")[1].problems]


def test_the_examples_are_good() -> None:
    """Every map that comes with the gateway passes its own check."""
    found = [read_map(file) for file in sorted(MAPS.glob("*.toml"))]
    assert found
    assert [one for _, document in found for one in document.problems] == list[Problem]()


def test_every_mistake_in_a_map_is_named_with_its_line(tmp_path: Path) -> None:
    """One reading of the file finds them all: names, kinds, types, bounds, meanings, misspelt keys."""
    text = """\
word_order = "middle"
[signals.car_sped]
register = "holding"
address = 0
type = "u16"
[signals.car_position]
register = "holdings"
address = 70000
type = "u8"
[signals.run_count]
register = "holding"
address = 65535
type = "u32"
scale = 0.5
[signals.car_direction]
register = "holding"
address = 4
type = "bits"
bits = [5, 3]
values = { 0 = "none", 1 = "upward", x = 2 }
adress = 3
[[codes]]
register = "holding"
address = 9
bits_to_codes = { 0 = 99, 16 = 4 }
"""
    found = problems(tmp_path, text)
    expected = [
        (1, "word_order: 'middle' is not accepted: one of big, little"),
        (2, "signals.car_sped: is not a signal; did you mean car_speed?"),
        (7, "signals.car_position.register: 'holdings' is not accepted; did you mean holding?"),
        (8, "signals.car_position.address: 70000 is not a whole number from 0 to 65535"),
        (9, "signals.car_position.type: 'u8' is not accepted"),
        (12, "signals.run_count.address: 65535 is the last one, and u32 takes 2"),
        (14, "signals.run_count.scale: run_count is a whole number"),
        (19, "signals.car_direction.bits: [5, 3] is not [first, last]"),
        (20, "signals.car_direction.values.1: 'upward' is no value of car_direction: 'none', 'up', 'down'"),
        (20, "signals.car_direction.values.x: 'x' is not a number that the device may send"),
        (21, "signals.car_direction.adress: is not known here; did you mean address?"),
        (25, "codes[0].bits_to_codes.0: 99 is not a code: 1, 2,"),
        (25, "codes[0].bits_to_codes.16: '16' is not a bit of u16: 0, the lowest, to 15"),
    ]
    assert len(found) == len(expected)
    for (line, said), (wanted_line, wanted) in zip(sorted(found), expected, strict=True):
        assert line == wanted_line
        assert said.startswith(wanted)


@given(
    st.lists(
        st.builds(
            Register,
            name=st.just("x"),
            kind=st.sampled_from(maps.KINDS),
            address=st.one_of(st.integers(0, 60), st.integers(0, 3000)),
            type=st.sampled_from(["u16", "u32"]),
        ).filter(lambda register: register.kind not in BIT_KINDS or register.width == 1),
        min_size=1,
        max_size=40,
    ),
    st.one_of(st.integers(2, 10), st.integers(2, REGISTERS_MOST)),
    st.integers(0, 20),
)
def test_blocks_hold_every_register_once_within_bounds(registers: list[Register], most: int, gap: int) -> None:
    """However they are spread, each register stands in one request, none is too large, none begins with a gap."""
    found = blocks(registers, block_most=most, gap_most=gap)
    held = [register for block in found for register in block.registers]
    assert sorted(map(id, held)) == sorted(map(id, registers))
    for block in found:
        assert block.count <= most
        assert block.start == min(register.address for register in block.registers)
        assert block.start + block.count == max(register.address + register.width for register in block.registers)
        assert {register.kind for register in block.registers} == {block.kind}


@given(st.integers(-(2**31), 2**31 - 1), st.sampled_from(maps.ORDERS), st.sampled_from(maps.ORDERS))
def test_double_words_survive_every_order(value: int, word_order: str, byte_order: str) -> None:
    """However a device lays a value of 32 bits out, the same number comes back."""
    data = struct.pack(">i", value)
    if byte_order == "little":
        data = bytes([data[1], data[0], data[3], data[2]])
    pair = struct.unpack(">HH", data)
    register = Register("x", "holding", 0, "i32", word_order=word_order, byte_order=byte_order)
    assert register.raw(pair if word_order == "big" else pair[::-1]) == value


@given(st.integers(0, 0xFFFF), st.integers(0, 15), st.integers(0, 15))
def test_a_field_of_bits_is_what_a_shift_and_a_mask_say(word: int, first: int, last: int) -> None:
    """Bits are counted from the lowest, both ends included."""
    first, last = min(first, last), max(first, last)
    register = Register("x", "holding", 0, "bits", first_bit=first, last_bit=last)
    expected = int(f"{word:016b}"[::-1][first : last + 1][::-1], 2)
    assert register.raw([word]) == expected


@given(st.floats(-1e6, 1e6))
def test_no_value_leaves_its_signals_range(raw: float) -> None:
    """Whatever a device says, a value is within its signal's range, or there is none and a reason."""
    for signal in (CAR_SPEED, CAR_POSITION):
        value, reason = Register("x", "holding", 0, "f32", signal=signal).value(raw)
        assert (signal.low <= value <= signal.high and not reason) or (value != value and reason)  # noqa: PLR0124
