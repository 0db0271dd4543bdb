"""`liftwatch gateway`: be a gateway, of a checked file with a driver, or for JSON lines on standard input."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import typer

from lift.errors import Invalid


def check(file: Path, *, as_json: bool) -> int:
    """Print what is wrong with a gateway's file, or what it says; gives the exit status, 1 when anything is wrong."""
    from gateway.config import read

    config, problems = read(file, os.environ)
    if as_json:
        told: dict[str, Any] = {
            "ok": config is not None,
            "problems": [
                {"file": one.file, "line": one.line, "key": one.key, "reason": one.reason} for one in problems
            ],
        }
        if config is not None:
            told |= {"gateway": config.name, "driver": config.driver_name, "broker": config.broker.url}
            told |= {"lifts": list(config.lifts)}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
    elif config is not None:
        lifts = f"{len(config.lifts)} lift{'s' if len(config.lifts) != 1 else ''}"
        typer.echo(f"{file}: nothing is wrong: {config.name}, {lifts} by {config.driver_name}, to {config.broker.url}")
    else:
        for problem in problems:
            typer.echo(str(problem))
    return 1 if problems else 0


def carry_config(file: Path, stop: threading.Event, *, as_json: bool) -> None:
    """Be the gateway of a file until told to stop; raises Invalid with every problem of it."""
    from adapters.clock import SystemClock
    from gateway.config import read
    from gateway.document import refuse
    from gateway.driver import Surroundings
    from gateway.drivers.controller import Controller
    from runtime.simulated_lifts import SimulatedLifts
    from runtime.site import Site, carry

    config, problems = read(file, os.environ)
    refuse(problems)
    assert config is not None
    _log("INFO")
    clock = SystemClock()
    driver = config.driver
    around = Surroundings(
        clock,
        stop,
        lines=sys.stdin.buffer if config.driver_name == "jsonlines" else None,
        source=SimulatedLifts(config.lifts, clock.now(), seed=driver.seed, story=driver.scenario)
        if isinstance(driver, Controller)
        else None,
    )
    accepted, spooled = carry(Site.of_config(config, clock), driver, around)
    told = {"accepted": accepted, "without_receipt": spooled, "spool": str(config.spool.file)}
    _tell({**told, "troubles": around.troubles.present()}, f"--config {file}", as_json=as_json)


def carry_lines(name: str, stop: threading.Event, *, as_json: bool) -> None:
    """Be a gateway for the JSON lines on standard input until they end."""
    from adapters.clock import SystemClock
    from gateway.document import Document
    from gateway.driver import Surroundings
    from gateway.drivers.jsonlines import Jsonlines
    from lift.topics import GATEWAY_NAME
    from runtime import settings as settings_module
    from runtime.site import Site, carry

    settings = settings_module.load()
    _log(settings.log_level)
    if not GATEWAY_NAME.fullmatch(name):
        raise Invalid("NAME", f"{name!r} is not 1 to 64 letters, digits, - or _")
    file = settings.data_dir / "spool" / f"{name}.db"
    clock = SystemClock()
    around = Surroundings(clock, stop, lines=sys.stdin.buffer)
    site = Site.of_settings(name, settings, file, clock)
    accepted, spooled = carry(site, Jsonlines(Document.empty().root, {}), around)
    _tell({"accepted": accepted, "without_receipt": spooled, "spool": str(file)}, name, as_json=as_json)


def _tell(told: dict[str, Any], again: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    typer.echo(f"{told['accepted']} readings accepted, {told['without_receipt']} without a receipt yet")
    if told["without_receipt"]:
        typer.echo(f"they stay in {told['spool']}; `liftwatch gateway {again}` sends them again")


def _log(level: str) -> None:
    logging.basicConfig(level=level, format="%(levelname)s %(message)s")
    # They tell of every attempt that fails; drivers tell of each trouble once, in words about lifts.
    for chatty in ("pymodbus.logging", "bacpypes3"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
