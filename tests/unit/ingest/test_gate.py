"""The gate lets everybody in who keeps to their rate, and a gateway that does not delays itself alone."""

from collections import Counter

import orjson
from hypothesis import given
from hypothesis import strategies as st

from ingest.gate import HELD_MAX, STRANGERS_BURST, TOGETHER_MAX, Gate
from lift.fleet import Fleet
from lift.ports import Message
from tests.small_city import lift
from tests.unit.ingest.line import NOW, SECOND

# One lift behind each of two gateways, ten behind a third: at 1 a second and 5 at once for each lift.
FLEET = Fleet(
    [
        lift("000001", gateway="a"),
        lift("000002", gateway="b"),
        *(lift(f"0001{i:02}", gateway="large") for i in range(10)),
    ]
)
A, B, LARGE, STRANGERS = range(4)


def make_gate() -> Gate:
    """Open a gate with small rates."""
    return Gate(FLEET, rate_per_lift=1, burst_per_lift=5)


def numbered(gateway: str, seq: int, *, size: int = 0) -> Message:
    """Make a message that its gateway's spool keeps."""
    body = {"epoch": "e", "seq": seq, "readings": [], "x": "x" * size}
    return Message(f"lifts/v1/{gateway}/telemetry", orjson.dumps(body), token=seq)


def bare(gateway: str, token: int = 1) -> Message:
    """Make a message without a number, such as a script's."""
    return Message(f"lifts/v1/{gateway}/telemetry", b"?", token)


def spend(gate: Gate, number: int, readings: int) -> None:
    """Let a gateway send so many readings now."""
    gate.turn([bare(FLEET.gateways[number])], NOW)
    gate.pay(number, readings)


def test_who_keeps_to_their_rate_passes_as_they_come() -> None:
    """Nothing is put in another order or held while nobody is over their rate."""
    messages = [numbered("a", 1), bare("stranger"), numbered("b", 1), numbered("a", 2)]
    turn = make_gate().turn(messages, NOW)
    assert turn.take == messages
    assert (turn.acknowledge, turn.refuse, turn.more) == ([], [], False)


def test_above_the_rate_numbered_messages_wait_and_others_are_refused() -> None:
    """The broker is answered for both at once; those that wait are let in as the rate allows."""
    gate = make_gate()
    spend(gate, A, 7)
    late, odd, other = numbered("a", 1), bare("a", 9), numbered("b", 1)
    turn = gate.turn([late, odd, other], NOW)
    assert (turn.take, turn.acknowledge, turn.refuse, turn.more) == ([other], [late], [odd], False)
    assert gate.turn([], NOW + 2 * SECOND).take == []
    turn = gate.turn([], NOW + 3 * SECOND)
    assert [(one.payload, one.token) for one in turn.take] == [(late.payload, 0)]
    assert gate.waiting == 0


def test_what_a_gateway_sends_again_waits_once() -> None:
    """A gateway repeats what has no receipt; the second copy is answered and forgotten."""
    gate = make_gate()
    spend(gate, A, 60)
    for _ in range(3):
        assert len(gate.turn([numbered("a", 1)], NOW).acknowledge) == 1
    assert gate.waiting == 1


def test_what_waits_is_bounded() -> None:
    """Beyond a window of messages a gateway's spool keeps the rest: they are answered, and not kept."""
    gate = make_gate()
    spend(gate, A, 60)
    answered = sum(
        len(gate.turn([numbered("a", seq) for seq in range(start, start + 50)], NOW).acknowledge)
        for start in range(0, 1000, 50)
    )
    assert (answered, gate.waiting, gate.limited_messages[A]) == (1000, HELD_MAX, 1000)


def test_of_a_flood_only_the_first_are_looked_into() -> None:
    """A gateway that sends more than a window at once costs next to nothing for the rest of it."""
    gate = make_gate()
    spend(gate, A, 60)
    turn = gate.turn([bare("a", token) for token in range(1, 5000)], NOW)
    assert (len(turn.refuse), len(turn.acknowledge) + len(turn.refuse)) == (128, 4999)


def test_a_debt_is_forgiven_after_a_minute() -> None:
    """One message of a hundred thousand readings does not silence a small gateway for a day."""
    gate = make_gate()
    spend(gate, A, 100_000)
    gate.turn([numbered("a", 1)], NOW)
    assert len(gate.turn([], NOW + 61 * SECOND).take) == 1


def test_a_short_message_overtakes_its_own_gateways_long_ones() -> None:
    """Readings of an emergency are a message of their own, and short."""
    gate = make_gate()
    spend(gate, A, 6)
    gate.turn([numbered("a", 1, size=9000), numbered("a", 2, size=9000), numbered("a", 3)], NOW)
    taken = gate.turn([], NOW + 2 * SECOND).take
    assert [orjson.loads(one.payload)["seq"] for one in taken] == [3]


def test_a_flood_from_some_does_not_put_off_the_first_message_of_another() -> None:
    """However much waits of others within their rate, everybody has a turn in each pass."""
    gate = Gate(FLEET, rate_per_lift=1e6, burst_per_lift=1e6)
    flood = [numbered(name, seq, size=30_000) for seq in range(1, 1500) for name in ("large", "b")]
    first = gate.turn(flood, NOW)
    assert first.more
    turn = gate.turn([numbered("a", 1)], NOW)
    assert "lifts/v1/a/telemetry" in {one.topic for one in turn.take}
    served = Counter(one.topic for one in first.take)
    assert abs(served["lifts/v1/large/telemetry"] - served["lifts/v1/b/telemetry"]) <= 10


def test_strangers_share_one_line() -> None:
    """Names that nobody has registered cost no memory of their own, and have one rate together."""
    gate = make_gate()
    taken = 0
    for start in range(0, 20_000, TOGETHER_MAX):
        turn = gate.turn([numbered(f"s{i}", i) for i in range(start, start + TOGETHER_MAX)], NOW)
        taken += len(turn.take)
        for _ in turn.take:
            gate.pay(STRANGERS, 1)
    assert taken <= STRANGERS_BURST + TOGETHER_MAX
    assert gate.waiting <= HELD_MAX
    assert len(gate._lines) <= 1
    assert gate.limited(NOW) == [STRANGERS]
    assert gate.limited(NOW + 61 * SECOND) == []


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    """Our own clock may be corrected; nobody's bucket empties for it."""
    gate = make_gate()
    gate.turn([bare("a")], NOW)
    assert len(gate.turn([bare("a")], NOW - 3600 * SECOND).take) == 1


arrivals = st.lists(
    st.tuples(
        st.integers(0, 3 * SECOND),
        st.lists(
            st.tuples(st.sampled_from(["a", "b", "large", "stranger"]), st.booleans(), st.sampled_from([0, 9000]))
        ),
    ),
    max_size=12,
)


@given(arrivals)
def test_every_message_is_answered_and_nobody_exceeds_their_rate(
    steps: list[tuple[int, list[tuple[str, bool, int]]]],
) -> None:
    """Each message is taken in, held or given back once; what is held is taken in later; rates hold over any time."""
    gate, now, token = make_gate(), NOW, 0
    answered: Counter[int] = Counter()
    taken: Counter[int] = Counter()
    for wait, sent in steps:
        now += wait
        messages = []
        for name, has_number, size in sent:
            token += 1
            messages.append(numbered(name, token, size=size) if has_number else bare(name, token))
        turn = gate.turn(messages, now)
        for message in turn.take:
            taken[gate.number(message.topic)] += 1
            gate.pay(gate.number(message.topic), 1)
        answered.update(one.token for one in (*turn.take, *turn.acknowledge, *turn.refuse) if one.token)
    while (turn := gate.turn([], now)).more:
        answered.update(one.token for one in (*turn.take, *turn.acknowledge) if one.token)
    assert answered == Counter(range(1, token + 1))
    for number, count in taken.items():
        # Within one pass a gateway may take what its bucket holds, and one message that takes it below nothing.
        passed_s = (now - NOW) / SECOND
        assert count <= gate._burst[number] + gate.rate[number] * passed_s + max(len(sent) for _, sent in steps)
    hours = 0
    while gate.waiting:
        hours += 1
        assert gate.turn([], now + 3600 * SECOND * hours).take
    assert gate._held_bytes == 0
