"""A real BACnet device with Lift objects on this machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bacpypes3.apdu import ConfirmedCOVNotificationRequest, SimpleAckPDU
from bacpypes3.basetypes import PropertyValue
from bacpypes3.constructeddata import Any as AnyValue
from bacpypes3.errors import ExecutionError, UnrecognizedService
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.cov import COVDetection
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.object import Object
from bacpypes3.object import LiftObject
from bacpypes3.pdu import IPv4Address

from tests import servers

_vendor_id = 999

AT_REST: Final[dict[str, Any]] = {
    "carPosition": 3,
    "carMovingDirection": 2,
    "carDoorStatus": [0, 0],
    "carDoorZone": True,
    "carMode": 1,
    "carLoad": 25.0,
    "carLoadUnits": 98,
    "passengerAlarm": False,
    "outOfService": False,
    "carDriveStatus": 1,
    "faultSignals": [],
}
IDENTITY: Final[dict[str, Any]] = {
    "statusFlags": [0, 0, 0, 0],
    "elevatorGroup": ("elevator-group", 1),
    "groupID": 1,
    "installationID": 1,
}


class Criteria(COVDetection):  # type: ignore[misc]
    """Which properties a maker tells of, as the standard leaves it open for Lift objects."""

    properties_tracked = (
        "carPosition",
        "carMovingDirection",
        "carDoorStatus",
        "carDriveStatus",
        "carMode",
        "passengerAlarm",
        "faultSignals",
    )
    properties_reported = properties_tracked


class Lift(Object, LiftObject):  # type: ignore[misc]
    """A Lift object that can be watched."""

    _cov_criteria: Any = Criteria


class SilentLift(Object, LiftObject):  # type: ignore[misc]
    """A Lift object whose device tells of no object's changes."""


class Application(NormalApplication):  # type: ignore[misc]
    """A device that writes down what is asked of it."""

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments)
        self.asked: list[str] = []
        self.mute = False
        self.by_property = False
        self.one_by_one = False
        self.wishes: dict[tuple[Any, int, str], Any] = {}

    async def indication(self, apdu: Any) -> None:  # noqa: ANN401
        """Hear a request, unless somebody pulled the plug."""
        if not self.mute:
            self.asked.append(type(apdu).__name__)
            await super().indication(apdu)

    async def do_ReadPropertyMultipleRequest(self, apdu: Any) -> None:  # noqa: ANN401, N802
        """Read several properties, where the device can."""
        if self.one_by_one:
            raise UnrecognizedService
        await super().do_ReadPropertyMultipleRequest(apdu)

    async def do_SubscribeCOVPropertyRequest(self, apdu: Any) -> None:  # noqa: ANN401, N802
        """Note who wants to be told of one property, where the device can."""
        if not self.by_property:
            raise UnrecognizedService
        name = apdu.monitoredPropertyIdentifier.propertyIdentifier.attr
        one = self.get_object_id(apdu.monitoredObjectIdentifier)
        if one is None or getattr(one, name) is None:
            raise ExecutionError(errorClass="property", errorCode="unknownProperty")
        self.wishes[apdu.pduSource, int(apdu.subscriberProcessIdentifier), name] = apdu
        await self.response(SimpleAckPDU(context=apdu))

    def tell(self, one: Any, name: str) -> None:  # noqa: ANN401
        """Tell those who want to know of one property."""
        for address, number, wanted in self.wishes:
            if wanted == name:
                value = PropertyValue(propertyIdentifier=name, value=AnyValue(getattr(one, name)))
                self.request(
                    ConfirmedCOVNotificationRequest(
                        subscriberProcessIdentifier=number,
                        initiatingDeviceIdentifier=self.device_object.objectIdentifier,
                        monitoredObjectIdentifier=one.objectIdentifier,
                        timeRemaining=60,
                        listOfValues=[value],
                        destination=address,
                    )
                )


class Device:
    """A device in a thread of its own, with lifts by their instance."""

    def __init__(self, lifts: dict[int, dict[str, Any]], *, tells: str = "object", port: int = 0) -> None:
        """Start it; it tells of changes of an `object`, or by `property`, or of `nothing`."""
        self.port = port or servers.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._lifts = lifts
        self._tells = tells
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _serve(self) -> None:
        self._leave = asyncio.Event()
        device = DeviceObject(objectIdentifier=("device", 1001), objectName="lifts", vendorIdentifier=999)
        self.app = Application(device, IPv4Address(self.address))
        self.app.by_property = self._tells == "property"
        kind = Lift if self._tells == "object" else SilentLift
        self.lifts = {
            number: kind(objectIdentifier=("lift", number), objectName=f"lift {number}", **IDENTITY, **values)
            for number, values in self._lifts.items()
        }
        for one in self.lifts.values():
            self.app.add_object(one)
        self._ready.set()
        await self._leave.wait()
        self.app.close()
        await asyncio.sleep(0)

    def do(self, act: Any) -> Any:  # noqa: ANN401
        """Run something in the device's thread."""

        async def run() -> Any:  # noqa: ANN401
            return act()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def set(self, number: int, **values: Any) -> None:  # noqa: ANN401
        """Change properties of a lift."""
        for name, value in values.items():

            def change(name: str = name, value: Any = value) -> None:  # noqa: ANN401
                setattr(self.lifts[number], name, value)
                self.app.tell(self.lifts[number], name)

            self.do(change)

    def forget(self) -> None:
        """Forget every subscription, as a device does that starts anew."""

        def forget() -> None:
            for detection in list(self.app._cov_detections.values()):
                for subscription in list(detection.cov_subscriptions):
                    self.app.cancel_subscription(subscription)

        self.do(forget)

    def stop(self) -> None:
        """Vanish."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leave.set)
            self._thread.join(10)
            self._loop.close()


@contextmanager
def device(lifts: dict[int, dict[str, Any]], **how: Any) -> Iterator[Device]:  # noqa: ANN401
    """Run a device for the length of a test."""
    one = Device(lifts, **how)
    try:
        yield one
    finally:
        one.stop()
