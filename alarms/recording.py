"""Recording: what the engine finds becomes rows and lines of the feed, grouped, suppressed and marked on the way.

Everything it remembers can be rebuilt from the records, and is, whenever they are not as it left them: after a
start, and after a transaction of its own that was undone. A stamp in the records tells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from alarms.bursts import KEPT_US, QUIET_US, Bursts, Recent
from alarms.incidents import Grouper
from alarms.standing import NOWHERE, Changes, GatewayNews, Grouping, Place, Standing, cell_of
from alarms.suppression import CONTACT_LOST, Cause
from alarms.telling import alarm_facts, incident_facts
from lift.alarm import Alarm, Change, OutOfService, Priority, Transition
from lift.alarm_ports import AlarmFilter, Announcement
from lift.incident import Incident, IncidentKind, IncidentLift
from lift.ports import Reads, Timepiece, Writes

PLATFORM: Final = "liftwatch"  # who acts when no person does

_STAMP: Final = "alarm_grouping"
_PAGE: Final = 1000
_FORGET_EVERY_US: Final = 60_000_000
_LIFTS_TOLD_MAX: Final = 200


class Work:
    """One transaction's work: rows as they were and as they shall be, and what happened in between."""

    def __init__(self, tx: Writes, now: int) -> None:
        self.tx = tx
        self.now = now
        self.before: dict[str, Alarm | None] = {}
        self.rows: dict[str, Alarm] = {}
        self.raised: list[str] = []
        self.acts: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        self._out: dict[str, list[OutOfService]] | None = None

    def load(self, keys: Iterable[str]) -> None:
        """Read those of these rows that have not been read yet."""
        missing = [key for key in keys if key not in self.before]
        if not missing:
            return
        found = self.tx.alarms_by_key(missing)
        self.before.update({key: found.get(key) for key in missing})
        self.rows |= found

    def change(self, key: str, **facts: object) -> Alarm:
        """Give a row other facts."""
        row = replace(self.rows[key], **facts)  # type: ignore[arg-type]
        self.rows[key] = row
        return row

    def out_until(self, lift: str, rule: str, priority: Priority) -> int | None:
        """Give until when an alarm raised now is out of service, None when it is not or is never in sight anyway."""
        if priority in {Priority.EMERGENCY, Priority.JOURNAL}:
            return None
        if self._out is None:
            self._out = defaultdict(list)
            for entry in self.tx.out_of_service(at=self.now):
                self._out[entry.lift].append(entry)
        return max((e.until for e in self._out.get(lift, ()) if e.covers(rule, self.now)), default=None)

    def changed(self) -> list[Alarm]:
        """Give the rows that are not as they were."""
        return [row for key, row in self.rows.items() if row != self.before[key]]


class Recorder:
    """Turns transitions into recorded alarms and incidents. One thread uses it."""

    def __init__(self, clock: Timepiece, grouping: Grouping) -> None:
        self._clock = clock
        self._grouping = grouping
        self._tx: Reads | None = None
        self._grouper = Grouper(grouping, self._behind)
        self._bursts = Bursts()
        self._places: dict[str, Place] = {}
        self._told_open: set[str] = set()
        self._name = f"{clock.now():x}-{id(self):x}"
        self._number = 0
        self._stamp: str | None = "never loaded"
        self._forgot_at = 0
        self.mass_events: tuple[str, ...] = ()

    # ---------------------------------------------------------------------------------- what happens

    def take(self, tx: Writes, transitions: Iterable[Transition]) -> list[Alarm]:
        """Record transitions in the caller's transaction; gives the alarms that are new, in order."""
        transitions = list(transitions)
        self._begin(tx)
        work = Work(tx, self._clock.now())
        self._locate(tx, [one.lift for one in transitions])
        standing = [self._standing(one.lift, one.rule) for one in transitions]
        work.load([*(one.key for one in transitions), *(one.key for one in standing if one is not None)])
        for transition in transitions:
            if transition.change is Change.RAISED:
                self._raise(work, transition)
            elif transition.change is Change.CONFIRMED:
                self._confirm(work, transition)
            else:
                self._take_return(work, transition)
        self._finish(work)
        return [work.rows[key] for key in work.raised]

    def hear_gateways(self, tx: Writes, news: Iterable[GatewayNews]) -> None:
        """Hear which gateways are there or away."""
        self._begin(tx)
        work = Work(tx, self._clock.now())
        for one in news:
            self._grouper.gateway(one, now=work.now)
        self._finish(work)

    def has_due(self, reads: Reads) -> bool:
        """Say whether `advance` has anything to do."""
        now = self._clock.now()
        if self._grouper.has_due(now) or reads.setting(_STAMP) != self._stamp:
            return True
        return bool(reads.alarms_ending(now, quiet_us=QUIET_US) or reads.out_of_service_over(now))

    def advance(self, tx: Writes) -> None:
        """Let time pass: end what ends by itself, and show what then still holds."""
        self._begin(tx)
        work = Work(tx, self._clock.now())
        now = work.now
        self._grouper.advance(now)
        ending = tx.alarms_ending(now, quiet_us=QUIET_US)
        work.load(row.key for row in ending)
        for row in ending:
            self._end(work, row)
        for entry in tx.out_of_service_over(now):
            tx.save_out_of_service(replace(entry, ended_at=entry.until, ended_by=PLATFORM))
            self._locate(tx, [entry.lift])
            facts = {"number": entry.number, "rule": entry.rule, "by": PLATFORM, "until": entry.until}
            place = self._places[entry.lift]
            tx.announce(kind="lift.in_service", at=now, lift=entry.lift, firm_id=place.firm_id, data=facts)
        self._finish(work)
        if now - self._forgot_at >= _FORGET_EVERY_US:
            self._bursts.forget()
            self._forgot_at = now

    def _end(self, work: Work, row: Alarm) -> None:
        now, key = work.now, row.key
        if row.shelved_until is not None and row.shelved_until <= now:
            work.change(key, shelved_until=None)
            work.acts[key].append(("alarm.unshelved", {"by": PLATFORM}))
        if row.out_of_service_until is not None and row.out_of_service_until <= now:
            work.change(key, out_of_service_until=None)
            work.acts[key].append(("alarm.in_service", {"by": PLATFORM}))
        standing = self._standing(row.lift, row.rule)
        if row.quiet_from is not None and row.quiet_from <= now - QUIET_US and standing is not None:
            self._return(work, standing, row.quiet_from)

    # ------------------------------------------------------------------------------------ transitions

    def _raise(self, work: Work, found: Transition) -> None:
        if found.key in work.rows:
            return
        standing = self._standing(found.lift, found.rule)
        folds = standing is not None and standing.chattering
        if standing is not None:
            if found.onset < standing.onset:
                # A condition holds once at a time: this one was over when the one that stands began.
                self._record(work, found, returned_at=standing.onset)
                return
            if folds and found.onset <= standing.latest_onset:
                return
            if folds:
                standing.latest_onset, standing.quiet_from = found.onset, None
                row = work.rows[standing.key]
                work.change(standing.key, latest_onset=found.onset, quiet_from=None, repeats=row.repeats + 1)
                return
            # An engine that lost its state may raise a condition anew without having said that the earlier
            # one ended, which would then stand for ever.
            self._return(work, standing, found.onset)
        self._record(work, found)

    def _record(self, work: Work, found: Transition, *, returned_at: int | None = None) -> None:
        emergency = found.priority is Priority.EMERGENCY
        chatters = returned_at is None and self._bursts.chatters(found.lift, found.rule, found.at)
        row = Alarm(
            key=found.key,
            lift=found.lift,
            rule=found.rule,
            code=found.code,
            priority=found.priority,
            latching=found.latching,
            onset=found.onset,
            raised_at=found.at,
            returned_at=returned_at,
            confidence=found.confidence,
            evidence=found.evidence,
            out_of_service_until=work.out_until(found.lift, found.rule, found.priority),
            chattering_since=found.at if chatters else None,
        )
        work.before.setdefault(row.key, None)
        work.rows[row.key] = row
        work.raised.append(row.key)
        recent = Recent(row.key, row.rule, row.onset, row.raised_at, journal=row.priority is Priority.JOURNAL)
        marked = self._bursts.add(row.lift, recent)
        work.load(one.key for one in marked)
        for one in marked:
            if one.key in work.rows:
                work.change(one.key, first_out=one.first_out)
        if returned_at is None:
            standing = self._as_standing(row)
            standing.chattering = chatters and not emergency
            self._grouper.add(standing, now=work.now)

    def _confirm(self, work: Work, found: Transition) -> None:
        row = work.rows.get(found.key)
        if row is None or row.confirmed_at is not None:
            return
        evidence = tuple(dict.fromkeys((*row.evidence, *found.evidence)))
        confidence = max(row.confidence, found.confidence)
        work.change(row.key, confirmed_at=found.at, confidence=confidence, evidence=evidence)
        work.acts[row.key].append(("alarm.confirmed", {}))

    def _take_return(self, work: Work, found: Transition) -> None:
        standing = self._standing(found.lift, found.rule)
        if standing is None or standing.latest_onset != found.onset:
            return
        if not standing.chattering:
            self._return(work, standing, found.at)
        elif standing.quiet_from is None:
            standing.quiet_from = found.at
            work.change(standing.key, quiet_from=found.at)
            self._hear(work, standing)

    def _return(self, work: Work, standing: Standing, at: int) -> None:
        work.load([standing.key])
        work.change(standing.key, returned_at=at, quiet_from=None)
        self._grouper.remove(standing, at=at, now=work.now)
        self._hear(work, standing)

    def _hear(self, work: Work, standing: Standing) -> None:
        if standing.rule == CONTACT_LOST:
            self._grouper.speaks(standing.place.gateway, now=work.now)

    # -------------------------------------------------------------------------------------- writing

    def _finish(self, work: Work) -> None:
        changes = self._grouper.changes()
        self.mass_events = tuple(key for key, one in changes.incidents.items() if one.mass_event_at == work.now)
        work.load(changes.alarms)
        for key, standing in changes.alarms.items():
            work.change(key, incident=standing.incident, suppressed_by=standing.suppressed_by)
        for key, row in list(work.rows.items()):
            if row.shown_at is None and row.standing and row.hidden(work.now) is None:
                work.change(key, shown_at=work.now)
        changed = work.changed()
        lines = [line for row in changed for line in self._lines(work, row)]
        lines += self._incident_lines(work, changes)
        if not (changed or changes.incidents or changes.joined or changes.left):
            return
        work.tx.add_alarms(row for row in changed if work.before[row.key] is None)
        work.tx.change_alarms((old, row) for row in changed if (old := work.before[row.key]) is not None)
        work.tx.put_incidents(changes.incidents.values())
        work.tx.put_incident_lifts(self._members(work, changes))
        work.tx.leave_incidents([one.key for one in changes.incidents.values() if one.closed_at is not None], work.now)
        work.tx.announce_all(lines)
        self._number += 1
        self._stamp = f"{self._name}-{self._number}"
        work.tx.save_setting(_STAMP, self._stamp)

    def _lines(self, work: Work, row: Alarm) -> list[Announcement]:
        """Say what happened to an alarm; what is suppressed happens in silence, its incident speaks for it.

        A line of the journal has words of its own, so that whoever rings for alarms need not know of it.
        """
        before = work.before[row.key]
        word = "journal" if row.priority is Priority.JOURNAL else "alarm"
        said: list[tuple[str, dict[str, Any]]] = []
        if before is None:
            if not row.suppressed_by:
                said.append((f"{word}.raised", {}))
        elif row.returned_at is None and bool(before.suppressed_by) != bool(row.suppressed_by):
            said.append(("alarm.suppressed" if row.suppressed_by else "alarm.unsuppressed", {}))
        said += work.acts.get(row.key, ())
        over = row.returned_at is not None and (before is None or before.returned_at is None)
        if over and not row.suppressed_by:
            said.append((f"{word}.returned", {}))
        firm_id = self._places.get(row.lift, NOWHERE).firm_id
        return [
            Announcement(kind, work.now, row.lift, firm_id, {**alarm_facts(row, work.now), **act}) for kind, act in said
        ]

    def _incident_lines(self, work: Work, changes: Changes) -> list[Announcement]:
        """Say which incidents opened and closed, to the city, and to each firm which of its lifts joined and left."""
        now = work.now
        lines: list[Announcement] = []

        def tell(kind: str, incident: Incident, firm_id: str = "", **more: object) -> None:
            facts = incident_facts(incident)
            if more:
                # A firm's line: its own part only.
                del facts["lifts"], facts["rescues"]
            lines.append(Announcement(kind, now, "", firm_id, {**facts, **more}))

        for incident in changes.incidents.values():
            if incident.key not in self._told_open:
                self._told_open.add(incident.key)
                tell("incident.opened", incident)
            if incident.key in self.mass_events:
                tell("incident.mass_event", incident)
        for kind, moves in (("incident.joined", changes.joined), ("incident.left", changes.left)):
            for (key, firm_id), lifts in self._by_firm(moves).items():
                known = changes.incidents.get(key) or self._grouper.incidents[key]
                tell(kind, known, firm_id, moved=len(lifts), codes=lifts[:_LIFTS_TOLD_MAX])
        for incident in changes.incidents.values():
            if incident.closed_at is not None:
                self._told_open.discard(incident.key)
                tell("incident.closed", incident)
        return lines

    def _by_firm(self, moves: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
        grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
        for key, lift in moves:
            grouped[key, self._places.get(lift, NOWHERE).firm_id].append(lift)
        return grouped

    def _members(self, work: Work, changes: Changes) -> list[IncidentLift]:
        rows: dict[tuple[str, str], IncidentLift] = {}
        moves = changes.joined + [(key, lift) for key, lift in changes.left if key in self._grouper.incidents]
        for key, lift in moves:
            inside = self._grouper.is_inside(key, lift)
            firm_id = self._places.get(lift, NOWHERE).firm_id
            left_at = None if inside else work.now
            rows[key, lift] = IncidentLift(
                incident=key, lift=lift, firm_id=firm_id, joined_at=work.now, left_at=left_at
            )
        return list(rows.values())

    # ---------------------------------------------------------------------------------------- memory

    def _standing(self, lift: str, rule: str) -> Standing | None:
        return self._grouper.of_lift.get(lift, {}).get(rule)

    def _as_standing(self, row: Alarm) -> Standing:
        return Standing(
            key=row.key,
            lift=row.lift,
            rule=row.rule,
            priority=row.priority,
            latching=row.latching,
            onset=row.onset,
            place=self._places.get(row.lift, NOWHERE),
            incident=row.incident,
            suppressed_by=row.suppressed_by,
            latest_onset=row.onset if row.latest_onset is None else row.latest_onset,
            chattering=row.chattering_since is not None and row.priority is not Priority.EMERGENCY,
            quiet_from=row.quiet_from,
        )

    def _locate(self, reads: Reads, lifts: Iterable[str]) -> None:
        missing = {lift for lift in lifts if lift not in self._places}
        found = reads.places(missing) if missing else {}
        for lift in missing:
            place = found.get(lift)
            self._places[lift] = (
                NOWHERE
                if place is None
                else Place(place.firm_id, place.gateway, place.building_id, cell_of(place.latitude, place.longitude))
            )

    def _behind(self, gateway: str) -> list[str]:
        assert self._tx is not None
        lifts = self._tx.lifts_behind(gateway)
        self._locate(self._tx, lifts)
        return lifts

    def _begin(self, tx: Writes) -> None:
        """See whether the records are as we left them, and remember anew if not."""
        self._tx = tx
        if tx.setting(_STAMP) == self._stamp:
            return
        self._reload(tx)
        self._stamp = tx.setting(_STAMP)

    def _reload(self, tx: Reads) -> None:
        self._places, self._bursts = {}, Bursts()
        rows: list[Alarm] = []
        while page := tx.holding_alarms(after=rows[-1].key if rows else ""):
            rows += page
        incidents = _all_open(tx)
        inside = tx.incident_lifts([incident.key for incident in incidents])
        self._locate(tx, [*(row.lift for row in rows), *(one.lift for one in inside)])
        grouper = Grouper(self._grouping, self._behind)
        grouper.load(
            incidents,
            inside,
            self._places,
            [self._as_standing(row) for row in rows],
            {one.key: _rescued(tx, one.key) for one in incidents if one.rescues},
            _ended(tx, rows, {row.key for row in rows} | {incident.key for incident in incidents}),
        )
        grouper.keep_offline(self._grouper)
        self._grouper = grouper
        self._told_open = {incident.key for incident in incidents}
        for row in _recent(tx, self._clock.now() - KEPT_US):
            journal = row.priority is Priority.JOURNAL
            self._bursts.put(row.lift, Recent(row.key, row.rule, row.onset, row.raised_at, row.first_out, journal))


def _all_open(reads: Reads) -> list[Incident]:
    found: list[Incident] = []
    while page := reads.incidents(is_open=True, before=found[-1].opened_at if found else None, most=_PAGE):
        found += page
    return found


def _recent(reads: Reads, since: int) -> list[Alarm]:
    found: list[Alarm] = []
    which = AlarmFilter(raised_since=since)
    while page := reads.alarms(which=which, before=found[-1].raised_at if found else None, most=_PAGE):
        found += page
    return found[::-1]


def _rescued(reads: Reads, key: str) -> dict[str, str]:
    which = AlarmFilter(incident=key, priority=Priority.EMERGENCY)
    found: list[Alarm] = []
    while page := reads.alarms(which=which, before=found[-1].raised_at if found else None, most=_PAGE):
        found += page
    return {row.key: row.lift for row in found}


def _ended(reads: Reads, rows: Sequence[Alarm], alive: set[str]) -> dict[str, tuple[Cause, int]]:
    """Give when each cause that is over, and still keeps alarms out of sight, ended."""
    causes = {row.suppressed_by for row in rows if row.suppressed_by and row.suppressed_by not in alive}
    alarms = reads.alarms_by_key(causes)
    ended: dict[str, tuple[Cause, int]] = {}
    for cause in causes:
        if cause in alarms:
            ended[cause] = Cause.MAIN_POWER_LOST, alarms[cause].returned_at or 0
        else:
            kind, at = _incident_end(reads, cause)
            ended[cause] = kind, at
    return ended


def _incident_end(reads: Reads, key: str) -> tuple[Cause, int]:
    incident = reads.incident(key)
    assert incident.kind is not IncidentKind.LIFT, "a lift's own incident hides nothing"
    return Cause(incident.kind), incident.closed_at or 0
