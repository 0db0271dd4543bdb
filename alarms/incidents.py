"""Grouping: alarms that are one matter become one incident. Pure: no I/O, no clock.

Three kinds. A POWER_CUT is several lifts of one neighbourhood that lost their mains within two minutes; whoever
loses them later next to it joins. A GATEWAY_OFFLINE holds the lost contacts of the lifts behind one gateway. A LIFT
gathers the alarms of one lift that stand together. An alarm is in one incident at most, and an area's goes before a
lift's. Everything here can be rebuilt from the records (`Grouper.load`), and one alarm at a time is judged, in the
order of the engine, so that however transitions are cut into transactions the same incidents come out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from alarms.standing import NOWHERE, SECOND_US, Cell, Changes, GatewayNews, Grouping, Inside, Place, Standing, around
from alarms.suppression import CONTACT_LOST, MAIN_POWER_LOST, Cause, covers, lingers_us
from lift.alarm import Priority
from lift.incident import Incident, IncidentKind, IncidentLift, incident_key


class Grouper:
    """Holds the standing alarms of a city and says which belong together and which are out of sight.

    Its memory is bounded by the alarms that stand. `behind` gives the lifts behind a gateway.
    """

    def __init__(self, grouping: Grouping, behind: Callable[[str], Sequence[str]]) -> None:
        self._grouping = grouping
        self._behind = behind
        self.incidents: dict[str, Incident] = {}
        self.of_lift: dict[str, dict[str, Standing]] = {}
        self._inside: dict[str, Inside] = {}
        self._in_building: dict[str, set[str]] = defaultdict(set)
        self._dark_in: dict[str, set[str]] = defaultdict(set)
        self._pending: dict[Cell, dict[str, Standing]] = {}
        self._cut_at: dict[Cell, str] = {}
        self._lift_incident: dict[str, str] = {}
        self._gateway_incident: dict[str, str] = {}
        self._offline: dict[str, int] = {}
        self._suppressed: dict[str, dict[str, Standing]] = {}
        self._lingering: dict[str, int] = {}
        self._changes = Changes()

    def changes(self) -> Changes:
        """Hand over what has changed since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes

    def has_due(self, now: int) -> bool:
        """Say whether `advance` would do anything."""
        away = now - self._grouping.gateway_offline_s * SECOND_US
        return (
            any(since <= away for since in self._offline.values())
            or any(one.ending_at is not None and one.ending_at <= now for one in self.incidents.values())
            or any(until <= now for until in self._lingering.values())
        )

    def is_inside(self, key: str, lift: str) -> bool:
        """Say whether a lift is inside an open incident now."""
        return key in self._inside and lift in self._inside[key].lifts

    def keep_offline(self, other: Grouper) -> None:
        """Take over which gateways are away but not for long enough yet: no record knows."""
        self._offline |= other._offline

    # ---------------------------------------------------------------------------------------- alarms

    def add(self, alarm: Standing, *, now: int) -> None:
        """Take in an alarm that is raised (µs since 1970 UTC): place it, and decide whether it is in sight.

        A lift has at most one standing alarm of a rule.
        """
        self._hold(alarm)
        if alarm.rule == MAIN_POWER_LOST and alarm.place.cell is not None:
            self._power_lost(alarm, now)
        self._place(alarm, now)
        self._hide(alarm)
        if alarm.rule == MAIN_POWER_LOST:
            for other in list(self.of_lift[alarm.lift].values()):
                self._hide(other)

    def _place(self, alarm: Standing, now: int) -> None:
        """Put an alarm that is in no incident into the one it belongs to, if there is one."""
        if alarm.incident or alarm.journal:
            return
        gateway = self._gateway_incident.get(alarm.place.gateway, "") if alarm.rule == CONTACT_LOST else ""
        area = gateway or self._cut_over(alarm)
        if area:
            self._put(alarm, area, now)
        else:
            self._gather(alarm, now)

    def remove(self, alarm: Standing, *, at: int, now: int) -> None:
        """Let go of an alarm whose condition returned at a moment of the readings' time."""
        here = self.of_lift[alarm.lift]
        del here[alarm.rule]
        if not here:
            del self.of_lift[alarm.lift]
            self._in_building[alarm.place.building_id].discard(alarm.lift)
        self._unlist(alarm)
        if alarm.rule == MAIN_POWER_LOST:
            self._power_back(alarm, at)
        incident = self.incidents.get(alarm.incident)
        if incident is not None:
            self._take_out(alarm, incident, now)

    def speaks(self, gateway: str, *, now: int) -> None:
        """Hear from a lift behind a gateway, which therefore is there again."""
        self._offline.pop(gateway, None)
        key = self._gateway_incident.get(gateway)
        if key is not None and self.incidents[key].ending_at is None:
            self._back(key, now)

    def gateway(self, news: GatewayNews, *, now: int) -> None:
        """Hear that a gateway is there or away."""
        name = news.gateway
        key = self._gateway_incident.get(name)
        if news.online:
            self._offline.pop(name, None)
            if key is not None:
                self._back(key, now)
        elif key is not None:
            self._change(key, ending_at=None)
        else:
            self._offline[name] = min(news.at, self._offline.get(name, news.at))
            if news.sure:
                self._open_gateway(name, now)

    def advance(self, now: int) -> None:
        """Let time pass: gateways that stay away become incidents, and what was out of sight for a time is over."""
        due = now - self._grouping.gateway_offline_s * SECOND_US
        for name in sorted(name for name, since in self._offline.items() if since <= due):
            self._open_gateway(name, now)
        for key in [key for key, one in self.incidents.items() if one.ending_at is not None and one.ending_at <= now]:
            self._close(key, now)
        for cause in [cause for cause, until in self._lingering.items() if until <= now]:
            del self._lingering[cause]
            for alarm in list(self._suppressed.get(cause, {}).values()):
                self._show(alarm, now)

    def _hold(self, alarm: Standing) -> None:
        self.of_lift.setdefault(alarm.lift, {})[alarm.rule] = alarm
        self._in_building[alarm.place.building_id].add(alarm.lift)

    # ----------------------------------------------------------------------------------- suppression

    def _cause(self, alarm: Standing) -> str:
        """Give the key of what explains an alarm now, "" when nothing does."""
        if not alarm.may_hide:
            return ""
        incident = self.incidents.get(alarm.incident)
        if incident is not None and incident.kind is not IncidentKind.LIFT and covers(Cause(incident.kind), alarm.rule):
            return incident.key
        if alarm.rule == MAIN_POWER_LOST:
            return ""
        mains = self.of_lift[alarm.lift].get(MAIN_POWER_LOST)
        return self._cut_over(alarm) if mains is None else mains.key

    def _cut_over(self, alarm: Standing) -> str:
        """Give the power cut that has reached the alarm's building, "" for none."""
        cell = alarm.place.cell
        return self._cut_at.get(cell, "") if cell and self._dark_in.get(alarm.place.building_id) else ""

    def _hide(self, alarm: Standing) -> None:
        cause = self._cause(alarm)
        if cause and cause != alarm.suppressed_by:
            self._suppress(alarm, cause)

    def _suppress(self, alarm: Standing, cause: str) -> None:
        self._unlist(alarm)
        alarm.suppressed_by = cause
        if cause:
            self._suppressed.setdefault(cause, {})[alarm.key] = alarm
        self._changes.alarms[alarm.key] = alarm

    def _unlist(self, alarm: Standing) -> None:
        listed = self._suppressed.get(alarm.suppressed_by)
        if listed is not None:
            listed.pop(alarm.key, None)
            if not listed:
                del self._suppressed[alarm.suppressed_by]

    def _show(self, alarm: Standing, now: int) -> None:
        """End an alarm's suppression, unless something else explains it by now."""
        self._suppress(alarm, "")
        if alarm.incident not in self.incidents:
            alarm.incident = ""
        self._place(alarm, now)
        self._hide(alarm)

    def _cause_ended(self, cause: str, kind: Cause, at: int) -> None:
        if self._suppressed.get(cause):
            self._lingering[cause] = at + lingers_us(kind)

    # ------------------------------------------------------------------------------------- incidents

    def _open(self, kind: IncidentKind, anchor: str, onset: int, now: int) -> str:
        key = incident_key(kind, anchor, onset)
        self.incidents[key] = Incident(key=key, kind=kind, anchor=anchor, onset=onset, opened_at=now)
        self._inside[key] = Inside()
        self._changes.incidents[key] = self.incidents[key]
        return key

    def _change(self, key: str, **facts: object) -> None:
        before = self.incidents[key]
        after = replace(before, **facts)  # type: ignore[arg-type]
        if after != before:
            self.incidents[key] = self._changes.incidents[key] = after

    def _join(self, key: str, lift: str) -> None:
        inside = self._inside[key]
        if lift in inside.lifts:
            return
        inside.lifts.add(lift)
        inside.ever.add(lift)
        self._changes.joined.append((key, lift))
        self._change(key, lifts=len(inside.ever))

    def _put(self, alarm: Standing, key: str, now: int) -> None:
        """Put an alarm into an open incident, and its lift with it."""
        if alarm.incident == key:
            return
        before = self._inside.get(alarm.incident)
        if before is not None:
            before.alarms.pop(alarm.key, None)
            before.rescued.pop(alarm.key, None)
            self._count_rescues(alarm.incident, now)
        alarm.incident = key
        inside = self._inside[key]
        inside.alarms[alarm.key] = alarm
        self._changes.alarms[alarm.key] = alarm
        self._join(key, alarm.lift)
        if alarm.priority is Priority.EMERGENCY:
            inside.rescued[alarm.key] = alarm.lift
            self._count_rescues(key, now)

    def _take_out(self, alarm: Standing, incident: Incident, now: int) -> None:
        inside = self._inside[incident.key]
        inside.alarms.pop(alarm.key, None)
        inside.dark -= {alarm.lift} if alarm.rule == MAIN_POWER_LOST else set()
        if incident.kind is IncidentKind.GATEWAY_OFFLINE:
            over = incident.ending_at is not None and not inside.alarms
        elif incident.kind is IncidentKind.POWER_CUT:
            over = not inside.dark
        else:
            over = not inside.alarms
        if over:
            self._close(incident.key, now)
        elif incident.kind is IncidentKind.POWER_CUT and not any(
            one.incident == incident.key for one in self.of_lift.get(alarm.lift, {}).values()
        ):
            inside.lifts.discard(alarm.lift)
            self._changes.left.append((incident.key, alarm.lift))

    def _close(self, key: str, now: int, *, into: str = "") -> None:
        self._change(key, closed_at=now, ending_at=None, merged_into=into)
        incident, inside = self.incidents.pop(key), self._inside.pop(key)
        self._changes.left += [(key, lift) for lift in sorted(inside.lifts)]
        for cell in inside.cells:
            if self._cut_at.get(cell) == key:
                del self._cut_at[cell]
        if incident.kind is IncidentKind.LIFT:
            self._lift_incident.pop(incident.anchor, None)
        else:
            if incident.kind is IncidentKind.GATEWAY_OFFLINE:
                self._gateway_incident.pop(incident.anchor, None)
            self._cause_ended(key, Cause(incident.kind), self._end_of(incident, now))

    def _end_of(self, incident: Incident, now: int) -> int:
        # A gateway's incident has waited for its lifts before it closed.
        return now - lingers_us(Cause.GATEWAY_OFFLINE) if incident.kind is IncidentKind.GATEWAY_OFFLINE else now

    def _count_rescues(self, key: str, now: int) -> None:
        self._change(key, rescues=len(set(self._inside[key].rescued.values())))
        incident = self.incidents[key]
        if (
            incident.kind is IncidentKind.POWER_CUT
            and incident.mass_event_at is None
            and incident.rescues >= self._grouping.mass_event_rescues
        ):
            self._change(key, mass_event_at=now)

    # -------------------------------------------------------------------------------------- one lift

    def _gather(self, alarm: Standing, now: int) -> None:
        """Put an alarm together with the others of its lift that stand and are in no area's incident."""
        key = self._lift_incident.get(alarm.lift)
        if key is None:
            loose = [one for one in self.of_lift[alarm.lift].values() if not (one.incident or one.journal)]
            if len(loose) < 2:  # noqa: PLR2004 - one alarm is no group
                return
            first = min(loose, key=lambda one: (one.onset, one.rule))
            key = self._lift_incident[alarm.lift] = self._open(IncidentKind.LIFT, alarm.lift, first.onset, now)
            for one in loose:
                self._put(one, key, now)
        self._put(alarm, key, now)

    # ------------------------------------------------------------------------------------- power cut

    def _power_lost(self, alarm: Standing, now: int) -> None:
        cell = alarm.place.cell
        assert cell is not None
        near = {self._cut_at[one] for one in around(cell) if one in self._cut_at}
        group = self._neighbours(alarm, cell)
        if near:
            key = min(near, key=lambda one: (self.incidents[one].onset, one))
            for other in sorted(near - {key}):
                self._merge(key, other, now)
        elif len(group) >= self._grouping.power_cut_lifts:
            first = min(group, key=lambda one: (one.onset, one.lift))
            assert first.place.cell is not None
            # Not by the lift: another firm may read the key.
            anchor = "{}-{}".format(*first.place.cell)
            key = self._open(IncidentKind.POWER_CUT, anchor, first.onset, now)
        else:
            self._pending.setdefault(cell, {})[alarm.key] = alarm
            return
        for one in group:
            self._darken(one, key, now)

    def _neighbours(self, alarm: Standing, cell: Cell) -> list[Standing]:
        """Give an alarm with the lifts that lost their mains near it and at about its time, and those near them."""
        within = self._grouping.power_cut_within_s * SECOND_US
        group, reached, edge = {alarm.key: alarm}, {cell}, [cell]
        while edge:
            for one in around(edge.pop()):
                found = [a for a in self._pending.get(one, {}).values() if abs(a.onset - alarm.onset) <= within]
                group |= {a.key: a for a in found}
                if found and one not in reached:
                    reached.add(one)
                    edge.append(one)
        return sorted(group.values(), key=lambda a: (a.onset, a.lift))

    def _darken(self, alarm: Standing, key: str, now: int) -> None:
        """Put a lift without mains into a power cut, with all that stands in its building."""
        cell, place = alarm.place.cell, alarm.place
        assert cell is not None
        self._forget_pending(alarm)
        inside = self._inside[key]
        inside.dark.add(alarm.lift)
        inside.cells.add(cell)
        self._cut_at[cell] = key
        self._dark_in[place.building_id].add(alarm.lift)
        self._put(alarm, key, now)
        self._hide(alarm)
        for lift in sorted(self._in_building[place.building_id]):
            for other in list(self.of_lift[lift].values()):
                if other.rule != MAIN_POWER_LOST and self._loose(other):
                    self._put(other, key, now)
                self._hide(other)
            self._leave_lift_incident(lift, now)

    def _loose(self, alarm: Standing) -> bool:
        """Whether an alarm may go over to an area's incident."""
        known = self.incidents.get(alarm.incident)
        return not (alarm.incident or alarm.journal) or (known is not None and known.kind is IncidentKind.LIFT)

    def _leave_lift_incident(self, lift: str, now: int) -> None:
        """Close a lift's own incident whose alarms have gone over to an area's."""
        key = self._lift_incident.get(lift)
        if key is not None and not self._inside[key].alarms:
            into = next((one.incident for one in self.of_lift[lift].values() if one.incident in self.incidents), "")
            self._close(key, now, into=into)

    def _power_back(self, alarm: Standing, at: int) -> None:
        self._forget_pending(alarm)
        self._dark_in[alarm.place.building_id].discard(alarm.lift)
        self._cause_ended(alarm.key, Cause.MAIN_POWER_LOST, at)

    def _forget_pending(self, alarm: Standing) -> None:
        cell = alarm.place.cell
        if cell in self._pending:
            self._pending[cell].pop(alarm.key, None)
            if not self._pending[cell]:
                del self._pending[cell]

    def _merge(self, key: str, other: str, now: int) -> None:
        """Let a power cut turn out to be part of an earlier one."""
        moved, inside = self._inside[other], self._inside[key]
        inside.dark |= moved.dark
        for alarm in list(moved.alarms.values()):
            self._put(alarm, key, now)
            if alarm.suppressed_by == other:
                self._suppress(alarm, key)
            if alarm.place.cell is not None:
                inside.cells.add(alarm.place.cell)
        self._close(other, now, into=key)
        self._cut_at |= dict.fromkeys(inside.cells, key)

    # --------------------------------------------------------------------------------------- gateway

    def _open_gateway(self, name: str, now: int) -> None:
        since = self._offline.pop(name)
        lifts = self._behind(name)
        if not lifts or name in self._gateway_incident:
            return
        key = self._gateway_incident[name] = self._open(IncidentKind.GATEWAY_OFFLINE, name, since, now)
        for lift in lifts:
            self._join(key, lift)
            alarm = self.of_lift.get(lift, {}).get(CONTACT_LOST)
            if alarm is not None and self._loose(alarm):
                self._put(alarm, key, now)
                self._hide(alarm)
                self._leave_lift_incident(lift, now)

    def _back(self, key: str, now: int) -> None:
        """Begin the end of a gateway's incident: its lifts have as long to speak as they had to fall silent."""
        if self._inside[key].alarms:
            self._change(key, ending_at=now + lingers_us(Cause.GATEWAY_OFFLINE))
        else:
            self._close(key, now)

    # ------------------------------------------------------------------------------------- rebuilding

    def load(
        self,
        incidents: Iterable[Incident],
        lifts: Iterable[IncidentLift],
        places: Mapping[str, Place],
        standing: Iterable[Standing],
        rescued: Mapping[str, Mapping[str, str]],
        ended: Mapping[str, tuple[Cause, int]],
    ) -> None:
        """Rebuild from records: open incidents, all lifts that were in them, and the alarms that stand.

        `rescued` gives the emergencies of each incident with their lifts, `ended` when a cause was over that
        still suppresses.
        """
        for incident in incidents:
            self.incidents[incident.key] = incident
            self._inside[incident.key] = Inside(rescued=dict(rescued.get(incident.key, {})))
            if incident.kind is IncidentKind.LIFT:
                self._lift_incident[incident.anchor] = incident.key
            if incident.kind is IncidentKind.GATEWAY_OFFLINE:
                self._gateway_incident[incident.anchor] = incident.key
        for one in lifts:
            inside = self._inside[one.incident]
            inside.ever.add(one.lift)
            if one.left_at is None:
                inside.lifts.add(one.lift)
        for alarm in standing:
            self._load(alarm)
        for key, inside in self._inside.items():
            if self.incidents[key].kind is IncidentKind.POWER_CUT:
                self._load_cells(key, inside, places)
        for cause, (kind, at) in ended.items():
            self._cause_ended(cause, kind, at)
        self._changes = Changes()

    def _load(self, alarm: Standing) -> None:
        self._hold(alarm)
        if alarm.suppressed_by:
            self._suppressed.setdefault(alarm.suppressed_by, {})[alarm.key] = alarm
        incident = self.incidents.get(alarm.incident)
        if incident is not None:
            self._inside[incident.key].alarms[alarm.key] = alarm
        cell = alarm.place.cell
        if alarm.rule != MAIN_POWER_LOST or cell is None:
            return
        if incident is not None and incident.kind is IncidentKind.POWER_CUT:
            self._inside[incident.key].dark.add(alarm.lift)
            self._dark_in[alarm.place.building_id].add(alarm.lift)
        else:
            self._pending.setdefault(cell, {})[alarm.key] = alarm

    def _load_cells(self, key: str, inside: Inside, places: Mapping[str, Place]) -> None:
        for lift in inside.ever:
            cell = places.get(lift, NOWHERE).cell
            if cell is not None:
                inside.cells.add(cell)
                self._cut_at[cell] = key
