"""Every error a user can cause: its code, its HTTP status, what to say and what to do.

A `Problem` stores a code and parameters; the sentence is made late, so it can be shown in another
language. `where` places it: a file and line, a field, a setting. This is the only list of codes.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What one code means: HTTP status, the sentence, the cure. Both texts are format strings."""

    status: int
    says: str
    cure: str


KINDS: dict[str, Kind] = {
    # -- asking
    "invalid_request": Kind(422, "{detail}", "Correct the named field and send it again."),
    "not_authenticated": Kind(
        401,
        "No valid token came with this request.",
        "Send `Authorization: Bearer TOKEN`; the token was printed at the first `tunery up` "
        "and `tunery token new` makes another.",
    ),
    "foreign_origin": Kind(
        403, "The request came from another site ({origin}).", "Open the console at its own address."
    ),
    "foreign_host": Kind(
        403,
        "This server doesn't answer to the name “{host}”.",
        "Use the address it listens on, or add the name to TUNERY_ALLOWED_HOSTS.",
    ),
    "not_found": Kind(404, "There is no {noun} “{name}”.", "List what there is with `{list}`."),
    "no_such_address": Kind(
        404, "Nothing answers at {method} {path}.", "GET /api/openapi.json describes every address."
    ),
    "body_too_large": Kind(
        413,
        "The request is larger than {limit} bytes.",
        "Send less at once; files go to POST /api/v1/datasets.",
    ),
    "name_taken": Kind(
        409, "A {noun} called “{name}” exists already.", "Choose another name, or delete the old one first."
    ),
    "not_in_state": Kind(
        409,
        "{noun} {name} is {state}; {verb} needs it to be {needed}.",
        "Wait for that state, or choose another action.",
    ),
    "too_large": Kind(
        413, "The upload is larger than {limit} bytes.", "Split the file, or raise TUNERY_MAX_UPLOAD_BYTES."
    ),
    "idempotency_conflict": Kind(
        409,
        "The idempotency key “{key}” was used before with another request.",
        "Use a new key for a new request.",
    ),
    # -- extensions
    "unknown_extension": Kind(422, "There is no {noun} called “{name}”.", "Known: {known}."),
    "extension_version": Kind(
        500,
        "The {noun} “{name}” is written for interface version {theirs}; this Tunery has version {ours}.",
        "Install a release of that package made for this Tunery.",
    ),
    # -- the machine
    "port_taken": Kind(
        500,
        "Port {port} on {host} is in use by another program.",
        "Choose another with `--port`, or stop that program.",
    ),
    "address_unusable": Kind(
        500, "Can't listen on {host}, port {port}: {detail}.", "Choose another with `--host` or `--port`."
    ),
    "data_folder_newer": Kind(
        500,
        "The data folder {path} was written by a newer Tunery (schema {found}).",
        "Install that newer version, or choose another folder with `--data`.",
    ),
    "data_folder_in_use": Kind(
        500,
        "Another Tunery server is using the data folder {path}.",
        "Stop it, or choose another folder with `--data`.",
    ),
    "data_folder_unusable": Kind(
        500,
        "The data folder {path} can't be used: {detail}.",
        "Choose a folder you may write to with `--data`.",
    ),
    "server_setting_invalid": Kind(
        500,
        "The server's setting {name} can't be used. {detail}.",
        "Correct that environment variable or option; docs/reference/server-settings.md lists them all.",
    ),
    "disk_full": Kind(
        507, "The disk that holds {path} is full.", "Free some space; nothing half-written was kept."
    ),
    "missing_extra": Kind(
        500,
        "This needs the package “{package}”, which isn't installed.",
        "Run `pip install 'tunery[{extra}]'`.",
    ),
    "no_server": Kind(
        503, "No Tunery server answers at {url}.", "Start one with `tunery up`, or set TUNERY_URL."
    ),
    "refused": Kind(400, "The server refused: {detail}", "Correct the request and send it again."),
    "foreign_answer": Kind(
        502,
        "{url} answered with status {status} and not as a Tunery server does.",
        "Check that TUNERY_URL names a Tunery server and that no proxy stands before it.",
    ),
    "needs_server": Kind(
        422, "{what} lives on a server.", "Add `--server` to train there, or name files instead."
    ),
    "internal": Kind(
        500,
        "Tunery made a mistake (reference {reference}).",
        "Look for that reference in the server's log and report it.",
    ),
    # -- data
    "file_missing": Kind(
        422, "There is no file {path}.", "Check the path; relative paths count from {base}."
    ),
    "file_unreadable": Kind(422, "{path} can't be read: {detail}.", "Check the file, then import it again."),
    "format_unknown": Kind(
        422,
        "The format of {path} wasn't recognised: {detail}.",
        "Name it with `--format`; known formats: {known}.",
    ),
    "json_broken": Kind(
        422,
        "{path} breaks off or isn't JSON at line {line}, byte {offset}: {detail}.",
        "Mend the file there; {rows} whole rows stand before it.",
    ),
    "no_rows": Kind(422, "{path} holds no usable row.", "See the report for what is wrong with its rows."),
    "rows_rejected": Kind(
        422,
        "{rejected} of {read} rows can't be used.",
        "Mend them (the report names each), or import again and accept without bad rows.",
    ),
    "too_few_rows": Kind(
        422,
        "Training needs at least {minimum} rows; this has {rows}.",
        "Add rows, or let an administrator lower TUNERY_MINIMUM_ROWS.",
    ),
    "format_not_for_method": Kind(
        422,
        "Dataset “{dataset}” has the format {format}, which {method} can't learn from.",
        "{method} takes: {fitting}.",
    ),
    "version_not_published": Kind(
        409,
        "Version {version} of “{dataset}” is still a draft.",
        "Publish it first; only published versions train.",
    ),
    "dataset_in_use": Kind(
        409, "“{dataset}” trained the model {model}, so it stays.", "Delete that model first."
    ),
    # -- models
    "unknown_base_model": Kind(
        422,
        "There is no base model “{name}”.",
        "Use a name from `tunery models list --base`, or the path of a folder with safetensors, "
        "config.json and a tokenizer.",
    ),
    "model_folder_incomplete": Kind(
        422,
        "The folder {path} is not a usable model: {detail}.",
        "It needs config.json, tokenizer.json and weights as .safetensors.",
    ),
    "model_weights_absent": Kind(
        422,
        "The weights of “{name}” are not on this machine.",
        "Place its folder by hand and register it: `tunery models add PATH`.",
    ),
    "pickled_weights": Kind(
        422,
        "{path} holds pickled weights ({file}), which can run code when opened.",
        "Convert them to .safetensors with the tool of the model's authors.",
    ),
    "remote_code": Kind(422, "{name} needs code of its own to run, and Tunery runs none.", "{instead}"),
    "no_chat_template": Kind(
        422,
        "The tokenizer of “{name}” has no chat template.",
        "Add chat_template.jinja to its folder, or choose an instruction-tuned base.",
    ),
    "chat_template_failed": Kind(
        422,
        "The chat template of this model refuses row {row}: {detail}.",
        "Change the row, or the template.",
    ),
    "no_supervised_tokens": Kind(
        422,
        "None of the tokens in the training data is learnt from: {detail}.",
        "Check that rows hold answers and that max_sequence_length doesn't cut them all off.",
    ),
    "not_publishable": Kind(
        409, "Run {run} has nothing to publish: {detail}.", "Publish a run that has a checkpoint."
    ),
    # -- settings
    "unknown_setting": Kind(422, "{method} has no setting “{name}”.", "Did you mean {near}?"),
    "setting_invalid": Kind(
        422,
        "{name} = {value}: {detail}.",
        "Give a value that fits; `tunery methods show {method}` lists them.",
    ),
    "setting_out_of_range": Kind(
        422,
        "{name} = {value} is outside {low} … {high}.",
        "Choose a value in the range, or set allow_out_of_range: true to insist.",
    ),
    "setting_without_effect": Kind(
        422, "{name} has no effect in this run: {reason}.", "Remove it, or change what it depends on."
    ),
    "spec_invalid": Kind(422, "{detail}", "Correct that field of the run's specification."),
    # -- running
    "loss_not_finite": Kind(
        500,
        "The loss became {value} at step {step}; the state before it is kept.",
        "Lower the learning rate, or look at the rows of that step: {rows}.",
    ),
    "out_of_memory": Kind(
        500,
        "The engine ran out of memory at step {step}.",
        "Lower batch_size or max_sequence_length, or train with LoRA.",
    ),
    "engine_crashed": Kind(
        500,
        "The engine ended without a result ({detail}).",
        "See the run's log. It is tried again from its newest checkpoint unless it gained no step {tries} times.",
    ),
    "engine_failed": Kind(
        500, "The engine stopped on an error: {detail}.", "The run's log has the whole story."
    ),
    "engine_lost": Kind(
        500,
        "The engine ended without a result: {detail}.",
        "Its log is {log}; go on from its newest checkpoint with `tunery train --resume {path}`.",
    ),
    "out_folder_taken": Kind(
        409,
        "The folder {path} isn't empty.",
        "Choose another with `--out`, or go on with the run in it: `tunery train --resume {path}`.",
    ),
    "resume_differs": Kind(
        409,
        "The run in {path} was begun with another specification ({fields} differ).",
        "Leave the file and options away to go on exactly as it began, or start a new run with `--out`.",
    ),
    "base_model_changed": Kind(
        409,
        "The base model in {path} isn't the one this run was begun with.",
        "Put the original back, or start a new run.",
    ),
    "no_checkpoint": Kind(
        409, "{path} holds no checkpoint that can be resumed.", "Start the run again from the beginning."
    ),
    "attempt_folder_invalid": Kind(
        422, "{path} is not a folder of a run: {detail}.", "Name a folder that `tunery train --out` made."
    ),
    # -- answering
    "model_not_served": Kind(
        404, "The model “{name}” does not exist or is not served.", "GET /v1/models lists those that are."
    ),
    "context_length_exceeded": Kind(
        400,
        "The prompt has {tokens} tokens; with max_tokens {wanted} it doesn't fit the context of {limit}.",
        "Shorten the messages or lower max_tokens.",
    ),
    "replica_failed": Kind(
        503,
        "The model “{name}” could not be started: {detail}.",
        "See the replica's log with `tunery doctor`.",
    ),
    "answer_broken_off": Kind(
        503,
        "The model “{name}” stopped while it answered: {detail}.",
        "Ask again; a replica that ended is started anew.",
    ),
    "replica_busy": Kind(
        429,
        "The model has {waiting} requests waiting, which is the most it takes.",
        "Ask again a little later.",
    ),
    "replicas_taken": Kind(
        429,
        "All {limit} serving replicas are answering for other models.",
        "Ask again later, or raise TUNERY_MAX_REPLICAS if the memory allows it.",
    ),
    "unknown_adapter": Kind(404, "The replica has no adapter “{name}”.", "Load it first."),
    "adapter_unusable": Kind(
        422,
        "The adapter in {path} can't be used on this base model: {detail}.",
        "Publish it again from a run on this base model.",
    ),
    "unsupported_parameter": Kind(400, "“{name}” is not supported here: {detail}.", "Leave it out."),
}


@dataclass(frozen=True)
class Where:
    """The place a problem is at; whatever is known of it."""

    file: str | None = None
    line: int | None = None
    offset: int | None = None
    field: str | None = None
    setting: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if value is not None}


@dataclass
class Problem(Exception):
    """An error a user can cause or must know of. `Problem("file_missing", path=…, base=…)`."""

    code: str
    where: Where = field(default_factory=Where)
    params: dict[str, Any] = field(default_factory=dict)

    def __init__(self, code: str, /, *, where: Where | None = None, **params: Any) -> None:
        assert code in KINDS, f"{code} is not in the list of errors"
        super().__init__(code)
        self.code = code
        self.where = where or Where()
        self.params = params

    @property
    def kind(self) -> Kind:
        return KINDS[self.code]

    @property
    def status(self) -> int:
        return self.kind.status

    @property
    def message(self) -> str:
        """What happened, in one sentence."""
        return self.kind.says.format(**self.params)

    @property
    def cure(self) -> str:
        """What to do about it."""
        return self.kind.cure.format(**self.params)

    def __str__(self) -> str:
        return f"{self.message} {self.cure}"

    def as_dict(self) -> dict[str, Any]:
        """The one shape every surface shows: code, message, cure, params, where."""
        return {
            "code": self.code,
            "message": self.message,
            "cure": self.cure,
            "params": self.params,
            "where": self.where.as_dict(),
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Problem":
        """Rebuild one from what `as_dict` gave, e.g. out of a result file or an API answer.

        A code this version doesn't know (a newer server's) becomes `engine_failed` with the text it came with.
        """
        code = str(stored.get("code"))
        where = Where(**{k: v for k, v in (stored.get("where") or {}).items() if k in Where.__annotations__})
        if code not in KINDS:
            return cls("engine_failed", where=where, detail=f"{stored.get('message', code)}")
        return cls(code, where=where, **(stored.get("params") or {}))
