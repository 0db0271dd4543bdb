"""The JSON lines driver: good lines become batches, bad ones a report with number and reason."""

import os
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.clock import SystemClock
from gateway.driver import Surroundings
from gateway.drivers import jsonlines
from gateway.raw_block import RawBlock
from lift.wire import PAYLOAD_BYTES_MAX
from tests.unit.gateway.configured import section


def read(*pieces: bytes) -> tuple[list[int], list[tuple[int, str]]]:
    """Give the sizes of the batches and what was reported."""
    reported: list[tuple[int, str]] = []
    sizes = [len(batch) for batch in jsonlines.batches(pieces, lambda n, why: reported.append((n, why)))]
    return sizes, reported


def test_objects_and_lists_become_batches() -> None:
    """A line is one reading or a list of them; empty lines say nothing."""
    assert read(b'{"lift": "a", "at": 1}\n\n[{"lift": "a", "at": 2}, {"lift": "b", "at": 2}]') == ([1, 2], [])


def test_bad_lines_are_reported_and_do_not_stop_the_rest() -> None:
    """Number and reason of each; what can be kept of a line is kept."""
    sizes, reported = read(
        b'nonsense\n{"lift": "a", "at": 1, "car_speed": "fast"}\n{"at": 1}\n{"lift": "a", "at": 3, "colour": 1}\n'
    )
    assert sizes == [1, 1]
    assert [number for number, _ in reported] == [1, 2, 3, 4]
    assert "not JSON" in reported[0][1]
    assert "car_speed" in reported[1][1]
    assert "lift" in reported[2][1]
    assert "colour" in reported[3][1]


RAW = b'{"lift": "a", "at": 1.5, "rate_hz": 256, "acceleration": %s}\n'


def test_raw_acceleration_goes_its_own_way() -> None:
    """A block among readings is taken as it stands; a field that has no place in it is named."""
    taken: list[RawBlock] = []
    lines = [b'{"lift": "a", "at": 1}\n', RAW % b'[[1, 2.5, -3]], "load": 1', b'{"lift": "a", "at": 2}\n', RAW % b"[]"]
    reported: list[tuple[int, str]] = []
    batches = jsonlines.batches(lines, lambda n, why: reported.append((n, why)), take_raw=taken.append)
    assert [len(batch) for batch in batches] == [1, 1]
    assert [(*block[:3], block.acceleration.tolist()) for block in taken] == [
        ("a", 1_500, 256, [[1.0, 2.5, -3.0]]),
        ("a", 1_500, 256, []),
    ]
    assert reported == [(2, "load: is not a field of raw acceleration")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (RAW % b"[[1, 2, 3], [1, null, 3]]", "acceleration: sample 1: must be [x, y, z] in m/s²; got a list"),
        (RAW % b"[[1, 2, 3], [1, 2]]", "acceleration: sample 1: must be"),
        (RAW % b"[[1, 2, 3], 4]", "acceleration: sample 1: must be [x, y, z] in m/s²; got 4"),
        (RAW % b"[[true, true, true]]", "acceleration: sample 0"),
        (RAW % b"[[[1, 2, 3]]]", "acceleration: sample 0"),
        (RAW % b"[1, 2, 3]", "acceleration: sample 0: must be [x, y, z] in m/s²; got 1"),
        (RAW % b"null", "acceleration: is missing"),
        (RAW % b'"0.1"', "acceleration: must be a list of [x, y, z] in m/s²; got '0.1'"),
        (RAW % b"[[1, 2, 3]]" * 2, "acceleration: nobody takes raw acceleration here"),
        (RAW.replace(b'"lift": "a", ', b"") % b"[]", "lift: is missing"),
        (RAW.replace(b"256", b'"256"') % b"[]", "rate_hz: must be samples a second as a number; got '256'"),
        (RAW.replace(b"1.5", b'"noon"') % b"[]", "at: 'noon' is not RFC 3339"),
        (RAW.replace(b'"at": 1.5, ', b"") % b"[]", "at: is missing"),
        ((RAW % b"[]")[:-2], "payload: not JSON"),
        (b'[{"lift": "a", "at": 1, "acceleration": []}]', "acceleration: is not a field of a reading"),
    ],
)
def test_raw_acceleration_that_cannot_be_read_is_reported(line: bytes, reason: str) -> None:
    """Field, place and what was found; the readings after it come all the same."""
    sizes, reported = read(line, b'\n{"lift": "a", "at": 3}\n')
    assert sizes[-1] == 1
    assert reported[0][0] == 1
    assert reported[0][1].startswith(reason)


def test_a_line_without_end_is_thrown_away() -> None:
    """A runaway line takes bounded memory, counts as one line, and the next one is read."""
    sizes, reported = read(*[b"x" * PAYLOAD_BYTES_MAX] * 3, b'\n{"lift": "a", "at": 1}\n{')
    assert sizes == [1]
    assert [number for number, _ in reported] == [1, 3]
    assert "longer than" in reported[0][1]


@given(st.lists(st.integers(0, 120), max_size=8))
def test_where_the_pieces_are_cut_does_not_matter(cuts: list[int]) -> None:
    """A stream hands over whatever has come, in the middle of a line or of a letter."""
    text = '{"lift": "电梯", "at": 1}\n[]\noops\n{"lift": "b", "at": 2}\n{"lift": "b", "at": 3}'.encode()
    bounds = [0, *sorted(cuts), len(text)]
    assert read(*(text[a:b] for a, b in pairwise(bounds))) == read(text)


def test_a_silent_stream_does_not_keep_the_gateway_from_stopping() -> None:
    """Told to stop while nothing comes, the driver ends; what came before was given at once."""
    reading, writing = os.pipe()
    stop = threading.Event()
    with os.fdopen(reading, "rb") as lines, os.fdopen(writing, "wb", buffering=0) as source:
        driver = jsonlines.Jsonlines(section(""), {})
        coming = driver.batches(Surroundings(SystemClock(), stop, lines=lines))
        source.write(b'{"lift": "a", "at": 1}\n{"lift":')
        assert len(next(coming)) == 1
        stop.set()
        assert next(coming, None) is None
