"""What every adapter of the records promises, on a SQLite file and on a real PostgreSQL."""

import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from adapters import records_schema as schema
from adapters import records_writes
from adapters.records_sql import SqlRecords
from lift.alarm import Alarm, Priority
from lift.codes import Code
from lift.errors import Conflict, Invalid, NotFound, Unavailable
from lift.ports import Quarantined, User
from lift.register import Register
from lift.ticket import Answer, Callout, Clock, ClockName, Stage, Ticket, TicketEvent, digest
from tests import servers
from tests.contract.register import BUILDINGS, FIRMS, LIFTS, REGISTER

AT = 1_795_000_000_000_000  # a moment in November 2026


class Crash(Exception):
    """Something goes wrong in the middle of a transaction."""


def an_alarm(onset: int = AT, lift: str = "063577", *, latching: bool = False) -> Alarm:
    """Make an alarm."""
    return Alarm(
        key=f"{lift}:rule:{onset}",
        lift=lift,
        rule="rule",
        code=Code.ENTRAPMENT,
        priority=Priority.EMERGENCY,
        latching=latching,
        onset=onset,
        raised_at=onset,
    )


def a_ticket(number: int = 1, lift: str = "063577", stage: Stage = Stage.DISPATCHED, at: int = AT) -> Ticket:
    """Make a ticket with one running and one stopped clock."""
    return Ticket(
        ticket_id=f"20261123-{number:04d}",
        lift=lift,
        firm_id="f1" if lift.startswith("0635") else "f2",
        stage=stage,
        level=1,
        source="alarm",
        summary="Entrapment 困人",
        opened_at=at,
        updated_at=at,
        clocks=(
            Clock(name=ClockName.ORDER, level=0, due=at + 60, stopped_at=at),
            Clock(name=ClockName.ACCEPT, level=1, due=at + 180),
        ),
    )


def a_callout(ticket: Ticket, party: str, number: int = 1, answer: Answer = Answer.WAITING) -> Callout:
    """Make a call-out."""
    return Callout(
        callout_id=f"{ticket.ticket_id}-{number:03d}",
        ticket_id=ticket.ticket_id,
        level=number,
        party_id=party,
        party_name=party,
        phone="1",
        answer=answer,
        ordered_at=ticket.opened_at + number,
    )


def say(records: SqlRecords, kind: str = "k") -> int:
    """Announce one event in a transaction of its own."""
    with records.write() as tx:
        return tx.announce(kind=kind, at=AT, lift="063577", firm_id="f1", data={"said": kind})


# ------------------------------------------------------------------------------------------ register


def test_a_lift_is_found_by_either_code_and_only_in_its_firm(records: SqlRecords) -> None:
    """Both codes lead to the lift; another firm's lift looks the same as one that does not exist."""
    with records.read() as reads:
        assert reads.lift("063577") == LIFTS[0]
        assert reads.lift("3110063577", firm_id="f1") == LIFTS[0]
        for code, firm in [("063577", "f2"), ("nothing", "f2"), ("", None)]:
            with pytest.raises(NotFound, match=f"no lift has the code '{code}'"):
                reads.lift(code, firm_id=firm)


def test_the_register_reads_back_as_it_was_written(records: SqlRecords) -> None:
    """Lifts, buildings, firms, stations and crews come back whole, and what is unknown is NotFound."""
    with records.read() as reads:
        assert [reads.building(b.building_id) for b in BUILDINGS] == list(BUILDINGS)
        assert [reads.firm(f.firm_id) for f in FIRMS] == list(FIRMS)
        assert reads.all_lifts() == list(LIFTS)
        assert reads.stations(level=2) == list(REGISTER.stations)
        assert reads.stations(level=3) == []
        assert reads.crew("c1") == REGISTER.crews[0]
        for find in (reads.building, reads.firm, reads.crew, reads.user, reads.ticket, reads.alarm, reads.callout):
            with pytest.raises(NotFound, match="none"):
                find("none")


@pytest.mark.parametrize(
    ("text", "firm", "found"),
    [
        ("", None, ["063500", "063577", "100245"]),
        ("0635", None, ["063500", "063577"]),
        ("3110100", None, ["100245"]),
        ("plum", None, ["063577"]),
        ("梅", None, ["063577"]),
        ("road", None, ["063500", "100245"]),
        ("road", "f2", ["100245"]),
        ("0635", "f2", []),
        ("100%", None, ["063500", "100245"]),
        ("y_s", None, ["063577"]),
        ("0%7", None, []),
        ("_", "f2", []),
    ],
)
def test_search_fits_codes_by_prefix_and_places_by_part(
    records: SqlRecords, text: str, firm: str | None, found: list[str]
) -> None:
    """A search means its characters, wild ones too, in order of code and within the firm."""
    with records.read() as reads:
        hits = reads.lifts(text=text, firm_id=firm)
        assert [lift.rescue_code for lift, _ in hits] == found
        assert all(building == reads.building(lift.building_id) for lift, building in hits)


def test_search_pages_by_code(records: SqlRecords) -> None:
    """`after` goes on where a page ended."""
    with records.read() as reads:
        assert [lift.rescue_code for lift, _ in reads.lifts(most=1, after="063500")] == ["063577"]


def test_gateways_are_listed_with_the_lifts_behind_them(records: SqlRecords) -> None:
    """The register knows every gateway by its lifts, within a firm only by that firm's."""
    code = LIFTS[0].rescue_code
    with records.write() as tx:
        tx.register(Register(lifts=(replace(LIFTS[0], gateway="other", firm_id="f2"),)))
        assert tx.gateways() == {"g": len(LIFTS) - 1, "other": 1}
        assert tx.gateways(firm_id="f2") == {"g": 1, "other": 1}
        assert [lift.rescue_code for lift, _ in tx.lifts(gateway="other")] == [code]
        assert tx.lifts(gateway="other", firm_id="f1") == []


def test_a_text_that_fits_very_many_buildings_is_found_in_order(records: SqlRecords) -> None:
    """A common word is searched another way and gives the same order."""
    many = [replace(BUILDINGS[0], building_id=f"x{n}", name="Common") for n in range(1200)]
    lifts = [replace(LIFTS[0], rescue_code=f"5{n:05d}", building_id=b.building_id) for n, b in enumerate(many)]
    with records.write() as tx:
        tx.register(Register(buildings=tuple(many), lifts=tuple(lifts)))
        assert [lift.rescue_code for lift, _ in tx.lifts(text="COMMON", most=3)] == ["500000", "500001", "500002"]
        assert len(tx.lifts(text="common", most=10**9)) == 1000


def test_lifts_keep_their_order_over_updates_and_restarts(records: SqlRecords, url: str) -> None:
    """Slots of saved engine states stay true: an update moves nothing, a new lift comes last."""
    changed = replace(LIFTS[0], gateway="other", firm_id="f2")
    with records.write() as tx:
        tx.register(Register(lifts=(replace(LIFTS[0], rescue_code="000001"), changed)))
    records.close()
    again = SqlRecords(url)
    with again.read() as reads:
        assert reads.all_lifts() == [changed, *LIFTS[1:], replace(LIFTS[0], rescue_code="000001")]
    again.close()


def test_a_lift_without_its_building_is_refused(records: SqlRecords) -> None:
    """The register stays whole, and the error says what is missing."""
    with pytest.raises(Invalid, match="names a building or a firm"), records.write() as tx:
        tx.register(Register(lifts=(replace(LIFTS[0], rescue_code="7", building_id="nowhere"),)))


# -------------------------------------------------------------------------------------------- alarms


def test_an_alarm_reads_back_with_every_fact(records: SqlRecords) -> None:
    """Whatever is known of it, and whatever of it changes; a key is taken once."""
    alarm = an_alarm()
    full = replace(
        alarm, returned_at=1, acknowledged_at=2, acknowledged_by="a", reset_at=3, shelved_until=4, ticket_id="t",
        confirmed_at=5, confidence=0.75, evidence=("voice", "人声"), shown_at=6, incident="i", suppressed_by="s",
        out_of_service_until=7, first_out=True, chattering_since=8, quiet_from=9, latest_onset=10, repeats=11,
    )  # fmt: skip
    with records.write() as tx:
        tx.add_alarms([alarm, an_alarm(AT + 1)])
        assert tx.alarm(alarm.key) == alarm
        tx.change_alarms([(alarm, full), (full, full)])
        assert tx.alarm(alarm.key) == full
        assert tx.alarms_by_key([alarm.key, "unknown"]) == {alarm.key: full}
        assert [one.onset for one in tx.holding_alarms()] == [AT + 1]
        assert tx.holding_alarms(after=an_alarm(AT + 1).key) == []
    with pytest.raises(Conflict), records.write() as tx:
        tx.add_alarms([alarm])


def test_standing_alarms_are_those_that_hold_or_are_latched(records: SqlRecords) -> None:
    """A latched alarm stands until it is reset, any other until its condition returns."""
    plain, latched = an_alarm(AT), an_alarm(AT + 1, latching=True)
    with records.write() as tx:
        for alarm in (plain, latched):
            tx.add_alarms([alarm])
            tx.save_alarm(replace(alarm, returned_at=AT + 9, ticket_id="t", acknowledged_by="a"))
        assert [a.key for a in tx.alarms(standing=True)] == [latched.key]
        assert [a.key for a in tx.alarms(standing=False)] == [plain.key]
        assert tx.counts()["alarms_standing"] == 1
        tx.save_alarm(replace(latched, returned_at=AT + 9, reset_at=AT + 10))
        assert tx.alarms(standing=True) == []


def test_alarms_are_limited_to_a_firm_and_a_lift(records: SqlRecords) -> None:
    """A firm sees the alarms of its lifts only; an alarm of an unknown lift is the city's."""
    with records.write() as tx:
        for alarm in (an_alarm(), an_alarm(lift="100245"), an_alarm(lift="unknown")):
            tx.add_alarms([alarm])
        assert [a.lift for a in tx.alarms(firm_id="f2")] == ["100245"]
        assert [a.lift for a in tx.alarms(lift="063577")] == ["063577"]
        assert len(tx.alarms()) == 3
        with pytest.raises(NotFound):
            tx.alarm(an_alarm().key, firm_id="f2")


def test_pages_of_alarms_lose_none_that_came_at_one_moment(records: SqlRecords) -> None:
    """A power cut raises many alarms at once: reading page by page still gives each exactly once."""
    alarms = [an_alarm(AT + n // 7, lift=f"{n:06d}") for n in range(30)]
    with records.write() as tx:
        tx.add_alarms(alarms)
    seen: list[str] = []
    before = None
    with records.read() as reads:
        while page := reads.alarms(before=before, most=5):
            seen += [alarm.key for alarm in page]
            before = page[-1].raised_at
    assert sorted(seen) == sorted(alarm.key for alarm in alarms)


# ------------------------------------------------------------------------------------------- tickets


def test_a_lift_has_one_rescue_at_a_time(records: SqlRecords) -> None:
    """The database itself refuses a second; the transaction goes on, and after the release there may be another."""
    with records.write() as tx:
        tx.add_ticket(a_ticket(1))
        with pytest.raises(Conflict, match="under way at lift 063577: ticket 20261123-0001"):
            tx.add_ticket(a_ticket(2))
        with pytest.raises(Conflict, match="20261123-0001"):
            tx.add_ticket(a_ticket(1, lift="100245"))
        assert tx.rescue_of("063577") == a_ticket(1)
        tx.save_ticket(a_ticket(1, stage=Stage.RELEASED))
        assert tx.rescue_of("063577") is None
        tx.add_ticket(a_ticket(2))
    with records.read() as reads:
        assert reads.rescue_of("063577") == a_ticket(2)
        assert [t.ticket_id[-1] for t in reads.tickets()] == ["2", "1"]
        assert reads.tickets(stages=[Stage.RELEASED]) == [a_ticket(1, stage=Stage.RELEASED)]
        assert (reads.counts()["rescues"], reads.counts()["tickets_open"]) == (1, 2)


def test_tickets_are_seen_by_their_firm_and_by_whoever_is_called(records: SqlRecords) -> None:
    """The lift's firm and a station called out see a ticket with its call-outs; to anyone else it does not exist."""
    with records.write() as tx:
        ticket = a_ticket(1)
        tx.add_ticket(ticket)
        tx.save_callout(a_callout(ticket, "f1", 1, Answer.UNANSWERED))
        tx.save_callout(a_callout(ticket, "s1", 2))
        for party in ("f1", "s1"):
            assert tx.ticket(ticket.ticket_id, firm_id=party) == ticket
            assert tx.tickets(firm_id=party) == [ticket]
            assert [c.level for c in tx.callouts(firm_id=party)] == [2, 1]
            assert tx.callout(f"{ticket.ticket_id}-002", firm_id=party).party_id == "s1"
        assert not tx.tickets(firm_id="f2")
        assert not tx.callouts(firm_id="f2")
        with pytest.raises(NotFound):
            tx.ticket(ticket.ticket_id, firm_id="f2")
        with pytest.raises(NotFound):
            tx.callout(f"{ticket.ticket_id}-002", firm_id="f2")
        assert [c.level for c in tx.callouts(waiting=True)] == [2]
        assert tx.oldest_waiting() == AT + 2
        tx.save_callout(a_callout(ticket, "s1", 2, Answer.ACCEPTED))
        assert tx.callouts(waiting=True) == []
        assert tx.oldest_waiting() is None


def test_clocks_that_are_due_come_longest_overdue_first(records: SqlRecords) -> None:
    """Only running, unmarked clocks are due, and not before their time."""
    with records.write() as tx:
        tx.add_ticket(a_ticket(1, at=AT))
        tx.add_ticket(a_ticket(2, lift="063500", at=AT - 50))
        assert tx.due_clocks(AT + 129) == []
        assert [ticket_id[-1] for ticket_id, _ in tx.due_clocks(AT + 180)] == ["2", "1"]
        assert [ticket_id[-1] for ticket_id, _ in tx.due_clocks(AT + 180, most=1)] == ["2"]
        first = a_ticket(2, lift="063500", at=AT - 50)
        marked = tuple(replace(clock, breached_at=AT + 180) for clock in first.clocks)
        tx.save_ticket(replace(first, clocks=marked))
        assert tx.due_clocks(AT + 180) == [(a_ticket(1).ticket_id, a_ticket(1).clocks[1])]
        assert tx.ticket(first.ticket_id).clocks == marked


def test_a_log_is_numbered_chained_and_reads_back_with_its_hashes(records: SqlRecords) -> None:
    """Each event carries the hash of the one before, whatever plain JSON its details hold."""
    ticket = a_ticket()
    details = {"zh": "困人", "odd": "\0", "n": [1, 2.5, None, True], "deep": {"b": (1, 2)}}
    with records.write() as tx:
        tx.add_ticket(ticket)
        written = [
            tx.append_event(TicketEvent(ticket_id=ticket.ticket_id, number=0, kind=k, at=AT, by="me", details=details))
            for k in ("one", "two")
        ]
    with records.write() as tx:
        last = TicketEvent(ticket_id=ticket.ticket_id, number=9, kind="three", at=AT, by="me", device_at=5)
        written.append(tx.append_event(last))
    with records.read() as reads:
        log = reads.ticket_events(ticket.ticket_id)
    assert log == written
    assert [event.number for event in log] == [1, 2, 3]
    assert [event.previous for event in log] == ["", log[0].digest, log[1].digest]
    assert [event.digest for event in log] == [digest(event) for event in log]


@pytest.mark.parametrize("details", [{"x": object()}, {"x": float("nan")}, {"x": "long" * 20_000}, {"x": "\ud800"}])
def test_details_that_could_not_be_checked_later_are_refused(records: SqlRecords, details: dict[str, object]) -> None:
    """What is not plain JSON, or too long, is Invalid and leaves no event."""
    with records.write() as tx:
        tx.add_ticket(a_ticket())
        event = TicketEvent(ticket_id=a_ticket().ticket_id, number=0, kind="k", at=AT, by="me", details=details)
        with pytest.raises(Invalid):
            tx.append_event(event)
        assert tx.ticket_events(a_ticket().ticket_id) == []


def test_ticket_numbers_never_repeat(records: SqlRecords) -> None:
    """Each day counts from one; a number taken in a transaction that failed was never used."""
    with records.write() as tx:
        assert [tx.next_ticket_number("20261123") for _ in range(3)] == [1, 2, 3]
        assert tx.next_ticket_number("20261124") == 1
    with records.write() as tx:
        assert tx.next_ticket_number("20261123") == 4


# ---------------------------------------------------------------------------------- feed and outbox


def test_the_feed_resumes_after_any_id_and_shows_a_firm_its_own(records: SqlRecords) -> None:
    """Ids ascend without a gap; what a failed transaction announced was never said."""
    with records.read() as reads:
        assert reads.feed_end() == 0
    first = say(records)
    with pytest.raises(Crash), records.write() as tx:  # noqa: PT012 - the crash comes after the work
        tx.announce(kind="never", at=AT, lift="", firm_id="", data={})
        raise Crash
    with records.write() as tx:
        assert tx.announce(kind="city", at=AT, lift="", firm_id="", data={"n": [1], "zh": "困"}) == first + 1
    with records.read() as reads:
        assert [(e.event_id, e.kind) for e in reads.feed(after=0)] == [(1, "k"), (2, "city")]
        assert reads.feed(after=1)[0].data == {"n": [1], "zh": "困"}
        assert [e.kind for e in reads.feed(after=0, firm_id="f1")] == ["k"]
        assert len(reads.feed(after=0, most=1)) == 1
        assert reads.feed_end() == 2


def test_a_notification_waits_until_it_is_sent_or_given_up(records: SqlRecords) -> None:
    """Due ones come oldest first; what was sent or given up does not come again."""
    with records.write() as tx:
        for n in range(3):
            number = tx.enqueue(kind="order", party_id="f1", phone="1", text=f"{n} 困人", at=AT + n, about="x")
            assert number == n + 1
        assert tx.outbox_due(AT - 1) == []
        items = tx.outbox_due(AT + 2)
        assert [item.text[0] for item in items] == ["0", "1", "2"]
        tx.save_outbox(replace(items[0], sent_at=AT, attempts=1))
        tx.save_outbox(replace(items[1], given_up_at=AT, error="wrong number"))
        tx.save_outbox(replace(items[2], next_at=AT + 60, attempts=4))
        assert tx.outbox_due(AT + 59) == []
        assert tx.outbox_due(AT + 60) == [replace(items[2], next_at=AT + 60, attempts=4)]
        counts = tx.counts()
        assert (counts["notifications_unsent"], counts["notifications_given_up"]) == (1, 1)


# ---------------------------------------------------------------------------------------- quarantine


def test_a_refused_message_is_kept_byte_for_byte(records: SqlRecords) -> None:
    """Bytes, reasons and topic come back, however odd, and a replayed one no longer waits."""
    payload = bytes(range(256))
    with records.write() as tx:
        numbers = [
            tx.quarantine(
                at=AT, topic="t\0\ud800", gateway="g", payload=payload, reasons=["no \0 lift"], readings_refused=2
            )
            for _ in range(3)
        ]
        item = tx.quarantine_item(numbers[0])
        assert (item.payload, item.reasons, item.readings_refused) == (payload, ("no \0 lift",), 2)
        tx.quarantine_replayed(numbers[1], AT + 1)
        assert [q.quarantine_id for q in tx.quarantined()] == numbers[::-1]
        assert [q.quarantine_id for q in tx.quarantined(waiting=True, before=numbers[2])] == [numbers[0]]
        assert [q.replayed_at for q in tx.quarantined(waiting=False)] == [AT + 1]
        assert tx.counts()["quarantined"] == 2
        with pytest.raises(NotFound):
            tx.quarantine_item(99)


@pytest.mark.parametrize(("limit", "value"), [("QUARANTINE_MAX", 3), ("QUARANTINE_BYTES_MAX", 30)])
def test_quarantine_is_bounded_and_counts_what_it_drops(
    records: SqlRecords, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    """The newest are kept, in number and in bytes, and the newest itself however large."""
    monkeypatch.setattr(records_writes, limit, value)
    kept: list[Quarantined] = []
    for size in [10] * 5 + [100]:
        with records.write() as tx:
            number = tx.quarantine(at=AT, topic="t", gateway="g", payload=b"x" * size, reasons=[], readings_refused=1)
            kept = tx.quarantined()
            dropped = tx.counts()["quarantine_dropped"]
        assert kept[0].quarantine_id == number
        assert len(kept) + dropped == number
        assert len(kept) <= 3
    assert len(kept) == (3 if limit == "QUARANTINE_MAX" else 1)


# ----------------------------------------------------------------------------------------- the rest


def test_people_sign_in_until_their_time_is_over(records: SqlRecords) -> None:
    """A session leads to its user until it expires or is ended; a user's oldest sessions make room."""
    user = User(name="ann", role="dispatcher", display_name="Ann 安", password_hash="h")
    with records.write() as tx:
        tx.save_user(user)
        tx.save_user(replace(user, role="admin"))
        assert tx.user("ann").role == "admin"
        tx.save_session("token", "ann", AT)
        assert tx.session_user("token", AT - 1) == replace(user, role="admin")
        assert tx.session_user("token", AT) is None
        tx.end_session("token")
        assert tx.session_user("token", AT - 1) is None
        for n in range(records_writes.SESSIONS_A_USER_MAX + 1):
            tx.save_session(f"token{n}", "ann", AT + n)
        assert tx.session_user("token0", AT - 1) is None
        assert tx.session_user("token1", AT - 1) is not None


def test_settings_are_remembered(records: SqlRecords, url: str) -> None:
    """A small value survives a restart; an unknown one is None."""
    with records.write() as tx:
        tx.save_setting("x", "1")
        tx.save_setting("x", "二")
    again = SqlRecords(url)
    with again.read() as reads:
        assert (reads.setting("x"), reads.setting("y")) == ("二", None)
    again.close()


def test_a_transaction_is_all_or_nothing(records: SqlRecords) -> None:
    """What a failing block wrote is gone, its own reads had seen it, and the next writer is not held up."""
    with pytest.raises(Crash), records.write() as tx:  # noqa: PT012 - the crash comes after the work
        tx.add_ticket(a_ticket())
        tx.enqueue(kind="order", party_id="f1", phone="1", text="t", at=AT)
        assert tx.rescue_of("063577") is not None
        raise Crash
    with records.read() as reads:
        assert reads.rescue_of("063577") is None
        assert reads.outbox_due(AT) == []
    with records.write() as tx:
        tx.add_ticket(a_ticket())


def test_a_reader_sees_one_moment(records: SqlRecords) -> None:
    """What is written while a view is open does not show in it."""
    with records.read() as reads:
        assert reads.feed_end() == 0
        say(records)
        assert reads.feed_end() == 0
    with records.read() as reads:
        assert reads.feed_end() == 1


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_what_cannot_be_stored_is_invalid_or_harmless(records: SqlRecords, text: str) -> None:
    """No odd character brings out an error of the database's library."""
    with records.read() as reads:
        try:
            reads.lifts(text=text)
        except Invalid:
            return
        assert reads.counts()["rescues"] == 0


def test_a_number_too_large_is_invalid(records: SqlRecords) -> None:
    """Numbers beyond 64 bits are refused by name of ours, not the library's."""
    with pytest.raises(Invalid), records.read() as reads:
        reads.alarms(before=2**70)


# --------------------------------------------------------------------------------------- waiting


def test_wait_ends_with_a_write_of_this_process(records: SqlRecords) -> None:
    """A waiting thread wakes when someone announces, and finds the event."""
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(records.wait(after=0, timeout_s=30)))
    thread.start()
    say(records)
    thread.join(20)
    assert found == [True]
    assert records.wait(after=0, timeout_s=0)
    assert not records.wait(after=1, timeout_s=0.05)


def test_wait_ends_with_a_write_of_another_process(records: SqlRecords, url: str) -> None:
    """What is announced through another connection is noticed too."""
    other = SqlRecords(url)
    assert not records.wait(after=0, timeout_s=0)
    thread = threading.Timer(0.2, say, [other])
    thread.start()
    assert records.wait(after=0, timeout_s=30)
    thread.join()
    other.close()


def test_closing_wakes_whoever_waits(records: SqlRecords) -> None:
    """A stop does not have to wait for the waiting."""
    heard: list[Exception] = []

    def listen() -> None:
        try:
            records.wait(after=0, timeout_s=60)
        except Unavailable as error:
            heard.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    records.close()
    thread.join(20)
    assert len(heard) == 1


# ------------------------------------------------------------------------------------ many at once

WRITERS, EVENTS = 3, 25


def write_events(url: str, name: str) -> None:
    """Announce from a process of its own, some of it in transactions that fail."""
    records = SqlRecords(url)
    for n in range(EVENTS):
        say(records, f"{name}-{n}")
        try:
            with records.write() as tx:
                tx.announce(kind="undone", at=AT, lift="", firm_id="", data={})
                raise Crash  # noqa: TRY301
        except Crash:
            pass
    records.close()


def open_ticket(url: str, number: int, results: "multiprocessing.Queue[str]") -> None:
    """Try to open a ticket for the one lift from a process of its own."""
    records = SqlRecords(url)
    try:
        with records.write() as tx:
            tx.add_ticket(a_ticket(number))
        results.put("opened")
    except Conflict:
        results.put("conflict")
    records.close()


def test_a_follower_of_the_feed_misses_nothing_while_processes_write(url: str) -> None:
    """Threads and processes that start on an empty database announce at once; a reader sees 1, 2, 3 … in order."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=write_events, args=(url, f"p{n}")) for n in range(WRITERS - 1)]
    for process in processes:
        process.start()
    thread = threading.Thread(target=write_events, args=(url, "thread"))
    thread.start()
    records = SqlRecords(url)
    seen: list[int] = []
    deadline = time.monotonic() + 50
    while len(seen) < WRITERS * EVENTS and time.monotonic() < deadline:
        records.wait(after=seen[-1] if seen else 0, timeout_s=5)
        with records.read() as reads:
            seen += [event.event_id for event in reads.feed(after=seen[-1] if seen else 0, most=7)]
    assert seen == list(range(1, WRITERS * EVENTS + 1))
    thread.join()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    records.close()


def test_processes_that_open_for_one_lift_open_one_ticket(records: SqlRecords, url: str) -> None:
    """Whoever comes first has it; the others are told so."""
    spawn = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = spawn.Queue()
    processes = [spawn.Process(target=open_ticket, args=(url, n, results)) for n in range(1, 4)]
    for process in processes:
        process.start()
    assert sorted(results.get(timeout=50) for _ in processes) == ["conflict", "conflict", "opened"]
    for process in processes:
        process.join()
    with records.read() as reads:
        assert len(reads.tickets()) == 1


def test_a_writer_that_never_ends_makes_others_unavailable_not_stuck(
    records: SqlRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for a turn has a bound."""
    monkeypatch.setattr("adapters.records_sql._WAIT_S", 0.1)
    with records.write(), pytest.raises(Unavailable, match="another write"):
        say(records)


# ---------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mongo://host/x", "unknown scheme 'mongo'"),
        ("nonsense", "not a database address"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_bad_address_is_refused_with_what_is_accepted(address: str, said: str) -> None:
    """The error says what is wrong and how a right one looks."""
    with pytest.raises(Invalid, match=said) as refusal:
        SqlRecords(address)
    assert "sqlite:///<file>" in str(refusal.value)


def test_a_newer_schema_is_refused(records: SqlRecords, url: str) -> None:
    """An old Liftwatch does not touch what a newer one wrote."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(schema.schema_version.update().values(version=schema.VERSION + 1))
    engine.dispose()
    with pytest.raises(Invalid, match="newer Liftwatch"):
        SqlRecords(url)


def test_records_of_the_first_version_are_brought_up_to_date(records: SqlRecords, url: str) -> None:
    """Its lifts gain an unknown batch and all that came later finds its tables."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE lifts DROP COLUMN batch"))
        connection.execute(sa.text("DROP TABLE repairs"))
        connection.execute(schema.schema_version.update().values(version=1))
    engine.dispose()
    for _ in range(2):
        again = SqlRecords(url)
        with again.read() as reads:
            assert {lift.batch for lift in reads.all_lifts()} == {""}
            assert reads.repairs(after=0) == []
        again.close()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    """No error of the database's library comes out, and no password."""
    address = f"postgresql+psycopg://u:secret@127.0.0.1:{servers.free_port()}/x"
    with pytest.raises(Unavailable) as refusal:
        SqlRecords(address)
    assert "secret" not in str(refusal.value)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    """A damaged file is said to be one."""
    file = tmp_path / "records.db"
    file.write_bytes(b"not a database at all, but long enough to look like something" * 20)
    with pytest.raises(Unavailable, match="not a database"):
        SqlRecords(f"sqlite:///{file}")


@pytest.mark.integration
def test_records_come_back_with_their_server(postgresql: servers.PostgreSQL) -> None:
    """A database that was away fails what it was asked meanwhile, and nothing after it."""
    records = SqlRecords(postgresql.fresh())
    say(records)
    postgresql.stop()
    with pytest.raises(Unavailable):
        say(records)
    with pytest.raises(Unavailable), records.read() as reads:
        reads.feed_end()
    postgresql.start()
    assert say(records) == 2
    records.close()


def test_what_was_committed_survives_a_crash(tmp_path: Path) -> None:
    """The files as they lie on the disk after a commit hold it, whatever becomes of the process."""
    records = SqlRecords(f"sqlite:///{tmp_path}/records.db")
    say(records)
    copy = tmp_path / "after"
    copy.mkdir()
    for file in tmp_path.glob("records.db*"):
        (copy / file.name).write_bytes(file.read_bytes())
    again = SqlRecords(f"sqlite:///{copy}/records.db")
    with again.read() as reads:
        assert reads.feed_end() == 1
    again.close()
    records.close()
    with sqlite3.connect(tmp_path / "records.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlRecords]:
    """Give records for a property test."""
    records = SqlRecords(f"sqlite:///{tmp_path_factory.mktemp('records')}/records.db")
    with records.write() as tx:
        tx.register(REGISTER)
    yield records
    records.close()


@given(text=st.text(max_size=8))
def test_any_search_finds_what_fits_and_nothing_else(place: SqlRecords, text: str) -> None:
    """Against a plain loop over the register, for any text."""
    needle = text.strip().lower()
    if needle != needle.encode("ascii", "ignore").decode() or "\0" in text:
        return  # SQLite folds the case of ASCII letters only
    fits = [
        lift.rescue_code
        for lift in LIFTS
        for building in BUILDINGS
        if building.building_id == lift.building_id
        if lift.rescue_code.startswith(needle)
        or lift.registration_code.startswith(needle)
        or needle in building.name.lower()
        or needle in building.address.lower()
    ]
    with place.read() as reads:
        assert [lift.rescue_code for lift, _ in reads.lifts(text=text)] == sorted(fits)
