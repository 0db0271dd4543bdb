"""The JSON lines driver: good lines become batches, bad ones a report with number and reason."""

import io

from gateway.drivers import jsonlines
from lift.wire import PAYLOAD_BYTES_MAX


def read(text: bytes) -> tuple[list[int], list[tuple[int, str]]]:
    """Give the sizes of the batches and what was reported."""
    reported: list[tuple[int, str]] = []
    sizes = [len(batch) for batch in jsonlines.batches(io.BytesIO(text), lambda n, why: reported.append((n, why)))]
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


def test_a_line_without_end_is_thrown_away_in_pieces() -> None:
    """A runaway line takes bounded memory, counts as one line, and the next one is read."""
    sizes, reported = read(b"x" * (3 * PAYLOAD_BYTES_MAX) + b'\n{"lift": "a", "at": 1}\n{')
    assert sizes == [1]
    assert [number for number, _ in reported] == [1, 3]
    assert "longer than" in reported[0][1]
