"""The JSON lines driver: good lines become batches, bad ones a report with number and reason."""

import os
import threading
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from adapters.clock import SystemClock
from gateway.driver import Surroundings
from gateway.drivers import jsonlines
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
