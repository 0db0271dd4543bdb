"""Settings: read once from `LIFTWATCH_*` variables, checked, frozen, and complete without any of them."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lift.errors import Invalid

Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[int, Field(ge=1, le=86_400)]

PREFIX = "LIFTWATCH_"
RECORDS_SCHEMES = ("sqlite", "postgresql+psycopg")
TELEMETRY_SCHEMES = ("memory", "duckdb", "influxdb", "influxdbs")
MQTT_SCHEMES = ("mqtt", "mqtts")


class Settings(BaseSettings):
    """Everything that can be set. Field descriptions are the documentation (`liftwatch settings`)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    data_dir: Path = Field(Path("var"), description="Folder for everything kept on this machine")
    records_url: str = Field(
        "", description="Tickets, alarms, register: sqlite:///… or postgresql+psycopg://…; empty: a file in data_dir"
    )
    telemetry_url: str = Field(
        "",
        description="Readings: duckdb:PATH, memory: or influxdb://host:8086/bucket?org=…&token=…; empty: in data_dir",
    )
    mqtt_url: str = Field("", description="Broker, mqtt://host:1883 or mqtts://…; empty: the embedded one")
    mqtt_username: str = Field("", description="Our name at the broker; empty: none, and a gateway uses its own name")
    mqtt_password: SecretStr = Field(SecretStr(""), description="Our password at the broker")
    mqtt_ca: str = Field("", description="File with the authority that signed the broker's certificate, for mqtts://")
    mqtt_cert: str = Field("", description="File with our client certificate, for a broker that asks for one")
    mqtt_key: str = Field("", description="File with the key of that certificate")
    gateway_readings_per_lift_s: Annotated[float, Field(gt=0, le=1000)] = Field(
        10, description="Readings that a gateway may send a second for each of its lifts; live ones are 1"
    )
    gateway_readings_per_lift_at_once: Annotated[float, Field(ge=1, le=1e6)] = Field(
        3600, description="And how many at once for each lift, after a time without a line: an hour of one a second"
    )
    mqtt_host: str = Field("127.0.0.1", description="Address that the embedded broker listens on")
    mqtt_port: Port = Field(1883, description="Port that the embedded broker listens on")
    http_host: str = Field("127.0.0.1", description="Address that the HTTP API listens on")
    http_port: Port = Field(9633, description="Port that the HTTP API listens on")
    simulated_lifts: Annotated[int, Field(ge=1, le=500_000)] = Field(300, description="Size of the simulated city")
    simulation_seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(96_333, description="Seed of the simulated city")
    scenario: str = Field("demo", description="What happens in the simulated city; `life` for life's own rates")
    fault_rate: Annotated[float, Field(ge=0, le=1e6)] = Field(1, description="Factor on all faults of the scenario")
    hotline: Annotated[str, Field(pattern=r"^\d{3,12}$")] = Field("96333", description="The city's hotline number")
    rescue_code_digits: Annotated[int, Field(ge=4, le=10)] = Field(6, description="Digits of the plate in the car")
    utc_offset_hours: Annotated[float, Field(ge=-12, le=14)] = Field(8, description="City time, for ticket numbers")
    answer_within_s: Seconds = Field(15, description="Clock: a call is answered")
    order_within_s: Seconds = Field(60, description="Clock: the first order goes out")
    accept_within_s: Seconds = Field(180, description="Clock: a called party accepts, else the next level is called")
    all_levels_within_s: Seconds = Field(300, description="Clock: all three levels have been called")
    arrive_within_s: Seconds = Field(1800, description="Clock: a crew is at the lift, city core")
    arrive_outside_core_within_s: Seconds = Field(3600, description="Clock: a crew is at the lift, elsewhere")
    legal_accident_s: Seconds = Field(7200, description="Clock: an entrapment becomes a legal accident")
    keep_raw_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        30, description="Readings are kept so many days, those around alarms always"
    )
    keep_long_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        1460, description="Minutes (means, extremes, counts) and trips are kept so many days: 4 years, TSG T5002"
    )
    keep_feed_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        90, description="Lines of the event stream are kept so many days"
    )
    keep_sent_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        400, description="Notifications that left and quarantined messages that were replayed are kept so many days"
    )
    operators: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="People who share the alarm desk, for its figures; 0: the dispatchers signed in"
    )
    mass_event_levels: Annotated[int, Field(ge=1, le=9)] = Field(
        2, description="Response levels called together for rescues in a mass event; 1: one by one as ever"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much goes into the log")

    @field_validator("records_url")
    @classmethod
    def _known_records(cls, url: str) -> str:
        return _scheme(url, RECORDS_SCHEMES)

    @field_validator("telemetry_url")
    @classmethod
    def _known_telemetry(cls, url: str) -> str:
        return _scheme(url, TELEMETRY_SCHEMES)

    @field_validator("mqtt_url")
    @classmethod
    def _known_broker(cls, url: str) -> str:
        return _scheme(url, MQTT_SCHEMES)

    @property
    def records(self) -> str:
        """Where records are kept."""
        return self.records_url or f"sqlite:///{self.data_dir / 'liftwatch.db'}"

    @property
    def telemetry(self) -> str:
        """Where readings are kept."""
        return self.telemetry_url or f"duckdb:{self.data_dir / 'telemetry'}"

    @property
    def broker(self) -> str:
        """Which broker everyone talks to."""
        return self.mqtt_url or f"mqtt://{self.mqtt_host}:{self.mqtt_port}"


def _scheme(url: str, accepted: tuple[str, ...]) -> str:
    if url and urlsplit(url).scheme not in accepted:
        message = f"unknown scheme {urlsplit(url).scheme!r}; accepted: {', '.join(accepted)}"
        raise ValueError(message)
    return url


def load(**overrides: object) -> Settings:
    """Read the settings; raises Invalid naming each bad variable, its value and what is accepted."""
    given = {name: value for name, value in overrides.items() if value is not None}
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise Invalid(
                name, f"is not a setting{f'; did you mean {near[0]}?' if near else ''} See `liftwatch settings`"
            )
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        problems = [_problem(dict(detail)) for detail in error.errors()]
        first, *rest = problems
        raise Invalid(first[0], "; ".join([first[1], *(f"{name}: {reason}" for name, reason in rest)])) from error


def _problem(detail: dict[str, object]) -> tuple[str, str]:
    location = detail["loc"]
    assert isinstance(location, tuple)
    name = PREFIX + str(location[0]).upper().removeprefix(PREFIX)
    reason = str(detail["msg"]).removeprefix("Value error, ")
    return name, f"{detail['input']!r} is not accepted: {reason[:1].lower()}{reason[1:]}"
