"""Modbus TCP and RTU: reads the registers that a map names, lift by lift. There is no way to write through it.

Modbus Application Protocol Specification V1.1b3; functions 1 to 4 only, all of which read.
"""

from __future__ import annotations

import logging
import math
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from pymodbus import FramerType, ModbusException
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ConnectionException
from pymodbus.pdu import ModbusPDU

from gateway.document import Section
from gateway.driver import Backoff, Inlet, Surroundings, Troubles
from gateway.drivers._register_map import BIT_KINDS, Block, Register, RegisterMap, blocks, read_map
from lift.batch import Batch, from_rows

log = logging.getLogger(__name__)

Client: TypeAlias = ModbusTcpClient | ModbusSerialClient

PORT: Final = 502
UNIT_MAX: Final = 247  # 248-255 are reserved; 0 would be all devices at once (Modbus over Serial Line V1.02, 2.2)
BUSES_MOST: Final = 64
# Functions 1 to 4: read coils, discrete inputs, holding registers, input registers.
READING_FUNCTIONS: Final = frozenset({1, 2, 3, 4})
# A register that the device does not have is asked for again this often: it may have been set up meanwhile.
DEAD_AGAIN_S: Final = 60.0
_NEVER_GIVE_UP: Final = 1 << 60
_EXCEPTIONS: Final[dict[int, str]] = {
    ExcCodes.ILLEGAL_FUNCTION: "the device cannot read this kind of register",
    ExcCodes.ILLEGAL_ADDRESS: "the device has no such register",
    ExcCodes.ILLEGAL_VALUE: "the device does not accept the request",
    ExcCodes.DEVICE_FAILURE: "the device reports a failure of its own",
    ExcCodes.ACKNOWLEDGE: "the device is busy",
    ExcCodes.DEVICE_BUSY: "the device is busy",
    ExcCodes.GATEWAY_PATH_UNAVIABLE: "the converter has no path to it",
    ExcCodes.GATEWAY_NO_RESPONSE: "the converter gets no answer from it",
}
_UNIT_IS_SILENT: Final = (ExcCodes.GATEWAY_PATH_UNAVIABLE, ExcCodes.GATEWAY_NO_RESPONSE)
_UNIT_IS_BUSY: Final = (ExcCodes.ACKNOWLEDGE, ExcCodes.DEVICE_BUSY)


class _Silent(Exception):
    """One unit does not answer, or not now; the others of its line may."""


class _Broken(Exception):
    """The line to all units is gone."""


class _Refused(Exception):
    """The unit answers that it will not read this."""


@dataclass(frozen=True, slots=True)
class Line:
    """What several units share: a network address or a serial port, and how one talks over it."""

    address: str
    serial: bool = False
    framing: str = "tcp"
    baudrate: int = 9600
    parity: str = "N"
    stopbits: int = 1
    timeout_s: float = 1.0

    def client(self) -> Client:
        """Make a client that is not connected yet."""
        client: Client
        if self.serial:
            client = ModbusSerialClient(
                self.address,
                baudrate=self.baudrate,
                parity=self.parity,
                stopbits=self.stopbits,
                timeout=self.timeout_s,
                retries=0,
                trace_pdu=only_reading,
            )
        else:
            host, _, port = self.address.rpartition(":")
            client = ModbusTcpClient(
                host.strip("[]"),
                port=int(port),
                framer=FramerType.SOCKET if self.framing == "tcp" else FramerType.RTU,
                timeout=self.timeout_s,
                retries=0,
                trace_pdu=only_reading,
            )
        # When to give a connection up is decided here, where it is known which units are silent.
        client.transaction.count_until_disconnect = client.transaction.max_until_disconnect = _NEVER_GIVE_UP
        return client


def only_reading(sending: bool, pdu: ModbusPDU) -> ModbusPDU:  # noqa: FBT001 - the library's own signature
    """Let pass what reads: whatever mistake anybody makes here, a write cannot leave."""
    assert not sending or pdu.function_code in READING_FUNCTIONS, f"function {pdu.function_code} does not read"
    return pdu


@dataclass(slots=True)
class _Unit:
    """One lift's device, and what is known about it."""

    code: str
    unit: int
    map: RegisterMap
    blocks: list[Block] = field(default_factory=list)
    dead: dict[Register, float] = field(default_factory=dict)
    resting_until: float = 0.0
    backoff: Backoff = field(default_factory=lambda: Backoff(1.0))

    def __post_init__(self) -> None:
        self.blocks = self.map.blocks()

    def split(self, block: Block) -> list[Block]:
        """Read a block's halves from now on, since something in it cannot be read."""
        middle = len(block.registers) // 2
        limits = {"block_most": self.map.block_most, "gap_most": self.map.gap_most}
        halves = [
            *blocks(block.registers[:middle], **limits),
            *blocks(block.registers[middle:], **limits),
        ]
        at = self.blocks.index(block)
        self.blocks[at : at + 1] = halves
        return halves


class Modbus:
    """Polls every lift's registers; each line, which is a network address or a serial port, by a thread of its own."""

    def __init__(self, section: Section, lifts: Mapping[str, Section]) -> None:
        """Read the section and the register maps."""
        self._every_s = section.number("every_s", 1.0, low=0.05, high=3600, unit="s")
        timeout_s = section.number("timeout_s", 1.0, low=0.02, high=30, unit="s")
        common = _line(section, timeout_s)
        maps: dict[Path, RegisterMap] = {}
        default_map = _map(section, maps, required=False)
        self._lines: dict[Line, list[_Unit]] = {}
        for code, lift in lifts.items():
            line = _line(lift, timeout_s, common)
            unit = lift.whole("unit", 1, low=1, high=UNIT_MAX)
            map_ = _map(lift, maps, required=default_map is None) or default_map
            if line is None:
                lift.note("", "lacks its device: host or serial, here or in [modbus]")
            elif map_ is not None:
                units = self._lines.setdefault(line, [])
                if any(other.unit == unit for other in units):
                    lift.note("unit", f"{unit} at {line.address} is another lift's already")
                units.append(_Unit(code, unit, map_))
        if not lifts:
            section.note("", "there is no lift to read: [lifts.CODE] names each")
        if len(self._lines) > BUSES_MOST:
            section.note("", f"{len(self._lines)} lines, at most {BUSES_MOST} accepted by one gateway")

    def batches(self, around: Surroundings) -> Iterator[Batch]:
        """Give a batch a line and poll: each lift that answered, with the values that could be read."""

        def poller(line: Line, units: list[_Unit]) -> Callable[[Inlet], None]:
            return lambda inlet: _Poller(line, units, around, inlet).run(self._every_s)

        return Inlet().gather({line.address: poller(line, units) for line, units in self._lines.items()}, around.stop)


def _line(section: Section, timeout_s: float, common: Line | None = None) -> Line | None:
    """Read where a device is; a lift's own place goes before the common one."""
    if "host" in section and "serial" in section:
        section.note("serial", "and host: a device is either on the network or on a serial port")
    framing = section.text("framing", common.framing if common else "tcp", choices=("tcp", "rtu"))
    baudrate = section.whole("baudrate", common.baudrate if common else 9600, low=300, high=1_000_000, unit="bit/s")
    parity = section.text("parity", common.parity if common else "N", choices=("N", "E", "O"))
    stopbits = section.whole("stopbits", common.stopbits if common else 1, low=1, high=2)
    host = section.text("host", "", pattern=r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?", meaning="HOST or HOST:PORT")
    serial = section.text("serial", "")
    if serial:
        return Line(
            serial, serial=True, baudrate=baudrate, parity=parity, stopbits=stopbits, timeout_s=timeout_s, framing="rtu"
        )
    if host:
        has_port = ":" in host.rpartition("]")[2]
        return Line(host if has_port else f"{host}:{PORT}", framing=framing, timeout_s=timeout_s)
    return common


def _map(section: Section, known: dict[Path, RegisterMap], *, required: bool) -> RegisterMap | None:
    """Read a register map once; its problems become the document's."""
    file = section.file("map") if required else section.file("map", "")
    if file is None or not file.is_file():
        return None
    if file not in known:
        known[file], document = read_map(file)
        section.document.problems.extend(document.problems)
    return known[file]


class _Poller:
    """Reads the units of one line in turn; one that is silent rests ever longer, so that the others are in time."""

    def __init__(self, line: Line, units: list[_Unit], around: Surroundings, inlet: Inlet) -> None:
        self._line = line
        self._units = units
        self._clock = around.clock
        self._troubles: Troubles = around.troubles
        self._inlet = inlet
        self._client = line.client()
        self._backoff = Backoff()

    def run(self, every_s: float) -> None:
        """Poll until told to leave."""
        due = time.monotonic()
        try:
            while not self._inlet.leave.wait(max(0.0, due - time.monotonic())):
                due = max(due + every_s, time.monotonic())
                try:
                    self._inlet.put(self._poll(self._inlet.leave))
                except _Broken as error:
                    self._close()
                    self._troubles.note(self._line.address, str(error))
                    due = time.monotonic() + self._backoff.failed()
        finally:
            self._close()

    def _poll(self, leave: threading.Event) -> Batch:
        """Read every unit that is not resting; raises _Broken when the line is gone."""
        if not self._client.connect():
            raise _Broken("cannot be reached")
        rows = []
        asked = answered = 0
        for unit in self._units:
            if leave.is_set():
                break
            if time.monotonic() < unit.resting_until:
                continue
            asked += 1
            about = f"{unit.code}: unit {unit.unit} at {self._line.address}"
            try:
                row = self._read(unit)
            except _Silent as error:
                self._troubles.note(about, str(error))
                unit.resting_until = time.monotonic() + unit.backoff.failed()
                continue
            answered += 1
            unit.backoff.worked()
            self._troubles.clear(about)
            if row:
                rows.append({"lift": unit.code, "at": self._clock.now(), **row})
        if asked and not answered and not self._line.serial:
            # A connection that is dead without saying so looks like this.
            self._close()
        elif answered:
            self._backoff.worked()
            self._troubles.clear(self._line.address)
        return from_rows(rows)

    def _read(self, unit: _Unit) -> dict[str, Any]:
        """Read one unit's registers: its signals, and its codes as far as they are known."""
        now = time.monotonic()
        raw: dict[Register, float] = {}
        refused: dict[Register, str] = {}
        waiting = list(unit.blocks)
        while waiting:
            block = waiting.pop(0)
            single = block.registers[0] if len(block.registers) == 1 else None
            if single is not None and unit.dead.get(single, 0.0) > now:
                continue
            try:
                words = self._request(unit.unit, block)
            except _Refused as error:
                if single is None:
                    waiting = unit.split(block) + waiting
                else:
                    refused[single] = str(error)
                continue
            for register in block.registers:
                at = register.address - block.start
                raw[register] = register.raw(words[at : at + register.width])
            if single is not None and unit.dead.pop(single, None) is not None and not unit.dead:
                # All there again: back to few requests.
                unit.blocks = unit.map.blocks()
        if not raw:
            unit.blocks = unit.map.blocks()
            unit.dead.clear()
            raise _Silent(f"gives no register at all: {next(iter(refused.values()), 'all are refused')}")
        for register, reason in refused.items():
            unit.dead[register] = now + DEAD_AGAIN_S
            self._troubles.note(_about(unit, register), reason)
        return self._told(unit, raw)

    def _told(self, unit: _Unit, raw: Mapping[Register, float]) -> dict[str, Any]:
        """Turn registers into values; each that makes no sense is named and left out."""
        row: dict[str, Any] = {}
        codes: set[int] = set()
        coded = unknown = False
        for register in unit.map.registers:
            if register.signal is None:
                coded = True
                unknown |= register not in raw
            if register not in raw:
                continue
            if register.signal is None:
                found, reason = register.codes(raw[register])
                codes |= found
                unknown |= bool(reason)
            else:
                value, reason = register.value(raw[register])
                if not math.isnan(value):
                    row[register.name] = value
            self._troubles.judge(_about(unit, register), reason)
        # A fault that is known is worth telling; that there is none, only when every register was read.
        if coded and (codes or not unknown):
            row["message_codes"] = sorted(codes)
        return row

    def _close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def _request(self, unit: int, block: Block) -> list[int]:
        """Send one request; raises _Refused for what the unit does not read, _Silent and _Broken."""
        read = {
            "holding": self._client.read_holding_registers,
            "input": self._client.read_input_registers,
            "coil": self._client.read_coils,
            "discrete": self._client.read_discrete_inputs,
        }[block.kind]
        try:
            answer = read(block.start, count=block.count, device_id=unit)
        except (ConnectionException, OSError) as error:
            raise _Broken("the connection is lost") from error
        except (ModbusException, struct.error, IndexError, ValueError) as error:
            if not self._client.connected:
                raise _Broken("the connection is lost") from error
            raise _Silent(f"does not answer within {self._line.timeout_s:g} s") from error
        if answer.isError():
            reason = _EXCEPTIONS.get(
                answer.exception_code, f"the device answers with exception {answer.exception_code}"
            )
            if answer.exception_code in _UNIT_IS_SILENT or answer.exception_code in _UNIT_IS_BUSY:
                raise _Silent(reason)
            raise _Refused(reason)
        words = [int(bit) for bit in answer.bits] if block.kind in BIT_KINDS else list(answer.registers)
        if len(words) < block.count:
            raise _Refused(f"{len(words)} values came where {block.count} were asked for")
        return words


def _about(unit: _Unit, register: Register) -> str:
    return f"{unit.code}: {register.kind} {register.address} ({register.name})"
