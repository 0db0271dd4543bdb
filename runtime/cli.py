"""The command line. Each command is thin: it reads settings, calls one function and shows what came of it."""

from __future__ import annotations

import dataclasses
import json
import logging
import logging.handlers
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer

from lift.errors import Invalid, LiftError
from runtime import settings as settings_module
from runtime.clusters import clusters_command
from runtime.evaluate_wear_command import evaluate_wear_command
from runtime.progress import shown_progress
from runtime.score import score_app
from runtime.settings import PREFIX, Settings
from runtime.version import VERSION

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Watch a city's lifts and run its 96333 rescue desk.",
)
dashboards_app = typer.Typer(no_args_is_help=True, help="Grafana dashboards made from the signal catalogue.")
user_app = typer.Typer(no_args_is_help=True, help="People who may sign in.")
simulate_app = typer.Typer(help="Simulated lifts and the truth about them, in files.")
audit_app = typer.Typer(no_args_is_help=True, help="Check that nobody has rewritten a ticket's log.")
app.add_typer(dashboards_app, name="dashboards")
app.add_typer(user_app, name="user")
app.add_typer(audit_app, name="audit")
app.add_typer(simulate_app, name="simulate")
app.add_typer(score_app, name="score")
app.command("clusters")(clusters_command)
app.command("evaluate-wear")(evaluate_wear_command)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_LOG_BYTES_MAX: Final = 10 * 1024 * 1024
_LOG_FILES: Final = 3


def main() -> None:
    """Run the command line; a refusal is one clear line on standard error and exit status 2."""
    try:
        app()
    except LiftError as error:
        typer.echo(f"liftwatch: {error}", err=True)
        sys.exit(2)


@app.callback(invoke_without_command=True)
def _common(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(VERSION)
        raise typer.Exit


@app.command()
def run(
    lifts: Annotated[int | None, typer.Option(help="Size of the simulated city.")] = None,
    scenario: Annotated[str | None, typer.Option(help="What happens in it: demo, life, …")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for everything that is kept.")] = None,
) -> None:
    """Start everything in this process: broker, simulated city, ingest, alarms, dispatch and the API."""
    from runtime.app import Liftwatch, RoleName
    from runtime.demo import SimulatedCity, demo_city, enter, passwords_of, welcome
    from runtime.statusline import StatusLine

    settings = settings_module.load(simulated_lifts=lifts, scenario=scenario, data_dir=data_dir)
    _log_to(settings.data_dir / "liftwatch.log", settings)
    city = demo_city(settings)
    with _stop_signals() as stop:
        with Liftwatch(settings, RoleName, prepare=lambda records: enter(city, records, settings.data_dir)) as watch:
            simulated = SimulatedCity(settings, city)
            watch.also(simulated.stop, simulated.metrics)
            simulated.start()
            typer.echo(welcome(settings, passwords_of(settings.data_dir)))
            line = StatusLine()
            while not stop.wait(1.0):
                line.show(watch.status(), watch.clock.now())
            line.end()
            typer.echo("stopping …")
        typer.echo("stopped; nothing is lost: `liftwatch run` goes on from here.")


@app.command()
def serve(
    roles: Annotated[str, typer.Option(help="Comma list of: broker, ingest, dispatch, api, city (simulated).")],
) -> None:
    """Start some of the roles; the settings say where broker, stores and records are."""
    from runtime.app import Liftwatch, parse_roles

    settings = settings_module.load()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    chosen, with_city = parse_roles(roles)
    with _stop_signals() as stop:
        if not with_city:
            with Liftwatch(settings, chosen):
                stop.wait()
            return
        from runtime.demo import SimulatedCity, demo_city, enter

        city = demo_city(settings)
        with Liftwatch(settings, chosen, prepare=lambda records: enter(city, records, settings.data_dir)) as watch:
            simulated = SimulatedCity(settings, city)
            watch.also(simulated.stop, simulated.metrics)
            simulated.start()
            stop.wait()


@app.command()
def gateway(
    name: Annotated[str, typer.Argument(help="The name its lifts are registered behind; --config says it too.")] = "",
    config: Annotated[Path | None, typer.Option(help="The gateway's file; docs/gateway.md explains it.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Say what is wrong with the file, and start nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Be a gateway: carry readings to the broker, and lose none on the way.

    With --config it reads lifts through the driver that the file names; with a NAME it takes JSON lines from standard
    input. It only watches: nothing it does can write to a controller or move a lift.
    """
    from runtime import gateway_command

    if (config is None) == (not name):
        raise Invalid("NAME", "say either --config FILE, or a NAME to read standard input")
    if config is None and check:
        raise Invalid("--check", "looks at a file: say --config FILE")
    if config is not None and check:
        raise typer.Exit(gateway_command.check(config, as_json=as_json))
    with _stop_signals() as stop:
        if config is not None:
            gateway_command.carry_config(config, stop, as_json=as_json)
        else:
            gateway_command.carry_lines(name, stop, as_json=as_json)


@simulate_app.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    lifts: Annotated[int, typer.Option(help="Size of the city.")] = 1000,
    days: Annotated[float, typer.Option(help="How long, in days; 0.01 is a quarter of an hour.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    scenario: Annotated[str, typer.Option(help="What happens: life, demo, evening_peak, …")] = "life",
    fault_rate: Annotated[float, typer.Option(help="Factor on all faults.")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="New folder for telemetry, usage and truth.")] = None,
    mqtt: Annotated[str, typer.Option(help="Publish to this broker instead, through real gateways.")] = "",
    pace: Annotated[float, typer.Option(help="With --mqtt: simulated seconds a second; 0 as fast as it goes.")] = 1.0,
    workers: Annotated[int, typer.Option(help="Processes; the bytes do not depend on it.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Simulate a city: to Parquet files with its labelled truth, or to a broker."""
    if context.invoked_subcommand is not None:
        return
    from adapters.clock import SystemClock
    from simulator import run as simulator_run
    from simulator.year import local_midnight

    if (out is None) == (not mqtt):
        raise Invalid("--out", "say either --out FOLDER or --mqtt URL")
    now = SystemClock().now()
    plan = simulator_run.Plan(
        lifts=lifts,
        seed=seed,
        start=now if mqtt else local_midnight(now),
        seconds=max(1, round(days * simulator_run.DAY_S)),
        scenario=scenario,
        fault_rate=fault_rate,
    )
    if out is not None:
        with shown_progress("simulating") as progress:
            summary = simulator_run.simulate(out, plan, workers=workers, progress=progress)
        told = dataclasses.asdict(summary)
    else:
        from runtime.simulate import publish

        settings = settings_module.load(mqtt_url=mqtt)
        with _stop_signals() as stop, shown_progress("publishing") as progress:
            accepted, left = publish(settings, plan, pace=pace, stop=stop, progress=progress)
        told = {"readings": accepted, "without_receipt": left}
    typer.echo(json.dumps(told) if as_json else ", ".join(f"{name} {value:,}" for name, value in told.items()))


@simulate_app.command("year")
def simulate_year(
    out: Annotated[Path, typer.Argument(help="New folder.")],
    lifts: Annotated[int, typer.Option(help="Size of the city.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes; the bytes do not depend on it.")] = 1,
) -> None:
    """Simulate what a year brings at life's rates, second by second only where something happens."""
    from adapters.clock import SystemClock
    from simulator import year

    plan = year.YearPlan(lifts=lifts, seed=seed, start=year.local_midnight(SystemClock().now()))
    with shown_progress("a year") as progress:
        records = year.simulate_year(out, plan, workers=workers, progress=progress)
    typer.echo(f"{records:,} records of truth in {out}; `liftwatch simulate report {out}` compares them with life")


@simulate_app.command("report")
def simulate_report(
    folder: Annotated[Path, typer.Argument(help="A folder made by `liftwatch simulate year`.")], as_json: AsJson = False
) -> None:
    """Compare a simulated year with the published figures; writes report.html and report.json beside it."""
    from simulator.report import report

    with shown_progress("reading") as progress:
        result = report(folder, progress=progress)
    typer.echo((folder / "report.json").read_text() if as_json else result.text())


@app.command("evaluate")
def evaluate_rules(
    lifts: Annotated[int, typer.Option(help="Size of the simulated city.")] = 2_000,
    days: Annotated[float, typer.Option(help="How long, in days …")] = 0.0,
    hours: Annotated[float, typer.Option(help="… and in hours; six when neither is given.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 1,
    fault_rate: Annotated[float, typer.Option(help="Factor on everything that happens; 1 is life's rate.")] = 20.0,
    near_miss_rate: Annotated[
        float | None, typer.Option(help="Factor on near misses; --fault-rate if not given.")
    ] = None,
    line_rate: Annotated[float, typer.Option(help="Factor on the troubles of the line.")] = 1.0,
    scenario: Annotated[str, typer.Option(help="What happens: life, demo, evening_peak, …")] = "life",
    workers: Annotated[int, typer.Option(help="Processes; the figures do not depend on it.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Judge every rule against a simulated city's truth: found, missed, false, how late, and the worst cases."""
    from runtime.evaluate import evaluate, plan_of, text, to_json

    plan = plan_of(
        lifts=lifts,
        hours=(24.0 * days + hours) or 6.0,
        seed=seed,
        fault_rate=fault_rate,
        near_miss_rate=near_miss_rate,
        line_rate=line_rate,
        scenario=scenario,
    )
    with shown_progress("evaluating") as progress:
        score = evaluate(plan, workers=workers, progress=progress)
    typer.echo(json.dumps(to_json(score, plan), ensure_ascii=False, indent=1) if as_json else text(score, plan))


@app.command("settings")
def show_settings(
    as_json: AsJson = False,
    documents: Annotated[
        bool, typer.Option("--documents", help="Write docs/settings.md and .env.example instead.")
    ] = False,
) -> None:
    """List every setting: its variable, present value and meaning."""
    if documents:
        from runtime.settings_page import env_example, settings_markdown

        Path("docs/settings.md").write_text(settings_markdown())
        Path(".env.example").write_text(env_example())
        return
    current = settings_module.load()
    rows = [
        {
            "variable": PREFIX + name.upper(),
            "value": str(getattr(current, name) if getattr(current, name) is not None else ""),
            "meaning": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    width = max(len(row["variable"]) for row in rows)
    for row in rows:
        typer.echo(f"{row['variable']:{width}}  {row['value']}\n{'':{width}}  {row['meaning']}")


@app.command()
def openapi(out: Annotated[Path, typer.Option(help="Where to write it.")] = Path("docs/openapi.json")) -> None:
    """Write the API's OpenAPI document."""
    from runtime.documents import openapi_document

    out.write_text(json.dumps(openapi_document(), ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    typer.echo(f"wrote {out}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check settings, ports, stores and the broker, and say what is wrong and how to mend it."""
    from runtime.doctor import examine

    findings = examine(settings_module.load())
    if as_json:
        typer.echo(json.dumps([finding.__dict__ for finding in findings], ensure_ascii=False, indent=1))
    else:
        for finding in findings:
            typer.echo(f"{'ok   ' if finding.ok else 'WRONG'}  {finding.what}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Measure this machine: the same as `make bench`; see `liftwatch bench --help` for the cases."""
    raise typer.Exit(subprocess.call([sys.executable, "-m", "bench", *context.args]))  # noqa: S603 - our own module


@dashboards_app.command("build")
def dashboards_build(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("dashboards/generated"),
) -> None:
    """Write every dashboard as JSON."""
    from dashboards import build

    for path in build(out):
        typer.echo(f"wrote {path}")


@dashboards_app.command("push")
def dashboards_push(
    url: Annotated[str, typer.Argument(help="Grafana's address, like http://127.0.0.1:3000")],
    token: Annotated[str, typer.Option(envvar="GRAFANA_TOKEN", help="A service account's token.")] = "",
    user: Annotated[str, typer.Option(help="Or a user's name …")] = "",
    password: Annotated[str, typer.Option(envvar="GRAFANA_PASSWORD", help="… and password.")] = "",
    folder: Annotated[str, typer.Option(help="The folder in Grafana.")] = "Liftwatch 电梯监测",
    as_json: AsJson = False,
) -> None:
    """Create or update every dashboard in a Grafana."""
    from dashboards.grafana import push

    addresses = push(url, token=token, user=user, password=password, folder=folder)
    typer.echo(json.dumps(addresses) if as_json else "\n".join(addresses))


@user_app.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="What they sign in as.")],
    role: Annotated[str, typer.Option(help="dispatcher, firm, crew, inspector, admin or metrics.")],
    scope: Annotated[str, typer.Option(help="The firm's id for role firm, the crew's id for role crew.")] = "",
    display_name: Annotated[str, typer.Option(help="The name people see.")] = "",
) -> None:
    """Add someone who may sign in, or give them a new password; prints the password once."""
    from runtime.people import add_user

    password = add_user(settings_module.load(), name=name, role=role, scope=scope, display_name=display_name)
    typer.echo(f"{name} ({role}) may sign in with the password {password}")


@audit_app.command("verify")
def audit_verify(as_json: AsJson = False) -> None:
    """Recompute the hash chain of every ticket's log; exit status 1 if one does not fit."""
    from runtime.people import verify_all

    checked, broken = verify_all(settings_module.load())
    if as_json:
        typer.echo(json.dumps({"checked": checked, "broken": broken}, ensure_ascii=False))
    else:
        for ticket_id, reason in broken.items():
            typer.echo(f"BROKEN {ticket_id}: {reason}")
        typer.echo(f"{checked} tickets checked, {len(broken)} broken")
    if broken:
        raise typer.Exit(1)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into an event; a second one ends the process the hard way."""
    stop = threading.Event()

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_to(file: Path, settings: Settings) -> None:
    """Keep the log in a bounded file, so that the status line stays readable."""
    # A log that cannot be written, on a full disk, must not bury the line that says so under its own errors.
    logging.raiseExceptions = False
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        file, maxBytes=_LOG_BYTES_MAX, backupCount=_LOG_FILES, encoding="utf-8"
    )
    logging.basicConfig(
        level=settings.log_level, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Their own chatter about every connection says nothing to whoever runs a rescue desk.
    for chatty in ("amqtt", "transitions", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
