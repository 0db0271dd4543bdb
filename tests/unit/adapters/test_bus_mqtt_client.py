"""Cutting MQTT messages out of a byte stream, however the network slices it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.bus_mqtt_client import Arrival, Malformed, Wire

PINGRESP = b"\xd0\x00"


class Line:
    """A socket that gives prepared slices, then nothing for now."""

    def __init__(self, slices: list[bytes]) -> None:
        self.slices = slices

    def recv(self, buffer_size: int) -> bytes:
        """Give the next slice."""
        if not self.slices:
            raise BlockingIOError
        assert len(self.slices[0]) <= buffer_size
        return self.slices.pop(0)

    def send(self, buffer: bytes | bytearray) -> int:
        """Take everything."""
        return len(buffer)

    def close(self) -> None:
        """Close."""

    def fileno(self) -> int:
        """Give no number."""
        return -1

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001
        """Ignore."""


def packet(head: int, body: bytes) -> bytes:
    """Spell a packet with the length as MQTT does."""
    length, spelt = len(body), b""
    while True:
        length, low = divmod(length, 128)
        spelt += bytes([low | (128 if length else 0)])
        if not length:
            return bytes([head]) + spelt + body


def publish(arrival: Arrival, *, version5: bool) -> bytes:
    """Spell a message."""
    topic = arrival.topic.encode()
    body = len(topic).to_bytes(2, "big") + topic
    if arrival.mid:
        body += arrival.mid.to_bytes(2, "big")
    if version5:
        body += b"\x82\x01" + b"\x26\x00\x3e" + b"n" * 0x3E + b"\x00\x3f" + b"v" * 0x3F  # a user property
    return packet(0x32 if arrival.mid else 0x30, body + arrival.payload)


ARRIVALS = st.builds(
    Arrival,
    st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text),
    st.binary(max_size=300) | st.integers(1, 5).map(lambda n: bytes(n * 10_000)),
    st.integers(0, 65_535),
)


def read_all(wire: Wire, most: int) -> list[Arrival | bytes]:
    """Do what a client does: cut messages, hand the rest over byte by byte, read on."""
    got: list[Arrival | bytes] = []
    while True:
        cut = wire.cut(most)
        assert len(cut) <= most
        if cut:
            got += cut
        elif wire.waiting():
            got.append(wire.recv(1) + wire.recv(1))
        else:
            try:
                wire.fill()
            except BlockingIOError:
                return got


@given(st.lists(ARRIVALS | st.just(PINGRESP), max_size=12), st.data(), st.booleans(), st.integers(1, 5))
def test_messages_come_out_as_they_went_in_however_the_stream_is_sliced(
    sent: list[Arrival | bytes],
    data: st.DataObject,
    version5: bool,  # noqa: FBT001
    most: int,
) -> None:
    """Any slicing, other packets between: the same messages in the same order."""
    stream = b"".join(one if isinstance(one, bytes) else publish(one, version5=version5) for one in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    slices = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b]
    assert read_all(Wire(Line(slices), properties=version5), most) == sent


@pytest.mark.parametrize(
    "stream",
    [
        b"\x32\x01\x00",  # no room for a topic's length
        b"\x32\x04\x00\x09ab",  # a topic longer than its packet
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
    ],
)
def test_what_is_not_mqtt_is_refused(stream: bytes) -> None:
    """A malformed packet ends the connection instead of shifting all that follow."""
    wire = Wire(Line([stream]), properties=False)
    wire.fill()
    with pytest.raises(Malformed):
        wire.cut(1)


def test_the_end_of_the_stream_is_told_from_silence() -> None:
    """The broker closed the connection."""
    wire = Wire(Line([b""]), properties=False)
    with pytest.raises(EOFError):
        wire.fill()


@given(st.binary(max_size=200))
def test_no_bytes_upset_the_reader(stream: bytes) -> None:
    """Whatever comes, reading ends: with messages, another packet to handle, more to wait for, or a refusal."""
    wire = Wire(Line([stream] if stream else []), properties=True)
    try:
        wire.fill()
        while wire.cut(10):
            pass
    except (Malformed, BlockingIOError):
        pass
