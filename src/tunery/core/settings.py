"""The server's own settings: each with a default, help and an environment variable `TUNERY_<NAME>`."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from tunery.core.errors import Problem, Where


class ServerSettings(BaseSettings):
    """What an administrator can set. Precedence: command line, environment, default."""

    model_config = SettingsConfigDict(env_prefix="TUNERY_", extra="ignore")

    data: Path = Field(
        default=Path("~/.tunery"), description="The data folder: database, blobs, runs, models."
    )
    host: str = Field(
        default="127.0.0.1", description="The address to listen on; loopback unless you say otherwise."
    )
    port: int = Field(default=8420, ge=0, le=65535, description="The port to listen on.")
    allowed_hosts: list[str] = Field(
        default=[],
        description="Host names a request may carry besides loopback ones (defence against DNS rebinding).",
    )
    database_url: str = Field(
        default="", description="SQLAlchemy URL of the database; empty = SQLite inside the data folder."
    )
    max_upload_bytes: int = Field(default=20 * 2**30, gt=0, description="The largest upload taken, in bytes.")
    minimum_rows: int = Field(default=100, ge=1, description="The fewest rows a run may train on.")
    heartbeat_seconds: float = Field(default=3.0, gt=0, description="How often a worker renews its lease.")
    lease_seconds: float = Field(
        default=12.0, gt=0, description="How long a worker's claim holds without renewal."
    )
    max_fruitless_attempts: int = Field(
        default=3, ge=1, description="A run fails after so many attempts in a row that gained no step."
    )
    engine_command: list[str] = Field(
        default=[],
        description="The command that runs the engine on an attempt folder, for an engine in an environment of "
        "its own; empty = this Python with `-m tunery.engine`.",
    )
    engine_threads: int = Field(
        default=0, ge=0, description="Threads of one engine; 0 = as many as there are cores."
    )
    replica_idle_seconds: float = Field(
        default=900.0, gt=0, description="A serving replica without requests for so long is stopped."
    )
    replica_dtype: Literal["auto", "bfloat16", "float32"] = Field(
        default="auto",
        description=(
            "Numbers that serving replicas compute in; auto = as in evaluations: float32 for models up to a billion "
            "parameters, so that an answer at temperature 0 doesn't depend on what else is answered at the same "
            "time; above, bfloat16 where the processor has it."
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
            raise _invalid(found, 'It must be a JSON list of texts, as in ["a", "b"]') from error

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
