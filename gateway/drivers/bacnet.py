"""BACnet/IP: reads Lift objects, told of changes where the device can (COV), else by asking. It never writes.

ANSI/ASHRAE Standard 135: Lift object (clause 12.59), SubscribeCOV and SubscribeCOVProperty (13.14, 13.15),
ReadPropertyMultiple (15.7). Table 13-1 gives Lift objects no change of value of their own, so a device may refuse the
first subscription and accept the second, one for each property; where it refuses both, we ask.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from bacpypes3.apdu import (
    AbortPDU,
    AbortReason,
    ErrorRejectAbortNack,
    IAmRequest,
    ReadPropertyMultipleRequest,
    ReadPropertyRequest,
    RejectPDU,
    SimpleAckPDU,
    SubscribeCOVPropertyRequest,
    SubscribeCOVRequest,
)
from bacpypes3.basetypes import PropertyIdentifier, PropertyReference, ReadAccessSpecification
from bacpypes3.constructeddata import SequenceOf
from bacpypes3.errors import ExecutionError
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.device import DeviceObject
from bacpypes3.object import LiftObject as BacnetLift
from bacpypes3.pdu import Address, IPv4Address
from bacpypes3.primitivedata import ObjectIdentifier

from gateway.document import Section, show
from gateway.driver import Backoff, Inlet, Surroundings
from gateway.drivers._lift_object import FAULT_CODES, PROPERTIES, REQUIRED, URGENT, LiftObject
from lift.batch import Batch, from_rows
from lift.codes import NUMBERS

log = logging.getLogger(__name__)

PORT: Final = 47808
INSTANCE_MAX: Final = 4_194_302
_FAULT_MAX: Final = 65_535
# All that this program ever sends on its own: questions, wishes to be told, and its name to whoever asks.
READING_REQUESTS: Final = (
    ReadPropertyRequest,
    ReadPropertyMultipleRequest,
    SubscribeCOVRequest,
    SubscribeCOVPropertyRequest,
    IAmRequest,
)
# A device that refused to tell of changes is asked again this often.
SUBSCRIBE_AGAIN_S: Final = 600.0
_LEAVE_WITHIN_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.1


class _Silent(Exception):
    """A device does not answer."""


class _Refused(Exception):
    """A device answers that it will not."""


@dataclass(slots=True)
class _Lift:
    """One lift: where its object is, what is known of it, and which changes the device tells by itself."""

    code: str
    address: str
    instance: int
    number: int
    says: LiftObject
    known: dict[str, Any] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    covered: set[str] = field(default_factory=set)
    subscribe_at: float = 0.0
    multiple: bool = True
    backoff: Backoff = field(default_factory=lambda: Backoff(1.0))

    @property
    def about(self) -> str:
        return f"{self.code}: lift {self.instance} at {self.address}"


class Bacnet:
    """Watches Lift objects of any number of devices from one UDP port."""

    def __init__(self, section: Section, lifts: Mapping[str, Section]) -> None:
        """Read the section."""
        self._listen = section.text("listen", f"0.0.0.0:{PORT}", pattern=_ADDRESS, meaning=_ADDRESS_MEANING)
        self._instance = section.whole("device_instance", 3_963_330, low=0, high=INSTANCE_MAX)
        self._every_s = section.number("every_s", 1.0, low=0.1, high=3600, unit="s")
        self._refresh_s = section.number("refresh_s", 10.0, low=0.2, high=3600, unit="s")
        self._lifetime_s = section.whole("cov_lifetime_s", 120, low=10, high=86_400, unit="s")
        self._timeout_s = section.number("timeout_s", 2.0, low=0.1, high=30, unit="s")
        codes = {**FAULT_CODES, **section.table("fault_codes", read=_fault_code)}
        faults = {fault: int(code) for fault, code in codes.items()}
        default_address = section.text("device", "", pattern=_ADDRESS, meaning=_ADDRESS_MEANING)
        self._lifts: list[_Lift] = []
        for code, lift in lifts.items():
            address = lift.text("device", default_address, pattern=_ADDRESS, meaning=_ADDRESS_MEANING)
            if not address:
                lift.note("", "lacks its device: device, here or in [bacnet]")
            instance = lift.whole("instance", low=0, high=INSTANCE_MAX)
            offset = lift.whole("landing_offset", 0, low=-100, high=100)
            rated = lift.number("rated_load_kg", float("nan"), low=50, high=100_000, unit="kg")
            says = LiftObject(offset, rated, faults)
            address = address if ":" in address else f"{address}:{PORT}"
            if any((other.address, other.instance) == (address, instance) for other in self._lifts):
                lift.note("instance", f"{instance} at {address} is another lift's already")
            self._lifts.append(_Lift(code, address, instance, len(self._lifts) + 1, says))
        if not lifts:
            section.note("", "there is no lift to read: [lifts.CODE] names each")

    def batches(self, around: Surroundings) -> Iterator[Batch]:
        """Give a reading as soon as a device tells of a change, and one of all there is every `refresh_s`."""
        return Inlet().gather({"bacnet": lambda inlet: asyncio.run(self._watch(around, inlet))}, around.stop)

    async def _watch(self, around: Surroundings, inlet: Inlet) -> None:
        device = DeviceObject(
            objectIdentifier=("device", self._instance),
            objectName=f"Liftwatch gateway {self._instance}",
            vendorIdentifier=0,
            apduTimeout=round(self._timeout_s * 1000),
            numberOfApduRetries=1,
        )
        address = self._listen if ":" in self._listen else f"{self._listen}:{PORT}"
        reader = _Reader(device, IPv4Address(address))
        busy = {lift.address: asyncio.Lock() for lift in self._lifts}
        watchers = [
            _Watcher(lift, reader, busy[lift.address], around, inlet, self._lifetime_s, self._timeout_s)
            for lift in self._lifts
        ]
        reader.watchers = {(watcher.lift.address, watcher.lift.number): watcher for watcher in watchers}
        tasks = [asyncio.create_task(watcher.run(self._every_s, self._refresh_s)) for watcher in watchers]
        try:
            while not inlet.leave.is_set():
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            farewells = asyncio.gather(*(watcher.unsubscribe() for watcher in watchers), return_exceptions=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_WITHIN_S):
                    await farewells
            reader.close()
            # The library closes its socket in the loop's next turn.
            await asyncio.sleep(0)


_ADDRESS: Final = r"\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?"
_ADDRESS_MEANING: Final = "an IPv4 address, with :PORT where it is not 47808"


def _fault_code(key: str, value: object) -> tuple[int, int]:
    if not key.isdigit() or int(key) > _FAULT_MAX:
        raise ValueError(f"{key!r} is not a BACnetLiftFault: 0 to {_FAULT_MAX}")
    if type(value) is not int or (value and value not in NUMBERS):
        raise ValueError(f"{show(value)} is not a code: {', '.join(map(str, sorted(NUMBERS)))}, or 0 for none")
    return int(key), value


class _Reader(NormalApplication):  # type: ignore[misc]
    """The library's application, without any way to write, or to be written to."""

    watchers: Mapping[tuple[str, int], _Watcher] = {}

    def request(self, apdu: Any) -> Any:  # noqa: ANN401 - the library has no types
        """Let pass what reads: whatever mistake anybody makes here, a write cannot leave."""
        assert isinstance(apdu, READING_REQUESTS), f"{type(apdu).__name__} does not read"
        return super().request(apdu)

    async def do_WritePropertyRequest(self, apdu: Any) -> None:  # noqa: ANN401, ARG002, N802
        """Refuse."""
        raise ExecutionError(errorClass="property", errorCode="writeAccessDenied")

    async def do_WritePropertyMultipleRequest(self, apdu: Any) -> None:  # noqa: ANN401, ARG002, N802
        """Refuse."""
        raise ExecutionError(errorClass="property", errorCode="writeAccessDenied")

    async def do_ConfirmedCOVNotificationRequest(self, apdu: Any) -> None:  # noqa: ANN401, N802
        """Take a change, and say so."""
        await self.do_UnconfirmedCOVNotificationRequest(apdu)
        await self.response(SimpleAckPDU(context=apdu))

    async def do_UnconfirmedCOVNotificationRequest(self, apdu: Any) -> None:  # noqa: ANN401, N802
        """Take a change."""
        address = "{}:{}".format(*apdu.pduSource.addrTuple)
        watcher = self.watchers.get((address, int(apdu.subscriberProcessIdentifier)))
        if watcher is None or tuple(apdu.monitoredObjectIdentifier)[1] != watcher.lift.instance:
            raise ExecutionError(errorClass="services", errorCode="unknownSubscription")
        watcher.told({attribute(one.propertyIdentifier): one.value for one in apdu.listOfValues})


class _Watcher:
    """Keeps one lift's values up to date: by subscription as far as the device goes, by asking for the rest."""

    def __init__(
        self,
        lift: _Lift,
        reader: _Reader,
        busy: asyncio.Lock,
        around: Surroundings,
        inlet: Inlet,
        lifetime_s: int,
        timeout_s: float,
    ) -> None:
        self.lift = lift
        self._reader = reader
        # One question at a time for each device: some forget the first when they hear the second.
        self._busy = busy
        self._around = around
        self._inlet = inlet
        self._lifetime_s = lifetime_s
        self._timeout_s = timeout_s
        self._address = Address(lift.address)
        self._object = ObjectIdentifier(("lift", lift.instance))
        self._by_property = False

    async def run(self, every_s: float, refresh_s: float) -> None:
        """Watch until cancelled."""
        refresh_at = 0.0
        while True:
            now = time.monotonic()
            try:
                if now >= self.lift.subscribe_at:
                    await self._subscribe()
                everything = now >= refresh_at
                wanted = PROPERTIES if everything else [name for name in URGENT if name not in self.lift.covered]
                if wanted:
                    await self._ask(wanted)
                if everything:
                    refresh_at = now + refresh_s
            except _Silent as error:
                self._around.troubles.note(self.lift.about, str(error))
                # Whatever was subscribed to may be forgotten there.
                self.lift.covered.clear()
                self.lift.known.clear()
                self.lift.subscribe_at = refresh_at = 0.0
                await asyncio.sleep(self.lift.backoff.failed())
                continue
            self.lift.backoff.worked()
            self._around.troubles.clear(self.lift.about)
            due = refresh_at if self.lift.covered.issuperset(URGENT) else now + every_s
            await asyncio.sleep(max(0.0, min(due, refresh_at, self.lift.subscribe_at) - time.monotonic()))

    # ------------------------------------------------------------------------------------- being told

    def told(self, values: Mapping[str, Any]) -> None:
        """Take what the device says by itself."""
        found = {name: self._plain(name, value) for name, value in values.items() if name in PROPERTIES}
        good = {name: value for name, value in found.items() if value is not None}
        self.lift.covered |= good.keys()
        self._give(good)

    async def _subscribe(self) -> None:
        """Ask to be told of changes, anew before it runs out; raises _Silent."""
        try:
            await self._send(SubscribeCOVRequest, **self._terms())
            self._by_property = False
        except _Refused:
            self._by_property = True
            self.lift.covered.clear()
            for name in URGENT:
                if name not in self.lift.absent:
                    with suppress(_Refused):
                        await self._send(SubscribeCOVPropertyRequest, **self._terms(), **_monitored(name))
                        self.lift.covered.add(name)
            if not self.lift.covered:
                log.info("%s: does not tell of changes, so it is asked", self.lift.about)
                self.lift.subscribe_at = time.monotonic() + SUBSCRIBE_AGAIN_S
                return
        self.lift.subscribe_at = time.monotonic() + self._lifetime_s / 2

    async def unsubscribe(self) -> None:
        """Let the device forget us, if it has anything to forget."""
        if not self.lift.covered:
            return
        names = {"subscriberProcessIdentifier": self.lift.number, "monitoredObjectIdentifier": self._object}
        with suppress(_Silent, _Refused):
            if not self._by_property:
                await self._send(SubscribeCOVRequest, **names)
                return
            for name in self.lift.covered:
                await self._send(SubscribeCOVPropertyRequest, **names, **_monitored(name))

    def _terms(self) -> dict[str, Any]:
        return {
            "subscriberProcessIdentifier": self.lift.number,
            "monitoredObjectIdentifier": self._object,
            "issueConfirmedNotifications": True,
            "lifetime": self._lifetime_s,
        }

    # ------------------------------------------------------------------------------------------ asking

    async def _ask(self, names: Sequence[str]) -> None:
        """Read properties and give what they say; raises _Silent."""
        names = [name for name in names if name not in self.lift.absent]
        found = await self._fetch(names)
        if not found:
            raise _Silent("gives no property at all: is there such a lift?")
        plain = {name: self._plain(name, value) for name, value in found.items()}
        for name in names:
            if name not in found and name not in REQUIRED:
                self.lift.absent.add(name)
                continue
            reason = "the device does not give it" if name not in found else ""
            if name in found and plain[name] is None:
                reason = "is not of the standard's type"
            self._around.troubles.judge(f"{self.lift.about}: {asn1(name)}", reason)
        good = {name: value for name, value in plain.items() if value is not None}
        known = self.lift.known
        if any(good[name] != known[name] for name in self.lift.covered & good.keys() & known.keys()):
            # It should have told us of this: its memory of us is gone, or the notice is still under way.
            self.lift.subscribe_at = 0.0
        self._give(good)

    async def _fetch(self, names: Sequence[str]) -> dict[str, Any]:
        """Give the properties that the device gives, as it encodes them; raises _Silent."""
        if self.lift.multiple:
            try:
                return await self._read_together(names)
            except _Refused as error:
                log.info("%s: refuses several questions at once, so it is asked singly: %s", self.lift.about, error)
                self.lift.multiple = False
        found: dict[str, Any] = {}
        for name in names:
            with suppress(_Refused):
                answer = await self._send(
                    ReadPropertyRequest, objectIdentifier=self._object, propertyIdentifier=PropertyIdentifier(name)
                )
                found[name] = answer.propertyValue
        return found

    async def _read_together(self, names: Sequence[str]) -> dict[str, Any]:
        wanted = ReadAccessSpecification(
            objectIdentifier=self._object,
            listOfPropertyReferences=[PropertyReference(propertyIdentifier=PropertyIdentifier(name)) for name in names],
        )
        answer = await self._send(
            ReadPropertyMultipleRequest, listOfReadAccessSpecs=SequenceOf(ReadAccessSpecification)([wanted])
        )
        return {
            attribute(one.propertyIdentifier): one.readResult.propertyValue
            for result in answer.listOfReadAccessResults
            for one in result.listOfResults
            if one.readResult.propertyAccessError is None
        }

    async def _send(self, request: Any, **fields: Any) -> Any:  # noqa: ANN401 - the library has no types
        """Send a request and give the answer; raises _Silent and _Refused."""
        async with self._busy:
            try:
                # The library repeats a request once after its own timeout. Not wait_for, which up to Python 3.11 may
                # swallow a cancellation that comes together with the answer.
                async with asyncio.timeout(2 * self._timeout_s + 1):
                    return await self._reader.request(request(**fields, destination=self._address))
            except TimeoutError as error:
                raise _Silent(f"does not answer within {2 * self._timeout_s:g} s") from error
            except OSError as error:
                raise _Silent(str(error)) from error
            except ErrorRejectAbortNack as error:
                if isinstance(error, AbortPDU) and error.apduAbortRejectReason == AbortReason.noResponse:
                    raise _Silent(f"does not answer within {2 * self._timeout_s:g} s") from error
                kind = "rejects" if isinstance(error, RejectPDU) else "refuses"
                raise _Refused(f"{kind} it: {error}") from error

    # ------------------------------------------------------------------------------------------ giving

    def _plain(self, name: str, value: Any) -> Any:  # noqa: ANN401
        """Turn a property's bytes into numbers, None when they are not of the standard's type."""
        try:
            return _numbers(value.cast_out(BacnetLift.get_property_type(PropertyIdentifier(name))))
        except Exception as error:  # noqa: BLE001 - the library raises what it likes on a wrong tag
            log.debug("%s: %s: %r", self.lift.about, name, error)
            return None

    def _give(self, values: Mapping[str, Any]) -> None:
        self.lift.known.update(values)
        troubles = self._around.troubles
        out = self.lift.known.get("outOfService")
        troubles.judge(
            f"{self.lift.about}: out-of-service",
            "its values are set by hand at the device, so none is taken" if out else "",
        )
        for name, reason in self.lift.says.remarks(self.lift.known):
            troubles.judge(f"{self.lift.about}: {name}", reason)
        row = {} if out else self.lift.says.row(self.lift.known, list(values))
        if row:
            self._inlet.put(from_rows([{"lift": self.lift.code, "at": self._around.clock.now(), **row}]))


def _numbers(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list | tuple):
        return [_numbers(one) for one in value]
    return float(value) if isinstance(value, float) else int(value)


def _monitored(name: str) -> dict[str, Any]:
    return {"monitoredPropertyIdentifier": asn1(name)}


def attribute(identifier: Any) -> str:  # noqa: ANN401
    """Give a property's name as the library's classes spell it.

    >>> attribute(PropertyIdentifier("car-door-status"))
    'carDoorStatus'
    """
    return str(identifier.attr)


def asn1(name: str) -> str:
    """Give a property's name as the standard spells it.

    >>> asn1("carDoorStatus")
    'car-door-status'
    """
    return str(PropertyIdentifier(name).asn1)
