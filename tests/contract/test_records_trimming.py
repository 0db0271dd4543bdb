"""Old events, notifications and replayed messages go, a bounded number at a time; what matters stays."""

from dataclasses import replace

from adapters.records_sql import SqlRecords
from lift.alarm import Alarm, Priority


def test_old_events_go_and_ids_go_on(records: SqlRecords, url: str) -> None:
    """The oldest go first, no more than asked; the newest stays, so that its id is given to no other event."""
    with records.write() as tx:
        ids = [tx.announce(kind="k", at=at, lift="", firm_id="", data={}) for at in range(10)]
    with records.write() as tx:
        assert tx.trim_feed(before=6, most=4) == 4
    with records.read() as tx:
        assert [event.event_id for event in tx.feed(after=0)] == ids[4:]
        assert (tx.feed_start(), tx.feed_end()) == (ids[4], ids[-1])
    with records.write() as tx:
        assert [tx.trim_feed(before=100, most=100), tx.trim_feed(before=100, most=100)] == [5, 0]
    records.close()
    again = SqlRecords(url)
    with again.write() as tx:
        assert tx.announce(kind="k", at=11, lift="", firm_id="", data={}) == ids[-1] + 1
    again.close()


def test_what_was_not_sent_is_never_removed(records: SqlRecords) -> None:
    """Of old notifications only those go that were sent or given up; one still on its way stays for ever."""
    with records.write() as tx:
        for at in range(5):
            tx.enqueue(kind="order", party_id="f1", phone="111", text="go", at=at)
        items = tx.outbox_due(100)
        tx.save_outbox(replace(items[0], sent_at=50))
        tx.save_outbox(replace(items[2], given_up_at=50))
        tx.save_outbox(replace(items[4], sent_at=50))
    with records.write() as tx:
        assert tx.trim_outbox(before=100, most=1) == 1
        assert tx.trim_outbox(before=2, most=9) == 0
        # The newest was sent too and stays, for the next one's id.
        assert tx.trim_outbox(before=100, most=9) == 1
        assert [item.outbox_id for item in tx.outbox_due(100)] == [items[1].outbox_id, items[3].outbox_id]
        assert tx.enqueue(kind="order", party_id="f1", phone="111", text="go", at=9) == items[4].outbox_id + 1


def test_what_waits_in_quarantine_is_never_removed(records: SqlRecords) -> None:
    """Of old refused messages only those go that were replayed."""
    with records.write() as tx:
        ids = [
            tx.quarantine(at=at, topic="t", gateway="g", payload=b"x", reasons=["why"], readings_refused=1)
            for at in range(4)
        ]
        tx.quarantine_replayed(ids[0], 50)
        tx.quarantine_replayed(ids[2], 50)
    with records.write() as tx:
        assert tx.trim_quarantine(before=2, most=9) == 1
        assert tx.trim_quarantine(before=100, most=9) == 1
        assert [item.quarantine_id for item in tx.quarantined()] == [ids[3], ids[1]]


def test_alarm_spans_are_those_that_reach_into_a_time(records: SqlRecords) -> None:
    """Every alarm whose onset or raise lies in a time is named once, however many have the same moment."""
    with records.write() as tx:
        for number, (onset, raised_at) in enumerate([(0, 5), (5, 15), (12, 18), (12, 18), (19, 40), (20, 21)]):
            alarm = Alarm(
                key=f"063577:rule{number}:{onset}",
                lift="063577",
                rule=f"rule{number}",
                code=None,
                priority=Priority.HIGH,
                latching=False,
                onset=onset,
                raised_at=raised_at,
            )
            tx.add_alarms([alarm])
    with records.read() as tx:
        spans = tx.alarm_spans(start=10, end=20)
    assert spans == [("063577", 5, 15), ("063577", 12, 18), ("063577", 12, 18), ("063577", 19, 40)]


def test_trimming_leaves_the_rest_alone(records: SqlRecords) -> None:
    """Trimming empty tables does nothing, and says so."""
    with records.write() as tx:
        trimmed = [trim(before=100, most=9) for trim in (tx.trim_feed, tx.trim_outbox, tx.trim_quarantine)]
    assert trimmed == [0, 0, 0]
    with records.read() as tx:
        assert (tx.feed_start(), tx.feed_end()) == (0, 0)
