"""Real Modbus servers on this machine: over TCP, or RTU over a pseudo terminal."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import threading
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests import servers

# One kind of register for all, or coils, discrete inputs, holding and input registers apart.
Shapes: TypeAlias = list[SimData] | tuple[list[SimData], list[SimData], list[SimData], list[SimData]]
Units: TypeAlias = Mapping[int, Shapes]


class Device:
    """Units with registers of their own behind one server, and the functions that were asked of it."""

    def __init__(self, units: Units, *, port: int = 0, serial: str = "", framing: str = "tcp") -> None:
        """Start it."""
        self.port = port or servers.free_port()
        self.serial = serial
        self.registers: dict[tuple[int, int], int] = {}
        self.functions: list[int] = []
        # Units that hear and say nothing.
        self.silent: set[int] = set()
        self.requests: list[tuple[int, int, int]] = []
        self._units = units
        self._framing = FramerType.RTU if framing == "rtu" else FramerType.SOCKET
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def set(self, unit: int, address: int, *words: int) -> None:
        """Change registers."""
        for position, word in enumerate(words):
            self.registers[unit, address + position] = word & 0xFFFF

    def stop(self) -> None:
        """Vanish, connections and all."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._server.shutdown(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self) -> None:
        self._leave = asyncio.Event()
        devices = [SimDevice(unit, data, action=self._action(unit)) for unit, data in self._units.items()]
        if self.serial:
            self._server: Any = ModbusSerialServer(devices, port=self.serial, baudrate=115200, trace_pdu=self._trace)
        else:
            self._server = ModbusTcpServer(
                devices,
                address=("127.0.0.1", self.port),
                framer=self._framing,
                trace_pdu=self._trace,
                trace_packet=self._speak,
            )
        await self._server.serve_forever(background=True)
        self._ready.set()
        await self._leave.wait()
        # Sockets close in the loop's next turns.
        for _ in range(10):
            await asyncio.sleep(0)

    def _action(self, unit: int) -> Any:  # noqa: ANN401 - the library's own type is private
        async def action(
            function: int, start: int, address: int, count: int, present: list[int], new: object
        ) -> ExcCodes | None:
            self.requests.append((unit, address, count))
            for (owner, at), word in self.registers.items():
                if owner == unit and start <= at < start + len(present):
                    present[at - start] = word
            return None

        return action

    def _speak(self, sending: bool, data: bytes) -> bytes:  # noqa: FBT001
        unit = data[0 if self._framing is FramerType.RTU else 6] if data else 0
        return b"" if sending and unit in self.silent else data

    def _trace(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:  # noqa: FBT001
        if not sending:
            self.functions.append(pdu.function_code)
        return pdu


def words(address: int, *values: int) -> SimData:
    """Give registers with values."""
    return SimData(address, values=[value & 0xFFFF for value in values], datatype=DataType.REGISTERS)


@contextmanager
def device(units: Units, **how: Any) -> Iterator[Device]:  # noqa: ANN401
    """Run a device for the length of a test."""
    one = Device(units, **how)
    try:
        yield one
    finally:
        one.stop()


@contextmanager
def wire() -> Iterator[tuple[str, str]]:
    """Join two pseudo terminals end to end; gives their names."""
    pairs = [pty.openpty() for _ in range(2)]
    masters = [master for master, _ in pairs]
    for _, slave in pairs:
        tty.setraw(slave)
    over = threading.Event()

    def carry() -> None:
        while not over.is_set():
            for ready in select.select(masters, [], [], 0.05)[0]:
                os.write(masters[1 - masters.index(ready)], os.read(ready, 4096))

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        over.set()
        thread.join(5)
        for ends in pairs:
            for end in ends:
                os.close(end)
