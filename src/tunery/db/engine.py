"""Opening the database: the right driver, the right transactions, the right schema.

SQLite and PostgreSQL behave alike: one transaction writes at a time, the others wait, and one that reads sees the
state at its beginning. SQLite: WAL mode, and BEGIN IMMEDIATE where a transaction may write, because
one that begins deferred and writes later fails at once when another wrote in between. PostgreSQL: one advisory lock
for all writers (decision 0011), and a read-only snapshot for readers. Use `reading` and `writing`, never a bare
connection.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError

from tunery.core.clock import now_us, stamp
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.db.faults import database_problem, is_damage

_MIGRATIONS = Path(__file__).parent / "migrations"
_SAFE_SQLITE = (3, 51, 3)
"""Releases before this one can corrupt a WAL database when it is reset (fixed in 3.51.3)."""
_WRITERS_LOCK = 0x74756E65
"""The advisory lock of PostgreSQL's writers; any number that no one else uses in the same database."""
_POOL: dict[str, Any] = {"pool_size": 8, "max_overflow": 64, "hide_parameters": True}
"""Logs show statements, never the values of people's rows and settings."""


def open_database(settings: ServerSettings) -> Engine:
    """Connect and bring the schema up to date.

    Raises Problem `data_folder_newer` when a later Tunery wrote it, `data_folder_unusable` when it can't be opened,
    `database_damaged`, `disk_full`, `disk_unwritable`, `server_setting_invalid`.
    """
    try:
        engine = connect(settings.url, settings.database_wait_seconds)
    except ArgumentError as error:  # says nothing of the URL itself, which may hold a password
        detail = "It isn't the URL of a database that SQLAlchemy knows"
        raise Problem("server_setting_invalid", name="TUNERY_DATABASE_URL", detail=detail) from error
    try:
        with usable(settings.folder):
            migrate(engine, settings.folder)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def usable(folder: Path) -> Iterator[None]:
    """What the database refuses in here is a Problem."""
    try:
        yield
    except DBAPIError as error:
        detail = f"its database says “{error.orig}”"
        problem = database_problem(error, folder)
        if problem is None or problem.code == "database_unusable":
            problem = Problem("data_folder_unusable", path=str(folder), detail=detail)
        raise problem from error


def check_database(engine: Engine, folder: Path) -> None:
    """Read all of an SQLite database once. Raises Problem `database_damaged`."""
    if engine.dialect.name == "sqlite":
        with usable(folder), reading(engine) as connection:
            (said,) = connection.exec_driver_sql("PRAGMA quick_check(1)").one()
        if said != "ok":
            raise Problem("database_damaged", path=str(folder), detail=said.replace("\n", " "))


def connect(url: str, wait_seconds: float = 5) -> Engine:
    """An engine for `url`, without touching the schema. Raises ArgumentError or Problem `server_setting_invalid`.

    `wait_seconds`: so long a transaction waits for the one that writes.
    """
    if url.startswith("postgres://"):  # what hosting services hand out
        url = url.replace("postgres://", "postgresql://", 1)
    kind = make_url(url).get_backend_name()
    if kind == "postgresql":
        return _connect_postgresql(url, wait_seconds)
    if kind != "sqlite":
        detail = f"Tunery keeps its tables in SQLite or PostgreSQL, not in {kind}"
        raise Problem("server_setting_invalid", name="TUNERY_DATABASE_URL", detail=detail)
    engine = create_engine(
        url,
        module=_sqlite_driver(),
        connect_args={"timeout": wait_seconds, "check_same_thread": False},
        **_POOL,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "handle_error", _damage_is_operational)
    event.listen(engine, "handle_error", _opened_unwritable)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads."""
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine, *, durable: bool = True) -> Iterator[Connection]:
    """A transaction that may write; commits at the end, rolls back on an exception.

    Not `durable`: the commit doesn't wait for the disk. A power cut, or PostgreSQL's crash, may undo it, with all that
    was written after it and nothing that was written before; the next durable commit takes it along. For what is only
    repeated then.
    """
    with engine.connect() as connection:
        connection.execution_options(tunery_writes="durable" if durable else "relaxed")
        with connection.begin():
            yield connection


def versions(connection: Connection) -> tuple[str | None, str | None]:
    """The schema's version in the database, and this Tunery's."""
    scripts = ScriptDirectory.from_config(_config())
    return MigrationContext.configure(connection).get_current_revision(), scripts.get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config


def migrate(engine: Engine, folder: Path, *, to: str = "head") -> None:
    """Bring the schema to this version's, or an earlier one; an existing SQLite file is copied to backups/ first.

    Raises Problem `data_folder_newer` when the schema, or the one asked for, isn't known.
    """
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found == scripts.get_current_head():
        return
    for revision in (found, None if to == "head" else to):
        if revision is not None and revision not in known:
            raise Problem("data_folder_newer", path=str(folder), found=revision)
    if found is not None and engine.dialect.name == "sqlite":
        backup(engine, folder / "backups" / f"{found}-{stamp(now_us())}.db")
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def backup(engine: Engine, target: Path) -> None:
    """Copy a live SQLite database to `target`, whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("VACUUM INTO ?", (str(target),))
        connection.exec_driver_sql("BEGIN")


def _sqlite_driver() -> ModuleType:
    if sqlite3.sqlite_version_info >= _SAFE_SQLITE:
        return sqlite3
    try:
        import pysqlite3
    except ImportError:
        return sqlite3
    return pysqlite3


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("tunery_writes")
    if writes and connection.info.get("tunery_writes", "durable") != writes:  # can't be said in a transaction
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if writes == 'durable' else 'NORMAL'}")
        connection.info["tunery_writes"] = writes
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _damage_is_operational(context: ExceptionContext) -> BaseException | None:
    """Like a full disk, and unlike a wrong statement: what works in the background waits until it is seen to."""
    error = context.sqlalchemy_exception
    if type(error) is DatabaseError and is_damage(context.original_exception):
        return OperationalError(error.statement, error.params, context.original_exception)
    return None


def _opened_unwritable(context: ExceptionContext) -> None:
    """What was opened while its files couldn't be written stays so, and makes so what is opened beside it: all end."""
    if "readonly database" in str(context.original_exception) and context.engine is not None:
        context.is_disconnect = True
        context.engine.dispose()


def _connect_postgresql(url: str, wait_seconds: float) -> Engine:
    try:
        import psycopg  # noqa: F401 - only whether it is there
    except ImportError as error:
        detail = "PostgreSQL needs one more package: pip install 'tunery[postgres]'"
        raise Problem("server_setting_invalid", name="TUNERY_DATABASE_URL", detail=detail) from error
    options = f"-c lock_timeout={wait_seconds * 1000:.0f} -c timezone=UTC"
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={"options": options},
        **_POOL,
    )
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _begin_postgresql(connection: Connection) -> None:
    writes = connection.get_execution_options().get("tunery_writes")
    if writes:
        relaxed = ", set_config('synchronous_commit', 'off', true)" if writes == "relaxed" else ""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK}){relaxed}")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
