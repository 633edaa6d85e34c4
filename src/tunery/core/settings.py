"""The server's own settings: each with a default, help and an environment variable `TUNERY_<NAME>`."""

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from tunery.core.errors import Problem, Where
from tunery.core.reach import Allowance

KEY = re.compile(r"[A-Za-z0-9+/]{43}=")
"""32 bytes in base64."""


class ServerSettings(BaseSettings):
    """What an administrator can set. Precedence: command line, environment, default."""

    model_config = SettingsConfigDict(env_prefix="TUNERY_", extra="ignore")

    data: Path = Field(
        default=Path("~/.tunery"), description="The data folder: database, blobs, runs, models."
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on; loopback by default.")
    port: int = Field(default=8420, ge=0, le=65535, description="The port to listen on.")
    allowed_hosts: list[str] = Field(
        default=[],
        description="Host names that requests may use besides loopback names (protection against DNS rebinding).",
    )
    database_url: str = Field(
        default="",
        description="The database, as in postgresql://user:password@host/name; empty = SQLite inside the data folder.",
    )
    database_wait_seconds: float = Field(
        default=45.0,
        gt=0,
        description="How long a change waits for another program that has locked the database. What still can't "
        "write then is answered with an error; runs go on, and are recorded when the lock is gone.",
    )
    private_hosts: list[str] = Field(
        default=[],
        description="Hosts without a public address that connections may reach: HOST, HOST:PORT, an address, or a "
        "network such as 10.0.0.0/8. Everything else that is loopback, private or link-local is refused.",
    )
    outbound_seconds: float = Field(
        default=20.0, gt=0, description="How long to wait for a connection's service to answer."
    )
    secret_key: str = Field(
        default="",
        repr=False,
        description="The key that encrypts the secrets of connections, 32 random bytes in base64 "
        "(`openssl rand -base64 32`); empty = the file vault.key of the data folder, made at the first start.",
    )
    max_upload_bytes: int = Field(
        default=20 * 2**30, gt=0, description="The largest upload accepted, in bytes."
    )
    upload_keep_hours: float = Field(
        default=168.0,
        gt=0,
        description="How long an unfinished upload is kept, and how long the file of an import that left "
        "rows out is kept for another import.",
    )
    minimum_rows: int = Field(default=100, ge=1, description="The fewest rows a run may train on.")
    general_corpus: str = Field(
        default="",
        description="The dataset mixed into runs that ask for a general corpus: its name in the run's project, "
        "or its id; perhaps with @VERSION. Empty = the small one that ships with Tunery.",
    )
    preset_data: str = Field(
        default="",
        description="A folder of ready-made datasets that every project is offered: presets.yaml with the files it "
        "lists. Empty = only those that ship with Tunery.",
    )
    currency: str = Field(default="", max_length=8, description="What prices are in, as in EUR.")
    price_per_hour: Decimal | None = Field(
        default=None,
        ge=0,
        description="Price of an hour of training on this server's machine, GPU or CPU, validation included; billed in "
        "steps of 0.01 hours, rounded up. Without a price no cost is shown.",
    )
    price_per_million_tokens: Decimal | None = Field(
        default=None, ge=0, description="Price of a million tokens trained on or validated on."
    )
    idle_price_per_hour: Decimal | None = Field(
        default=None, ge=0, description="The price of an hour for idle-time runs; empty = as for others."
    )
    idle_price_per_million_tokens: Decimal | None = Field(
        default=None,
        ge=0,
        description="The price of a million tokens for idle-time runs; empty = as for others.",
    )
    continue_days: float = Field(
        default=31.0,
        ge=0,
        description="Models saved longer ago than this aren't trained on by `continue_from`, as their weights may be "
        "gone; 0 = however old.",
    )
    keep_checkpoints_days: float = Field(
        default=31.0,
        ge=0,
        description="How many days after a run's end its checkpoints are kept; 0 = for ever. Its final model stays, "
        "published models too, and the newest checkpoint of a run that left no model.",
    )
    keep_logs_days: float = Field(
        default=90.0, ge=0, description="How many days after a run's end its logs are kept; 0 = for ever."
    )
    keep_events_days: float = Field(
        default=0.0,
        ge=0,
        description="How many days after a run's end its events are kept; 0 = for ever. Curves and results stay.",
    )
    heartbeat_seconds: float = Field(default=3.0, gt=0, description="How often a worker renews its lease.")
    lease_seconds: float = Field(
        default=12.0, gt=0, description="How long a worker's claim holds without renewal."
    )
    engine_slots: int = Field(
        default=1, ge=1, le=64, description="How many engines a worker runs at once; they share its cores."
    )
    project_slots: int = Field(
        default=0,
        ge=0,
        description="How many engines one project may have at once, over all workers; 0 = any number.",
    )
    max_fruitless_attempts: int = Field(
        default=3, ge=1, description="A run fails after this many attempts in a row without progress."
    )
    engine_command: list[str] = Field(
        default=[],
        description="The command that runs the engine on an attempt folder, for an engine in an environment of "
        "its own; empty = this Python with `-m tunery.engine`.",
    )
    engine_threads: int = Field(
        default=0,
        ge=0,
        description="Threads of one engine; 0 = as many as there are cores, divided among the engine slots.",
    )
    standby_engines: int = Field(
        default=1,
        ge=0,
        description="How many engines wait with everything imported while a slot is free, so that a run begins some "
        "seconds earlier; each holds about 400 MB. 0 = none. Where less than 2 GiB are free none is started.",
    )
    token_cache_bytes: int = Field(
        default=8 * 2**30,
        ge=0,
        description="How much disk the tokens of earlier runs may take, which later runs on the same rows begin with; "
        "those used longest ago go first. 0 = none are kept.",
    )
    replica_idle_seconds: float = Field(
        default=900.0, gt=0, description="A serving replica is stopped after this long without requests."
    )
    replica_dtype: Literal["auto", "bfloat16", "float32"] = Field(
        default="auto",
        description=(
            "Number format that serving replicas compute in; auto = as in evaluations: float32 for models up to a "
            "billion parameters, so that an answer at temperature 0 doesn't depend on concurrent requests; above, "
            "bfloat16 if the processor supports it."
        ),
    )
    max_replicas: int = Field(default=2, ge=1, description="How many serving replicas may run at once.")

    def __init__(self, **given: Any) -> None:
        """Raises Problem `server_setting_invalid`."""
        try:
            super().__init__(**given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise _invalid(str(first["loc"][0]), first["msg"]) from error
        except SettingsError as error:
            found = next((name for name in type(self).model_fields if f'"{name}"' in str(error)), "")
            raise _invalid(found, 'It must be a JSON list of strings, as in ["a", "b"]') from error

    @field_validator("private_hosts")
    @classmethod
    def _hosts(cls, value: list[str]) -> list[str]:
        for text in value:
            Allowance.parse(text)
        return value

    @field_validator("secret_key")
    @classmethod
    def _key(cls, value: str) -> str:
        if value and not KEY.fullmatch(value):
            raise ValueError("it must be 32 random bytes in base64")
        return value

    @property
    def allowances(self) -> list[Allowance]:
        """`private_hosts`, read."""
        return [Allowance.parse(text) for text in self.private_hosts]

    @property
    def threads(self) -> int:
        """Threads of an engine whose run doesn't say; 0 = as many as there are cores."""
        if self.engine_threads or self.engine_slots == 1:
            return self.engine_threads
        return max(1, len(os.sched_getaffinity(0)) // self.engine_slots)

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return self.data.expanduser().resolve()

    @property
    def url(self) -> str:
        """The database to use."""
        return self.database_url or f"sqlite:///{self.folder / 'tunery.db'}"


def _invalid(name: str, detail: str) -> Problem:
    return Problem(
        "server_setting_invalid", where=Where(setting=name), name=f"TUNERY_{name.upper()}", detail=detail
    )
