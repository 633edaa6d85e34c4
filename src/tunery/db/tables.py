"""All tables. Every one but the installation's own carries a project; times are UTC microseconds.

Invariants that must hold whatever the code does are constraints here: a run has at most one open attempt,
a schedule of ids is unique per project, a version's number is unique within its dataset.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[str]:
    return Column("id", String(40), primary_key=True)


def _project() -> Column[str]:
    return Column("project_id", String(40), ForeignKey("project.id"), nullable=False)


def _created() -> Column[int]:
    return Column("created", BigInteger, nullable=False)


project = Table(
    "project", METADATA, _id(), Column("name", String(128), nullable=False, unique=True), _created()
)

token = Table(
    "token",
    METADATA,
    _id(),
    _project(),
    Column("name", String(128), nullable=False),
    Column(
        "digest",
        String(64),
        nullable=False,
        unique=True,
        comment="SHA-256 of the secret; the secret is not kept",
    ),
    Column("hint", String(16), nullable=False, comment="first characters, to tell tokens apart"),
    Column("scopes", JSON, nullable=False),
    Column("revoked", BigInteger),
    _created(),
)

setting = Table(
    "setting",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
    comment="facts of the installation",
)

dataset = Table(
    "dataset",
    METADATA,
    _id(),
    _project(),
    Column("name", String(128), nullable=False),
    Column("format", String(64), nullable=False),
    Column("deleted", BigInteger),
    _created(),
    Index(
        "uq_dataset_name",
        "project_id",
        "name",
        unique=True,
        sqlite_where=text("deleted IS NULL"),
        postgresql_where=text("deleted IS NULL"),
    ),
)

dataset_version = Table(
    "dataset_version",
    METADATA,
    _id(),
    _project(),
    Column("dataset_id", String(40), ForeignKey("dataset.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("format", String(64), nullable=False),
    Column("row_kind", String(16)),
    Column("content_hash", String(64)),
    Column("manifest", String(64), comment="blob of the manifest"),
    Column("quarantine", String(64), comment="blob of the bad rows"),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    Column("characters", BigInteger, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Column("report", JSON),
    Column("error", JSON),
    Column("task_id", String(40)),
    Column("published", BigInteger),
    _created(),
    UniqueConstraint("dataset_id", "version"),
)

base_model = Table(
    "base_model",
    METADATA,
    _id(),
    _project(),
    Column("name", String(128), nullable=False),
    Column("path", Text, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("family", String(64), nullable=False),
    Column("architecture", String(128), nullable=False),
    Column("parameters", BigInteger, nullable=False),
    Column("context", Integer),
    Column("licence", String(128)),
    _created(),
    UniqueConstraint("project_id", "name"),
)

job = Table(
    "job",
    METADATA,
    _id(),
    _project(),
    Column("name", String(128), nullable=False),
    Column("task", String(32), nullable=False),
    Column("description", String(500), nullable=False),
    _created(),
    UniqueConstraint("project_id", "name"),
)

run = Table(
    "run",
    METADATA,
    _id(),
    _project(),
    Column("job_id", String(40), ForeignKey("job.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("want", String(16), nullable=False, server_default="run"),
    Column("reason", JSON),
    Column("method", String(64), nullable=False),
    Column("base_model", String(256), nullable=False),
    Column("resolved", JSON, nullable=False),
    Column("inputs", JSON, nullable=False, comment="dataset version ids and model paths, fixed at submit"),
    Column("stages", JSON, nullable=False),
    Column("progress", JSON, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("result", JSON),
    Column("event_seq", BigInteger, nullable=False, server_default="0", comment="last event's number"),
    Column("model_version_id", String(40)),
    Column("evaluation_id", String(40)),
    Column("started", BigInteger),
    Column("ended", BigInteger),
    _created(),
    UniqueConstraint("job_id", "number"),
    Index("ix_run_listing", "project_id", "created"),
)

task = Table(
    "task",
    METADATA,
    _id(),
    _project(),
    Column("kind", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("payload", JSON, nullable=False),
    Column("run_id", String(40), ForeignKey("run.id")),
    Column("reason", JSON),
    Column("progress", JSON),
    Column("result", JSON),
    Column(
        "token", BigInteger, nullable=False, server_default="0", comment="fencing token, +1 at every claim"
    ),
    Column("worker_id", String(40)),
    Column("lease_until", BigInteger, comment="by the lease clock; see db.lease"),
    Column("lease_boot", String(40)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column(
        "fruitless",
        Integer,
        nullable=False,
        server_default="0",
        comment="attempts in a row that gained no step",
    ),
    Column("gained", Integer, nullable=False, server_default="0", comment="furthest step seen"),
    Column("not_before", BigInteger, comment="back-off after a failure"),
    Column("started", BigInteger),
    Column("ended", BigInteger),
    _created(),
    Index("ix_task_queue", "state", "priority", "created"),
    Index("ix_task_run", "run_id"),
)

attempt = Table(
    "attempt",
    METADATA,
    Column("task_id", String(40), ForeignKey("task.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("project_id", String(40), ForeignKey("project.id"), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("folder", Text, nullable=False),
    Column("event_offset", BigInteger, nullable=False, server_default="0"),
    Column("started", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("outcome", String(16)),
    Index(
        "uq_attempt_open",
        "task_id",
        unique=True,
        sqlite_where=text("ended IS NULL"),
        postgresql_where=text("ended IS NULL"),
    ),
)

worker = Table(
    "worker",
    METADATA,
    _id(),
    Column("boot", String(40), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    comment="belongs to the installation, not to a project",
)

checkpoint = Table(
    "checkpoint",
    METADATA,
    _id(),
    _project(),
    Column("run_id", String(40), ForeignKey("run.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("folder", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    _created(),
    UniqueConstraint("run_id", "attempt", "step"),
)

event = Table(
    "event",
    METADATA,
    Column("run_id", String(40), ForeignKey("run.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, comment="counts over all attempts of the run"),
    Column("project_id", String(40), ForeignKey("project.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("type", String(32), nullable=False),
    Column("body", JSON, nullable=False),
    comment="all events but metrics",
)

metric_chunk = Table(
    "metric_chunk",
    METADATA,
    Column("run_id", String(40), ForeignKey("run.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("first_step", Integer, primary_key=True),
    Column("project_id", String(40), ForeignKey("project.id"), nullable=False),
    Column("last_step", Integer, nullable=False),
    Column("last_seq", BigInteger, nullable=False, comment="event number of the newest point"),
    Column("length", Integer, nullable=False),
    Column(
        "points",
        LargeBinary,
        nullable=False,
        comment="length x (int64 step, time, seq; float64 value), little-endian",
    ),
)

model = Table(
    "model",
    METADATA,
    _id(),
    _project(),
    Column("name", String(128), nullable=False),
    Column(
        "latest", Integer, nullable=False, server_default="0", comment="pointer; moves by compare-and-swap"
    ),
    _created(),
    UniqueConstraint("project_id", "name"),
)

model_version = Table(
    "model_version",
    METADATA,
    _id(),
    _project(),
    Column("model_id", String(40), ForeignKey("model.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("base_model", String(256), nullable=False),
    Column("base_path", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("run_id", String(40), ForeignKey("run.id"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("lineage", JSON, nullable=False),
    Column("evaluation_id", String(40)),
    Column("content_hash", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("licence", String(128)),
    _created(),
    UniqueConstraint("model_id", "version"),
    UniqueConstraint("run_id", "step", name="uq_model_version_source"),
)

evaluation = Table(
    "evaluation",
    METADATA,
    _id(),
    _project(),
    Column("run_id", String(40), ForeignKey("run.id"), nullable=False),
    Column("dataset", String(256), nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("result", JSON),
    Column("rows_blob", String(64)),
    Column("error", JSON),
    _created(),
)

idempotency = Table(
    "idempotency",
    METADATA,
    Column("project_id", String(40), ForeignKey("project.id"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request", String(64), nullable=False, comment="SHA-256 of method, path and body"),
    Column("status", Integer, nullable=False),
    Column("body", JSON, nullable=False),
    _created(),
)
