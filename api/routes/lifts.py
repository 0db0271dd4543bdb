"""Lifts: the register, the live state and the history of one."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from api import sight
from api.guard import Guarded, SignedIn
from api.history import COLUMNS, MEDIA_TYPE, encode, parse_resolution, parse_signals
from api.pages import Limit
from api.parts import With
from api.routes.alarms import AlarmOut
from api.routes.tickets import TicketOut
from api.shapes import NO_NUL, Key, Moment, MomentIn, Shape
from api.state import SignalValue, newest
from lift.codes import NAMES, label
from lift.codes import Code as FaultCode
from lift.errors import Invalid
from lift.register import Building, Lift, PlaceClass

router = APIRouter(prefix="/v1/lifts", tags=["lifts"], route_class=Guarded)

LiftCode = Annotated[Key, Path(description="Rescue code, or registration code", examples=["063577"])]

_STANDING_MAX: Final = 100
_HISTORY_S_DEFAULT: Final = 3600


class BuildingOut(Shape):
    """Where a lift is; coordinates are WGS 84 degrees."""

    name: Annotated[str, Field(examples=["Lakeside Garden 3 湖畔花园3号楼"])]
    address: Annotated[str, Field(examples=["12 Lakeside Road 湖滨路12号"])]
    district: Annotated[str, Field(examples=["East 东区"])]
    place_class: PlaceClass = Field(examples=["housing"])
    latitude: Annotated[float, Field(examples=[31.2304])]
    longitude: Annotated[float, Field(examples=[121.4737])]
    city_core: Annotated[bool, Field(examples=[True])]


class LiftOut(Shape):
    """A lift with its four keys; `rescue_code` is the plate in the car and the key used everywhere here."""

    rescue_code: Annotated[str, Field(examples=["063577"])]
    registration_code: Annotated[str, Field(examples=["31103101002026110001"])]
    use_registration: Annotated[str, Field(examples=["梯11沪A00001(26)"])]
    factory_number: Annotated[str, Field(examples=["F-26-01234"])]
    firm_id: Annotated[str, Field(examples=["firm-007"])]
    gateway: Annotated[str, Field(examples=["demo"])]
    make: Annotated[str, Field(examples=["Example Lifts"])]
    model: Annotated[str, Field(examples=["MRL-1000"])]
    installed: Annotated[str, Field(examples=["2019-05-01"])]
    rated_speed_m_s: Annotated[float, Field(examples=[1.75])]
    rated_load_kg: Annotated[float, Field(examples=[1000.0])]
    landings: Annotated[int, Field(examples=[18])]
    batch: Annotated[str, Field(examples=["D012"], description="Production batch of the door operator, if known")]
    building: BuildingOut

    @classmethod
    def of(cls, lift: Lift, building: Building) -> LiftOut:
        """Shape a lift of the register."""
        return cls(
            rescue_code=lift.rescue_code,
            registration_code=lift.registration_code,
            use_registration=lift.use_registration,
            factory_number=lift.factory_number,
            firm_id=lift.firm_id,
            gateway=lift.gateway,
            make=lift.make,
            model=lift.model,
            installed=lift.installed,
            rated_speed_m_s=lift.rated_speed,
            rated_load_kg=lift.rated_load_kg,
            landings=lift.landings,
            batch=lift.batch,
            building=BuildingOut(
                name=building.name,
                address=building.address,
                district=building.district,
                place_class=building.place_class,
                latitude=building.latitude,
                longitude=building.longitude,
                city_core=building.city_core,
            ),
        )


class LiftFull(LiftOut):
    """A lift with whom to call about it: the firm that maintains it."""

    firm_name: Annotated[str, Field(examples=["Swift Lift Care 迅达维保"])]
    firm_phone: Annotated[str, Field(examples=["+86 21 5550 0107"])]


class Lifts(Shape):
    """A page of lifts in order of rescue code; `next` is the next page's `after`, null on the last."""

    lifts: list[LiftOut]
    next: Annotated[str | None, Field(examples=["063577"])]


class ReportedCode(Shape):
    """A GB/T 24476 code that the controller reports as active."""

    code: Annotated[str, Field(examples=["41"])]
    en: Annotated[str, Field(examples=["Main power lost"])]
    zh: Annotated[str, Field(examples=["主电源断电"])]

    @classmethod
    def of(cls, code: FaultCode) -> ReportedCode:
        """Shape a code of the catalogue."""
        en, zh = NAMES[code]
        return cls(code=label(code), en=en, zh=zh)


class StateOut(Shape):
    """A lift now: what it last said, what is wrong with it, and the rescue under way at it.

    `signals` holds only what was ever reported in the last seven days; `codes` is null when nobody reported any set.
    """

    lift: Annotated[str, Field(examples=["063577"])]
    now: Moment
    heard_at: Moment | None
    silent_s: Annotated[float | None, Field(examples=[1.2])]
    signals: dict[str, SignalValue] = Field(
        examples=[{"car_speed": {"value": 1.75, "unit": "m/s", "meaning": None,
                                 "at": "2026-11-23T08:00:00.000000Z", "age_s": 1.2}}]
    )  # fmt: skip
    codes: list[ReportedCode] | None
    alarms: list[AlarmOut]
    rescue: TicketOut | None


_HISTORY: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Readings as columns, one entry a time; null = not reported",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["lift", "at", "signals"],
                    "properties": COLUMNS,
                    "examples": [
                        {
                            "lift": "063577",
                            "at": ["2026-11-23T08:00:00.000000Z", "2026-11-23T08:00:01.000000Z"],
                            "signals": {"car_speed": [1.75, None], "passenger": [1, 1]},
                        }
                    ],
                }
            }
        },
    }
}


@router.get("")
def lifts(
    parts: With,
    who: SignedIn,
    q: Annotated[
        str, Query(max_length=100, pattern=NO_NUL, description="Start of a code, or part of an address or name")
    ] = "",
    firm: Annotated[str, Query(max_length=100, pattern=NO_NUL, description="Only this firm's lifts")] = "",
    after: Annotated[str, Query(max_length=100, pattern=NO_NUL, description="Only rescue codes above this one")] = "",
    limit: Limit = 50,
) -> Lifts:
    """Search lifts by code, address, building or firm, in order of rescue code."""
    if firm and who.firm_id not in {None, firm}:
        return Lifts(lifts=[], next=None)
    with parts.records.read() as tx:
        found = tx.lifts(text=q, firm_id=who.firm_id or firm or None, after=after, most=limit + 1)
    shown = [LiftOut.of(lift, building) for lift, building in found[:limit]]
    return Lifts(lifts=shown, next=shown[-1].rescue_code if len(found) > limit else None)


@router.get("/{code}")
def lift(code: LiftCode, parts: With, who: SignedIn) -> LiftFull:
    """Show one lift of the register, and the firm that maintains it."""
    with parts.records.read() as tx:
        found = sight.lift(tx, who, code)
        firm = tx.firm(found.firm_id)
        shaped = LiftOut.of(found, tx.building(found.building_id))
        return LiftFull(**dict(shaped), firm_name=firm.name, firm_phone=firm.phone)


@router.get("/{code}/state")
def lift_state(code: LiftCode, parts: With, who: SignedIn) -> StateOut:
    """Show how one lift is now: the newest known value of each signal, its standing alarms, its rescue."""
    now = parts.clock.now()
    with parts.records.read() as tx:
        key = sight.lift(tx, who, code).rescue_code
        standing = tx.alarms(lift=key, standing=True, most=_STANDING_MAX)
        rescue = tx.rescue_of(key)
    known = newest(parts.telemetry, key, now=now)
    return StateOut(
        lift=key,
        now=now,
        heard_at=known.heard_at,
        silent_s=None if known.heard_at is None else (now - known.heard_at) / 1e6,
        signals=dict(known.signals),
        codes=None if known.codes is None else [ReportedCode.of(active) for active in known.codes],
        alarms=[AlarmOut.of(alarm, now) for alarm in standing],
        rescue=None if rescue is None else TicketOut.of(rescue),
    )


@router.get("/{code}/history", responses=_HISTORY, response_class=Response)
def lift_history(
    code: LiftCode,
    parts: With,
    who: SignedIn,
    signals: Annotated[str, Query(max_length=1000, description="Names of signals", examples=["car_speed,passenger"])],
    start: Annotated[
        MomentIn | None, Query(description="From this moment on; an hour before `end` if left out")
    ] = None,
    end: Annotated[MomentIn | None, Query(description="Until before this moment; now if left out")] = None,
    resolution: Annotated[
        str | None, Query(max_length=20, description="One value a step of 10s, 5m, 1h …; every reading if left out")
    ] = None,
) -> Response:
    """Give one lift's readings as columns; with a resolution means, and last values of flags and counts.

    Readings are kept for some weeks, those around alarms for ever; steps of a minute and more reach back for years.
    """
    wanted, step = parse_signals(signals), parse_resolution(resolution)
    until = parts.clock.now() if end is None else end
    since = until - _HISTORY_S_DEFAULT * 1_000_000 if start is None else start
    if since >= until:
        raise Invalid("start", "must be earlier than `end`")
    with parts.records.read() as tx:
        key = sight.lift(tx, who, code).rescue_code
    found = parts.telemetry.history(key, wanted, start=since, end=until, resolution_us=step)
    return Response(encode(key, wanted, found), media_type=MEDIA_TYPE)
