"""What every adapter of the records promises about incidents, time out of service and the alarm desk's figures."""

from dataclasses import replace

import pytest

from adapters.records_sql import SqlRecords
from lift.alarm import OutOfService, Priority
from lift.alarm_ports import AlarmFilter, AlarmStock, Announcement
from lift.errors import Conflict, NotFound
from lift.incident import Incident, IncidentKind, IncidentLift
from lift.ports import User
from lift.repair import Repair
from lift.ticket import Stage
from tests.contract.register import REGISTER
from tests.contract.test_records import AT, a_ticket, an_alarm

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
CUT = Incident(key="cut", kind=IncidentKind.POWER_CUT, anchor="1-2", onset=AT, opened_at=AT + 1)


def inside(incident: str, lift: str, firm_id: str, left_at: int | None = None) -> IncidentLift:
    """Make a lift inside an incident."""
    return IncidentLift(incident=incident, lift=lift, firm_id=firm_id, joined_at=AT, left_at=left_at)


def test_an_incident_reads_back_and_keeps_what_people_did(records: SqlRecords) -> None:
    """Recording it again replaces what the grouping says of it, and not who took note."""
    full = replace(
        CUT, closed_at=2, ending_at=3, merged_into="m", lifts=4, rescues=5, mass_event_at=6,
    )  # fmt: skip
    with records.write() as tx:
        tx.put_incidents([CUT])
        assert tx.incident("cut") == CUT
        tx.save_incident(replace(CUT, acknowledged_at=7, acknowledged_by="Ann"))
        tx.put_incidents([full])
        assert tx.incident("cut") == replace(full, acknowledged_at=7, acknowledged_by="Ann")
        with pytest.raises(NotFound):
            tx.incident("none")


def test_incidents_are_listed_by_kind_and_firm(records: SqlRecords) -> None:
    """Newest first; a firm finds those that hold a lift of its own, also after it has left."""
    away = replace(CUT, key="away", kind=IncidentKind.GATEWAY_OFFLINE, opened_at=AT + 2, closed_at=AT + 3)
    with records.write() as tx:
        tx.put_incidents([CUT, away])
        tx.put_incident_lifts([inside("cut", "063577", "f1"), inside("cut", "100245", "f2"), inside("away", "1", "f1")])
        tx.leave_incidents(["away"], AT + 3)
        # When a lift first joined is kept, whatever comes later.
        tx.put_incident_lifts([replace(inside("cut", "063577", "f1", left_at=AT + 9), joined_at=AT + 5)])
    with records.read() as reads:
        assert [one.key for one in reads.incidents()] == ["away", "cut"]
        assert [one.key for one in reads.incidents(is_open=True)] == ["cut"]
        assert [one.key for one in reads.incidents(is_open=False, firm_id="f1")] == ["away"]
        assert [one.key for one in reads.incidents(kind="power_cut", firm_id="f2")] == ["cut"]
        assert [one.key for one in reads.incidents(before=AT + 2)] == ["cut"]
        assert reads.incident("cut", firm_id="f2") == CUT
        with pytest.raises(NotFound):
            reads.incident("away", firm_id="f2")
        assert reads.incident_lifts(["cut", "away"]) == [
            inside("away", "1", "f1", left_at=AT + 3),
            inside("cut", "063577", "f1", left_at=AT + 9),
            inside("cut", "100245", "f2"),
        ]
        assert [one.lift for one in reads.incident_lifts(["cut"], firm_id="f2")] == ["100245"]


def test_incidents_of_one_lift_are_not_counted_as_the_citys(records: SqlRecords) -> None:
    """A figure that stays above 0 means a power cut or a dead gateway that nobody has mended."""
    symptoms = replace(CUT, key="lift:063577", kind=IncidentKind.LIFT, anchor="063577")
    with records.write() as tx:
        tx.put_incidents([CUT, replace(CUT, key="over", closed_at=AT + 3), symptoms])
        assert tx.counts()["incidents_open"] == 1


def test_tickets_of_an_incident_follow_from_its_alarms(records: SqlRecords) -> None:
    """Oldest first, for a firm its own."""
    first, second = a_ticket(1), a_ticket(2, "100245", at=AT + 1)
    with records.write() as tx:
        tx.register(REGISTER)
        for ticket, alarm in ((second, an_alarm(AT, "100245")), (first, an_alarm(AT + 1))):
            tx.add_ticket(ticket)
            tx.add_alarms([replace(alarm, incident="cut", ticket_id=ticket.ticket_id)])
        assert [ticket.ticket_id for ticket in tx.tickets_of("cut")] == [first.ticket_id, second.ticket_id]
        assert [ticket.ticket_id for ticket in tx.tickets_of("cut", firm_id="f2")] == [second.ticket_id]
        assert [alarm.lift for alarm in tx.alarms(which=AlarmFilter(incident="cut"), firm_id="f2")] == ["100245"]


def test_rescues_under_way_come_surest_first(records: SqlRecords) -> None:
    """Of equally sure ones the oldest; what is over is no rescue."""
    tickets = [
        replace(a_ticket(1, "1"), confidence=0.5),
        replace(a_ticket(2, "2", at=AT + 2), confidence=0.9),
        replace(a_ticket(3, "3", at=AT + 1), confidence=0.9),
        a_ticket(4, "4", Stage.CLOSED),
    ]
    with records.write() as tx:
        for ticket in tickets:
            tx.add_ticket(ticket)
        assert tx.rescues() == [tickets[2], tickets[1], tickets[0]]
        assert tx.rescues(most=1, firm_id="f2") == [tickets[2]]


def test_out_of_service_is_listed_while_it_lasts(records: SqlRecords) -> None:
    """By number, of a lift or a firm; what is over and not ended yet is found."""
    entry = OutOfService(number=0, lift="063577", rule="", since=AT, until=AT + 10, by="Ann", reason="works")
    with records.write() as tx:
        tx.register(REGISTER)
        one, two = tx.add_out_of_service(entry), tx.add_out_of_service(replace(entry, lift="100245", rule="r"))
        assert [one.number, two.number] == [1, 2]
        assert tx.out_of_service() == [two, one]
        assert tx.out_of_service(at=AT + 10) == []
        assert tx.out_of_service(at=AT + 9, firm_id="f1") == [one]
        assert tx.out_of_service(lift="100245", most=1) == [two]
        assert tx.out_of_service_over(AT + 10) == [one, two]
        ended = replace(one, ended_at=AT + 5, ended_by="Bob")
        tx.save_out_of_service(ended)
        assert tx.out_of_service(at=AT + 6) == [two]
        assert tx.out_of_service_over(AT + 10) == [two]
        assert tx.out_of_service_item(1, firm_id="f1") == ended
        with pytest.raises(NotFound):
            tx.out_of_service_item(1, firm_id="f2")


def test_repairs_are_numbered_and_an_alarm_has_one(records: SqlRecords) -> None:
    """They are read on from any number, with every fact; a second one of the same alarm is refused by name."""
    told = Repair(
        number=0, alarm="a1", lift="063577", rule="r", onset=AT, evidence=("door closing time",), at=AT + 1,
        by="Ann", reason="belt 皮带",
    )  # fmt: skip
    with records.write() as tx:
        one, two = tx.add_repair(told), tx.add_repair(replace(told, alarm="a2", evidence=()))
    with records.write() as tx, pytest.raises(Conflict, match="Ann"):
        tx.add_repair(replace(told, by="Bob"))
    with records.read() as reads:
        assert [one.number, two.number] == [1, 2]
        assert reads.repairs(after=0) == [one, two]
        assert reads.repairs(after=0, most=1) == [one]
        assert reads.repairs(after=1) == [two]
        assert reads.repair_of("a1") == one == replace(told, number=1)
        assert reads.repair_of("a3") is None


def test_what_ends_by_itself_is_found(records: SqlRecords) -> None:
    """Shelves, times out of service and quiet chatter, of alarms that stand."""
    alarms = [
        replace(an_alarm(AT + 1), shelved_until=AT + 50),
        replace(an_alarm(AT + 2), out_of_service_until=AT + 50),
        replace(an_alarm(AT + 3), quiet_from=AT + 39),
        replace(an_alarm(AT + 4), shelved_until=AT + 50, returned_at=AT + 5),
        an_alarm(AT + 6),
    ]
    with records.write() as tx:
        tx.add_alarms(alarms)
        assert tx.alarms_ending(AT + 49, quiet_us=10) == alarms[2:3]
        assert tx.alarms_ending(AT + 50, quiet_us=10) == alarms[:3]


def test_lines_of_the_journal_are_no_alarms(records: SqlRecords) -> None:
    """They are kept beside the alarms, listed where somebody asks for them, and counted nowhere."""
    line, alarm = replace(an_alarm(AT + 1), priority=Priority.JOURNAL), an_alarm(AT + 2)
    with records.write() as tx:
        tx.add_alarms([line, alarm])
        assert tx.alarms() == [alarm, line]
        assert tx.alarms(which=AlarmFilter(journal=False)) == [alarm]
        assert tx.alarm_stock(AT + 3).standing == 1
        assert tx.counts()["alarms_standing"] == 1


def test_places_of_lifts_and_what_is_behind_a_gateway(records: SqlRecords) -> None:
    """By rescue code; unknown lifts are left out."""
    with records.write() as tx:
        tx.register(REGISTER)
        place = tx.places(["063577", "999999"])
        assert list(place) == ["063577"]
        found = place["063577"]
        assert (found.firm_id, found.gateway, found.building_id, found.latitude) == ("f1", "g", "b1", 31.0)
        assert tx.lifts_behind("g") == ["063500", "063577", "100245"]
        assert tx.lifts_behind("h") == []


def test_the_desks_figures_count_what_was_shown(records: SqlRecords) -> None:
    """By step, priority and source; an area's incident is one, a lift's own none; nothing is counted twice."""
    shown = [
        replace(an_alarm(AT + n), shown_at=AT + minutes * MINUTE, acknowledged_at=acknowledged)
        for n, (minutes, acknowledged) in enumerate([(0, AT + 20 * MINUTE), (9, AT + 19 * MINUTE), (10, None)])
    ]
    shown.append(replace(an_alarm(AT, "100245"), shown_at=AT + 60 * MINUTE, priority=Priority.LOW))
    own = replace(CUT, key="lift", kind=IncidentKind.LIFT)
    with records.write() as tx:
        tx.add_alarms([*shown, an_alarm(AT + 9)])
        tx.put_incidents([CUT, own])
        rates = tx.alarm_rates(AT, AT + 60 * MINUTE, step_us=10 * MINUTE)
        assert rates.shown == {AT: 3, AT + 10 * MINUTE: 1}
        assert rates.by_priority == {Priority.EMERGENCY: 3}
        assert (rates.acknowledged, rates.acknowledge_us) == (2, 15 * MINUTE)
        assert list(rates.sources) == [("063577", "rule", 3)]
        after = tx.alarm_rates(AT + 60 * MINUTE, AT + 70 * MINUTE, step_us=10 * MINUTE)
        assert (after.shown, after.acknowledge_us) == ({AT + 60 * MINUTE: 1}, None)


def test_the_stock_counts_each_alarm_in_one_hidden_condition(records: SqlRecords) -> None:
    """Out of service before suppressed before shelved; an emergency is in sight whatever its row says."""
    low = replace(an_alarm(AT), priority=Priority.LOW)
    now = AT + DAY
    facts: list[dict[str, object]] = [
        {},
        {"raised_at": AT + 1, "chattering_since": AT},
        {"shelved_until": now + 1, "suppressed_by": "x", "out_of_service_until": now + 1},
        {"shelved_until": now + 1, "suppressed_by": "x", "out_of_service_until": now},
        {"shelved_until": now + 1},
        {"shelved_until": now},
        {"suppressed_by": "x", "priority": Priority.EMERGENCY},
        {"returned_at": AT},
    ]
    with records.write() as tx:
        assert tx.alarm_stock(now) == AlarmStock(
            standing=0, in_sight=0, stale=0, chattering=0, shelved=0, suppressed=0, out_of_service=0
        )
        tx.add_alarms(replace(low, key=str(n), **fact) for n, fact in enumerate(facts))  # type: ignore[arg-type]
        assert tx.alarm_stock(now) == AlarmStock(
            standing=7, in_sight=4, stale=6, chattering=1, shelved=1, suppressed=1, out_of_service=1
        )
        assert [alarm.key for alarm in tx.alarms(which=AlarmFilter(chattering=True))] == ["1"]
        assert len(tx.alarms(which=AlarmFilter(stale_at=now))) == 6
        assert len(tx.alarms(which=AlarmFilter(priority=Priority.LOW, raised_since=AT + 1))) == 1


def test_people_who_are_signed_in_are_counted_once(records: SqlRecords) -> None:
    """However many screens they have, and only until their sign-in ends."""
    with records.write() as tx:
        for name, role in (("ann", "dispatcher"), ("bob", "dispatcher"), ("eve", "admin")):
            tx.save_user(User(name=name, role=role))
        for token, name, until in (("1", "ann", 9), ("2", "ann", 9), ("3", "bob", 5), ("4", "eve", 9)):
            tx.save_session(token, name, AT + until)
        assert [tx.signed_in("dispatcher", AT + n) for n in (0, 6, 9)] == [2, 1, 0]


def test_many_lines_are_announced_in_order(records: SqlRecords) -> None:
    """Their ids follow each other and wake whoever waits."""
    with records.write() as tx:
        tx.announce(kind="first", at=AT, lift="", firm_id="", data={})
        tx.announce_all([Announcement(kind, AT, "1", "f1", {"n": 1}) for kind in ("second", "third")])
        tx.announce_all([])
        tx.announce(kind="fourth", at=AT, lift="", firm_id="", data={})
    assert records.wait(after=3, timeout_s=0)
    with records.read() as reads:
        assert [(e.event_id, e.kind) for e in reads.feed(after=0)] == [
            (1, "first"), (2, "second"), (3, "third"), (4, "fourth"),
        ]  # fmt: skip
