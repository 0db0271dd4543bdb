"""What intake promises about any bytes at all: checked with Hypothesis in every test run, and with atheris by hand."""

from ingest.intake import CATALOGUES, take_in
from ingest.receipts import receipts
from lift import topics
from lift.batch import from_rows
from lift.ports import Message
from lift.signals import SIGNALS
from lift.trips import TRIP_SIGNALS
from lift.wire import REASON_CHARACTERS_MAX, REFUSALS_MAX, Stamp, arrow, json
from tests.unit.ingest.line import FLEET, NOW, SECOND


def keep_promises(payloads: list[bytes], kind: str = topics.TELEMETRY, gateway: str = "a") -> None:
    """Take messages in and check that nothing escapes, every refusal names a field, and the counts add up."""
    topic = topics.topic(gateway, kind)
    intake = take_in([Message(topic, payload) for payload in payloads], FLEET, received_at=NOW, kind=kind)
    deliveries, batch = intake.deliveries, intake.batch
    assert len(deliveries) == len(payloads)
    assert sum(one.received for one in deliveries) == len(batch) + sum(one.refused for one in deliveries)
    for one in deliveries:
        assert 0 <= one.refused <= one.received
        assert len(one.faults) <= REFUSALS_MAX
        assert not one.refused or one.faults
        for fault in one.faults:
            assert fault.field
            assert 0 < len(fault.reason) <= REASON_CHARACTERS_MAX
    assert set(batch.columns) <= set(CATALOGUES[kind].values())
    for signal, values in batch.columns.items():
        assert values.dtype == signal.dtype
        assert len(values) == len(batch)
        assert not ((values < signal.low) | (values > signal.high)).any(), signal.name
    # What was let in is known and ours, and can be told and stored as text.
    for row in batch.rows():
        assert FLEET.gateways[FLEET.gateway[FLEET.slot(row["lift"])]] == gateway
    receipts(deliveries)
    for one in deliveries:
        "\n".join(one.reasons).encode("utf-8", "backslashreplace")


def examples() -> list[bytes]:
    """Give valid messages of both encodings and both catalogues: what mutations start from."""
    readings = [
        {
            "lift": lift,
            "at": NOW - i * SECOND,
            **{signal.name: signal.high for signal in SIGNALS},
            "message_codes": [11],
        }
        for i, lift in enumerate(("000001", "000002", "3110000001"))
    ]
    trips = [{"lift": "000001", "at": NOW, **{signal.name: signal.low for signal in TRIP_SIGNALS}}]
    few = [{"lift": "000001", "at": NOW, "passenger": 1}, {"lift": "000002", "at": NOW, "message_codes": []}]
    batches = [from_rows(readings), from_rows(trips, CATALOGUES[topics.TRIPS]), from_rows(few), from_rows(few[:1])]
    stamps = (None, Stamp("5f1c", 1200))
    return [encode(batch, stamp) for batch in batches for stamp in stamps for encode in (arrow.encode, json.encode)]
