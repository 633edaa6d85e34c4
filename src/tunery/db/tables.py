"""All tables. Every one but the installation's own carries a project; times are UTC microseconds.

Invariants that must hold whatever the code does are constraints here: a run has at most one open attempt,
a schedule of ids is unique per project, a version's number is unique within its dataset.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
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
    Column("options", JSON, comment="what the user said of the file and of the import"),
    Column("filename", Text, comment="what the file is called"),
    Column("source", JSON, comment="the connection and the files it was read from"),
    Column("cleaning", JSON, comment="the version it was cleaned from, and what each step did"),
    Column("kept_until", BigInteger, comment="the file is there to be imported again, till then"),
    Column("published", BigInteger),
    _created(),
    UniqueConstraint("dataset_id", "version"),
)

upload = Table(
    "upload",
    METADATA,
    _id(),
    _project(),
    Column("filename", Text, nullable=False),
    Column("fingerprint", String(256), comment="the client's own mark of the file, to find the upload again"),
    Column(
        "bytes", BigInteger, nullable=False, comment="of the whole file; what came is the staged file's size"
    ),
    Column("sha256", String(64)),
    Column("expires", BigInteger, nullable=False),
    _created(),
)

connection = Table(
    "connection",
    METADATA,
    _id(),
    _project(),
    Column("name", String(128), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("settings", JSON, nullable=False, comment="those that are no secret"),
    Column("sealed", Text, nullable=False, comment="the secrets, sealed with the vault's key"),
    Column("test", JSON, comment="the newest one"),
    _created(),
    UniqueConstraint("project_id", "name"),
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
    Column("estimate", JSON, comment="what was predicted before it was submitted"),
    Column("event_seq", BigInteger, nullable=False, server_default="0", comment="last event's number"),
    Column("model_version_id", String(40)),
    Column("evaluation_id", String(40)),
    Column("continues_id", String(40), comment="the run whose model it began with"),
    Column("retries_id", String(40), comment="the run that it is a retry of"),
    Column("started", BigInteger),
    Column("ended", BigInteger),
    _created(),
    UniqueConstraint("job_id", "number"),
    Index("ix_run_listing", "project_id", "created", "id"),
    Index("ix_run_state", "project_id", "state", "created", "id"),
    Index("ix_run_job", "job_id", "created", "id"),
    Index("ix_run_continues", "continues_id"),
    Index("ix_run_retries", "retries_id"),
)

task = Table(
    "task",
    METADATA,
    _id(),
    _project(),
    Column("kind", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("lane", String(16), nullable=False, comment="light, engine or idle; see jobs.line"),
    Column("place", BigInteger, nullable=False, comment="in the lane; the lowest is next"),
    Column("payload", JSON, nullable=False),
    Column("run_id", String(40), ForeignKey("run.id")),
    Column("reason", JSON),
    Column("progress", JSON),
    Column("result", JSON),
    Column(
        "token", BigInteger, nullable=False, server_default="0", comment="fencing token, grows at every claim"
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
    Column("gives_way_to", String(40), comment="the task that its slot is wanted for"),
    Column("started", BigInteger),
    Column("ended", BigInteger),
    _created(),
    Index("ix_task_queue", "state", "lane", "place"),
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
    Column("clock", BigInteger, nullable=False, comment="at `started`, of a clock that nobody sets"),
    Column("clock_boot", String(40), nullable=False, comment="the boot that clock counts from"),
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
    Column("slots", Integer, nullable=False, comment="engines it runs at once"),
    Column("seen", BigInteger, nullable=False, comment="by the lease clock; see db.lease"),
    Column("seen_boot", String(40), nullable=False),
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
    Column("name", String(255), primary_key=True),
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

analysis = Table(
    "analysis",
    METADATA,
    _id(),
    _project(),
    Column("kind", String(32), nullable=False),
    Column("subject", String(64), nullable=False, comment="SHA-256 of all that the outcome depends on"),
    Column("content_hash", String(64), nullable=False, comment="of the rows it is about"),
    Column("task_id", String(40), nullable=False),
    Column("result", JSON),
    Column("detail", String(64), comment="blob of what is known of each row"),
    Column("computed", BigInteger),
    _created(),
    UniqueConstraint("project_id", "kind", "subject"),
    Index("ix_analysis_content", "content_hash"),
    comment="what was found out about dataset versions; computed once",
)

pipeline = Table(
    "pipeline",
    METADATA,
    _id(),
    _project(),
    Column("name", String(128), nullable=False),
    Column("template", Boolean, nullable=False),
    Column("version", Integer, nullable=False, comment="the newest"),
    Column("active", Boolean, nullable=False, comment="its schedule, where there is one"),
    Column("next_start", BigInteger, comment="the schedule's next time"),
    Column("changed", BigInteger, nullable=False),
    _created(),
    UniqueConstraint("project_id", "name"),
    Index("ix_pipeline_next_start", "next_start"),
)

pipeline_version = Table(
    "pipeline_version",
    METADATA,
    Column("pipeline_id", String(40), ForeignKey("pipeline.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    _project(),
    Column("spec", JSON, nullable=False),
    _created(),
)

pipeline_start = Table(
    "pipeline_start",
    METADATA,
    _id(),
    _project(),
    Column("pipeline_id", String(40), ForeignKey("pipeline.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("due", BigInteger, comment="of the schedule; none: by hand"),
    Column("outcome", String(16), nullable=False),
    Column("run_id", String(40), ForeignKey("run.id")),
    Column("reason", JSON),
    _created(),
    UniqueConstraint("pipeline_id", "due"),
    comment="each time at which a pipeline was to start",
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
