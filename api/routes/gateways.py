"""Gateways: whether each is there, how its clock stands, and what became of every reading it sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Path
from pydantic import Field

from api.guard import Guarded, Person, SignedIn
from api.parts import With
from api.shapes import Key, Moment, Shape
from ingest.arrivals import WRONG_S
from ingest.report import GatewayReport, Report, saved
from lift.errors import NotFound
from lift.ports import Reads

router = APIRouter(prefix="/v1/gateways", tags=["gateways"], route_class=Guarded)

GatewayName = Annotated[Key, Path(description="The gateway's name, as in its topics", examples=["gw-007"])]

_LIFTS_MAX: Final = 500


class CountsOut(Shape):
    """What became of readings, or trips, since ingest started.

    received = stored + duplicate + refused + shed + waiting, and `missing` is what that leaves: 0, or a fault of ours.
    """

    received: Annotated[int, Field(examples=[86_400])]
    stored: Annotated[int, Field(examples=[86_390])]
    duplicate: Annotated[int, Field(examples=[6])]
    refused: Annotated[int, Field(examples=[1])]
    shed: Annotated[int, Field(examples=[0], description="Sent back to the gateway's spool, which sends them again")]
    waiting: Annotated[int, Field(examples=[3], description="On their way to the store")]
    missing: Annotated[int, Field(examples=[0])]
    late: Annotated[int, Field(examples=[0], description="Two minutes old or more on arrival")]
    disordered: Annotated[int, Field(examples=[0], description="Older than one that came before from the same lift")]
    wrong_clock: Annotated[int, Field(examples=[0], description="Kept although the clock was known to be wrong")]

    @classmethod
    def of(cls, counts: Iterable[Mapping[str, int]]) -> CountsOut:
        """Add up counts of the ledger; a name that is not there is 0."""
        told = list(counts)
        return cls(**{name: sum(one.get(name, 0) for one in told) for name in cls.model_fields})


class SaidOut(Shape):
    """What a gateway last said of itself; null = it does not say. Its times are by its own clock."""

    online: Annotated[bool, Field(examples=[True])]
    at: Moment | None
    version: Annotated[str | None, Field(examples=["0.2.0"])]
    spooled: Annotated[int | None, Field(examples=[0], description="Messages without a receipt")]
    dropped: Annotated[int | None, Field(examples=[0], description="Readings its spool has given up")]
    oldest: Moment | None
    hours_left: Annotated[float | None, Field(examples=[71.5], description="How long its spool lasts as things are")]
    disk_full: Annotated[bool | None, Field(examples=[False], description="Only emergencies still have room")]


class GatewayOut(Shape):
    """A gateway. `online` is null while nothing was heard of it since ingest started; `lifts` are those you may see."""

    name: Annotated[str, Field(examples=["gw-007"])]
    lifts: Annotated[int, Field(examples=[24])]
    online: Annotated[bool | None, Field(examples=[True])]
    heard_at: Moment | None
    lost_since: Annotated[Moment | None, Field(examples=[None])]
    said: SaidOut | None
    clock_ahead_s: Annotated[
        float | None, Field(examples=[-0.2], description="Its clock against ours, behind if negative; null = not known")
    ]
    clock_wrong: Annotated[bool, Field(examples=[False])]
    readings_a_second: Annotated[float, Field(examples=[24.0])]
    readings_a_second_max: Annotated[float, Field(examples=[240.0])]
    limited: Annotated[bool, Field(examples=[False], description="It sends more than it may")]
    limited_messages: Annotated[int, Field(examples=[0])]
    quarantined_messages: Annotated[int, Field(examples=[1])]
    readings: CountsOut
    trips: CountsOut

    @classmethod
    def of(cls, report: GatewayReport, lifts: int) -> GatewayOut:
        """Shape what ingest reports of a gateway."""
        status, ahead_s = report.status, report.clock_ahead_s
        return cls(
            name=report.name,
            lifts=lifts,
            online=report.online,
            heard_at=report.heard_at,
            lost_since=report.lost_since,
            said=None if status is None else SaidOut.model_validate(status, from_attributes=True),
            clock_ahead_s=ahead_s,
            clock_wrong=ahead_s is not None and abs(ahead_s) > WRONG_S,
            readings_a_second=report.arriving,
            readings_a_second_max=report.rate,
            limited=report.limited,
            limited_messages=report.limited_messages,
            quarantined_messages=sum(one.get("messages_quarantined", 0) for one in (report.readings, report.trips)),
            readings=CountsOut.of([report.readings]),
            trips=CountsOut.of([report.trips]),
        )


class GatewayFull(GatewayOut):
    """A gateway with the rescue codes of the lifts behind it, the first 500 of those you may see."""

    as_of: Moment | None
    lift_codes: Annotated[list[str], Field(examples=[["063577", "063578"]])]


class SummaryOut(Shape):
    """All gateways listed here in a few figures; `missing` over readings and trips is 0, or a fault of ours."""

    gateways: Annotated[int, Field(examples=[1])]
    online: Annotated[int, Field(examples=[1])]
    lost: Annotated[int, Field(examples=[0])]
    clocks_wrong: Annotated[int, Field(examples=[0])]
    limited: Annotated[int, Field(examples=[0])]
    missing: Annotated[int, Field(examples=[0])]
    readings: CountsOut
    trips: CountsOut


class Gateways(Shape):
    """The gateways as ingest knew them at `as_of` (null = never yet), and what came from unregistered ones together.

    `unregistered` is null for those who see only their own.
    """

    as_of: Moment | None
    summary: SummaryOut
    gateways: list[GatewayOut]
    unregistered: CountsOut | None


@router.get("")
def gateways(parts: With, who: SignedIn) -> Gateways:
    """List the gateways with their counts, and whether anything is missing; a firm sees those of its own lifts."""
    with parts.records.read() as tx:
        lifts, report = _seen(tx, who)
    known = _by_name(report)
    shown = [GatewayOut.of(_of(known, name), count) for name, count in sorted(lifts.items())]
    strangers = report.gateways[-1].readings if report is not None and who.firm_id is None else None
    readings = CountsOut.of([one.readings.model_dump() for one in shown])
    trips = CountsOut.of([one.trips.model_dump() for one in shown])
    return Gateways(
        as_of=None if report is None else report.at,
        summary=SummaryOut(
            gateways=len(shown),
            online=sum(one.online is True for one in shown),
            lost=sum(one.online is False for one in shown),
            clocks_wrong=sum(one.clock_wrong for one in shown),
            limited=sum(one.limited for one in shown),
            missing=readings.missing + trips.missing + (0 if strangers is None else strangers.get("missing", 0)),
            readings=readings,
            trips=trips,
        ),
        gateways=shown,
        unregistered=None if strangers is None else CountsOut.of([strangers]),
    )


@router.get("/{gateway}")
def gateway(gateway: GatewayName, parts: With, who: SignedIn) -> GatewayFull:
    """Show one gateway with the lifts behind it."""
    with parts.records.read() as tx:
        lifts, report = _seen(tx, who)
        if gateway not in lifts:
            raise NotFound(f"there is no gateway {gateway!r}")
        behind = tx.lifts(gateway=gateway, firm_id=who.firm_id, most=_LIFTS_MAX)
    out = GatewayOut.of(_of(_by_name(report), gateway), lifts[gateway])
    return GatewayFull(
        **dict(out),
        as_of=None if report is None else report.at,
        lift_codes=[lift.rescue_code for lift, _ in behind],
    )


def _seen(tx: Reads, who: Person) -> tuple[Mapping[str, int], Report | None]:
    """Give how many lifts a person may see behind each gateway, and the latest report."""
    return tx.gateways(firm_id=who.firm_id), saved(tx)


def _by_name(report: Report | None) -> Mapping[str, GatewayReport]:
    return {} if report is None else {one.name: one for one in report.gateways}


def _of(known: Mapping[str, GatewayReport], name: str) -> GatewayReport:
    """Give what is known of a gateway; of one that is newer than the report nothing is."""
    return known.get(name) or GatewayReport(name=name, lifts=0)
