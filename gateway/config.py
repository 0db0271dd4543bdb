"""The gateway's file: one TOML document says who it is, which lifts it watches, how, and where readings go.

Everything is checked before anything starts, and every problem is told at once with its line. The file holds no
secret: a password comes from a file of its own or from the environment.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import parse_qsl, urlsplit

from gateway import drivers
from gateway.document import Document, Problem, Section, show
from gateway.driver import Driver
from lift.topics import GATEWAY_NAME

SCHEMES: Final = ("mqtt", "mqtts")
ENCODINGS: Final = ("arrow", "json")
_MIB: Final = 1024 * 1024
_DAY_US: Final = 24 * 3600 * 1_000_000
_PASSWORD_CHARACTERS_MAX: Final = 1_000
# The same bounds as the request `report_interval` has.
_INTERVAL_S: Final = 20.0
_INTERVAL_S_MIN: Final = 10.0
_INTERVAL_S_MAX: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """The MQTT broker, and how to be let in. An empty text stands for what is not needed."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """Where messages wait for their receipts, and how many at most."""

    file: Path
    bytes_max: int
    age_max_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A gateway's file, checked. `lifts` are the rescue codes of its section; `driver` is ready to be started.

    `report_interval_s` is how often a lift that stands idle reports; moving or occupied ones report every second.
    """

    name: str
    lifts: tuple[str, ...]
    driver_name: str
    driver: Driver
    broker: Broker
    spool: SpoolLimits
    report_interval_s: float
    encoding: Literal["arrow", "json"]


def read(file: Path, environment: Mapping[str, str]) -> tuple[Config | None, list[Problem]]:
    """Read a gateway's file; gives either a configuration, or every problem in the order of lines.

    Files it names are looked for beside it. Nothing is opened but files: no device, no broker.
    """
    document = Document(file)
    if document.problems:
        return None, document.problems
    root = document.root
    name = root.text("name", pattern=GATEWAY_NAME.pattern, meaning="1 to 64 letters, digits, - or _")
    encoding = root.text("encoding", "arrow", choices=ENCODINGS)
    sections = dict(root.section("lifts").each())
    for code, section in sections.items():
        if not code.strip() or len(code) > 64:  # noqa: PLR2004 - the longest that a registration code may be
            section.note("", "is not a lift's code: 1 to 64 characters")
    driver_name = root.text("driver", choices=drivers.names())
    driver = _driver(root, driver_name, sections)
    broker = _broker(root.section("broker", required=True), name, environment)
    spool = _spool(root.section("spool"), name)
    report = root.section("report")
    interval_s = report.number("interval_s", _INTERVAL_S, low=_INTERVAL_S_MIN, high=_INTERVAL_S_MAX, unit="s")
    for section in (report, root, *sections.values()):
        section.finish()
    if document.problems or driver is None:
        return None, sorted(document.problems, key=lambda problem: (problem.file != str(file), problem.line))
    return (
        Config(
            name=name,
            lifts=tuple(sections),
            driver_name=driver_name,
            driver=driver,
            broker=broker,
            spool=spool,
            report_interval_s=interval_s,
            encoding=cast("Literal['arrow', 'json']", encoding),
        ),
        [],
    )


def _driver(root: Section, name: str, lifts: Mapping[str, Section]) -> Driver | None:
    """Let the driver read its own section and those of the lifts."""
    if name not in drivers.names():
        # Nobody can say what the sections of an unknown driver should hold.
        root.accept([*drivers.names(), name])
        for section in lifts.values():
            section.accept(section.values)
        return None
    section = root.section(name)
    driver = drivers.load(name)(section, lifts)
    section.finish()
    for other in drivers.names():
        if other in root and other != name:
            root.section(other)
            root.note(other, f"is of another driver: this gateway's is {name}")
    return driver


def _broker(section: Section, gateway: str, environment: Mapping[str, str]) -> Broker:
    url = section.text("url")
    secure = _check_url(section, url) == "mqtts"
    password = _password(section, environment)
    username = section.text("username", gateway if password else "")
    if password and not username:
        section.note("username", "is empty, and a password is of no use without it")
    ca, cert, key = (section.file(what, "") for what in ("ca", "cert", "key"))
    if (cert is None) != (key is None):
        section.note("cert" if cert else "key", "stands alone: cert and key go together")
    for what, named in (("ca", ca), ("cert", cert)):
        if named and not secure:
            section.note(what, "needs TLS: url must begin with mqtts://")
    _check_certificates(section, ca, cert, key)
    section.finish()
    return Broker(
        url=url,
        username=username,
        password=password,
        ca=str(ca or ""),
        cert=str(cert or ""),
        key=str(key or ""),
    )


def _check_url(section: Section, url: str) -> str:
    """Note what is wrong with a broker's address; gives its scheme."""
    if "url" not in section:
        return ""
    parts = urlsplit(url)
    try:
        port_is_wrong = parts.port == 0
    except ValueError:
        port_is_wrong = True
    if parts.scheme not in SCHEMES or not parts.hostname or port_is_wrong or parts.path not in {"", "/"}:
        section.note("url", f"{show(url)} is not mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
    elif parts.username is not None or parts.password is not None:
        section.note("url", "holds a name or a password: username, and password_file or password_env, are for that")
    elif parse_qsl(parts.query, keep_blank_values=True) not in ([], [("version", "5")], [("version", "3.1.1")]):
        section.note("url", f"{show(url)}: after ? only version=5 or version=3.1.1 is accepted")
    return parts.scheme


def _password(section: Section, environment: Mapping[str, str]) -> str:
    if "password" in section:
        section.accept(["password"])
        section.note("password", "does not belong into this file: password_file or password_env says where it is")
    file, variable = section.file("password_file", ""), section.text("password_env", "")
    if file and variable:
        section.note("password_env", "and password_file: one of them says where the password is")
    if file and file.is_file():
        text = file.read_text("utf-8", errors="replace").strip()
        if not 0 < len(text) <= _PASSWORD_CHARACTERS_MAX or "\n" in text:
            section.note("password_file", f"{show(file.name)} does not hold a password on a single line")
            return ""
        return text
    if variable and not environment.get(variable):
        section.note("password_env", f"{variable} is not set in the environment")
    return environment.get(variable, "") if variable else ""


def _check_certificates(section: Section, ca: Path | None, cert: Path | None, key: Path | None) -> None:
    """Load them as TLS would, so that a wrong file shows now and not in the machine room at night."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca and ca.is_file():
        try:
            context.load_verify_locations(ca)
        except (ssl.SSLError, OSError) as error:
            section.note("ca", f"{show(ca.name)} holds no certificate: {error}")
    if cert and key and cert.is_file() and key.is_file():
        try:
            # A key that asks for a passphrase would wait for somebody to type it.
            context.load_cert_chain(cert, key, password=lambda: b"")
        except (ssl.SSLError, OSError) as error:
            section.note("cert", f"{show(cert.name)} and {show(key.name)} are no certificate and its key: {error}")


def _spool(section: Section, name: str) -> SpoolLimits:
    file = section.file("file", f"spool/{name}.db", readable=False)
    mib = section.whole("megabytes", 1024, low=1, high=1024 * 1024, unit="MiB")
    days = section.number("days", 7.0, low=0.01, high=365, unit="days")
    section.finish()
    return SpoolLimits(file=file or Path(), bytes_max=mib * _MIB, age_max_us=round(days * _DAY_US))
