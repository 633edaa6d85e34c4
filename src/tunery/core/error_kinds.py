"""The one list of errors: each code's HTTP status, what is said, what to do. Whatever isn't on it is a defect.

`errors.Problem` is what is raised; here is only what the codes mean.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What one code means: HTTP status, the sentence, the cure. The texts are format strings."""

    status: int
    says: str
    cure: str
    cli: str = ""
    """The cure at the command line, where it is another: a command or an option to give."""


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
    "not_found": Kind(
        404,
        "There is no {noun} “{name}”.",
        "Check the name; it may have been deleted.",
        cli="List what there is with `{list}`.",
    ),
    "no_such_address": Kind(
        404, "Nothing answers at {method} {path}.", "GET /api/openapi.json describes every address."
    ),
    "body_too_large": Kind(
        413,
        "The request is larger than {limit} bytes.",
        "Send less at once; files go to POST /api/v1/uploads, in parts.",
    ),
    "name_taken": Kind(
        409, "A {noun} called “{name}” exists already.", "Choose another name, or delete the old one first."
    ),
    "not_in_state": Kind(
        409,
        "{noun} {name} is {state}; {verb} needs it to be {needed}.",
        "Wait for that state, or choose another action.",
    ),
    "schedule_invalid": Kind(
        422,
        "The pipeline can't be scheduled: {detail}.",
        "Write cron as five fields (minute hour day month weekday, as in `30 2 * * mon`) and the time zone as in "
        "Europe/Berlin; its first and last day must leave it a time.",
    ),
    "schedule_needs_pipeline": Kind(
        422,
        "A run starts once; only a pipeline can start by a schedule.",
        "Save it as a pipeline, or remove `trigger`.",
        cli="Save it with `tunery pipelines save FILE`, or remove `trigger`.",
    ),
    "template_not_started": Kind(
        409,
        "“{name}” is a template; it is there to begin other definitions with.",
        "Save a pipeline from it, and start that.",
    ),
    "start_missed": Kind(
        409, "The server wasn't running at that time.", "Set `missed: run_once` to have it caught up once."
    ),
    "start_overlaps": Kind(
        409,
        "An earlier run ({run}) wasn't over at that time.",
        "Set `overlap: queue` to have the next one wait for it.",
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
    "file_exists": Kind(409, "{path} is there already.", "Name another file; nothing is written over."),
    "backup_broken": Kind(
        422,
        "{path} isn't a whole backup: {detail}.",
        "Take another backup; nothing of this one was restored.",
    ),
    "backup_moved": Kind(
        409, "{path} was deleted while the backup was written.", "Run it again; the file wasn't kept."
    ),
    "restore_needs_empty": Kind(
        409,
        "{what} isn't empty, and a backup is restored into nothing else.",
        "Name an empty folder with --data (and an empty database), or move what is there away.",
    ),
    "file_missing": Kind(
        422, "There is no file {path}.", "Check the path; relative paths count from {base}."
    ),
    "file_unreadable": Kind(422, "{path} can't be read: {detail}.", "Check the file, then import it again."),
    "format_unknown": Kind(
        422,
        "The format of {path} wasn't recognised: {detail}.",
        "Choose the format yourself; known formats: {known}.",
        cli="Name it with `--format`; known formats: {known}.",
    ),
    "json_broken": Kind(
        422,
        "{path} breaks off or isn't JSON at line {line}, byte {offset}: {detail}.",
        "Mend the file there, or salvage the {rows} whole rows before it if it is a list that was cut off.",
        cli="Mend the file there, or take the {rows} whole rows before it, if it is a list that was cut off, with "
        "`--salvage`; after an import, `tunery data reimport NAME --salvage --accept-bad-rows`.",
    ),
    "no_rows": Kind(422, "{path} holds no usable row.", "See the report for what is wrong with its rows."),
    "row_still_bad": Kind(422, "The row still can't be used: {rule}.", "{fix}"),
    "column_unknown": Kind(
        422,
        "No row of {path} has the column “{column}”, which was to be read as {field}.",
        "Name one of its columns: {known}.",
    ),
    "source_gone": Kind(
        409,
        "The file that {name} was read from is no longer kept.",
        "Import the file again.",
    ),
    "upload_conflict": Kind(
        409,
        "The upload {name} has {offset} bytes; what was sent begins at {sent}.",
        "Ask for its offset (HEAD) and send what follows it.",
    ),
    "upload_busy": Kind(
        423,
        "Another client is sending the upload {name} at this moment.",
        "Let it finish, or stop it and try again in {seconds} seconds.",
    ),
    "upload_unfinished": Kind(
        409,
        "The upload {name} is not whole: {offset} of {bytes} bytes came.",
        "Send the rest, then import it.",
    ),
    "upload_expired": Kind(
        410,
        "The upload {name} was given up, because nothing came for too long.",
        "Begin a new upload.",
    ),
    "upload_disk_full": Kind(
        507,
        "The disk that holds {path} is full; {offset} of {bytes} bytes of the upload are kept.",
        "Free some space, then send the rest.",
    ),
    "no_room": Kind(
        507,
        "The upload needs {bytes} bytes; the disk that holds {path} has {free} left.",
        "Free some space, or move the data folder to a larger disk.",
    ),
    "checksum_differs": Kind(
        422,
        "The file that came has the SHA-256 {found}, not {expected}.",
        "Send the file again; it changed on the way or while it was sent.",
    ),
    "protocol_version": Kind(
        412,
        "This server speaks tus {ours}, not {theirs}.",
        "Send `Tus-Resumable: {ours}`.",
    ),
    "rows_rejected": Kind(
        422,
        "{rejected} of {read} rows can't be used.",
        "Mend them (the report names each), or import without them.",
        cli="Mend them (the report names each), or go on without them: `--accept-bad-rows`; after an import, "
        "`tunery data accept NAME`, or `tunery data fix NAME FILE` with mended ones.",
    ),
    "too_few_rows": Kind(
        422,
        "Training needs at least {minimum} rows; this has {rows} ({arithmetic}).",
        "Add rows, raise a sampling rate, or let an administrator lower TUNERY_MINIMUM_ROWS.",
    ),
    "share_out_of_reach": Kind(
        422,
        "“{dataset}” would need the sampling rate {rate} to make {share} %; rates go from 0.01 to 10.",
        "Choose another share, or give sampling rates.",
    ),
    "nothing_left": Kind(
        422,
        "Of {dataset} no row is left after cleaning.",
        "Look at the steps: one of them removes every row.",
    ),
    "step_invalid": Kind(
        422,
        "The cleaning step {step} can't be done so: {detail}.",
        "Correct that step; the list of steps says what each takes.",
        cli="`tunery data steps` shows what each takes.",
    ),
    "pattern_unusable": Kind(
        422, "The regular expression can't be used: {detail}.", "Write it in a simpler way."
    ),
    "no_general_corpus": Kind(
        422,
        "There is no general corpus of the kind that {method} learns from.",
        "Name one as `mix.dataset`, or leave `mix` out.",
    ),
    "format_not_for_method": Kind(
        422,
        "Dataset “{dataset}” has the format {format}, which {method} can't learn from.",
        "{method} takes: {fitting}.",
    ),
    "images_not_learnt": Kind(
        422,
        "Dataset “{dataset}” shows images; {method} reads text alone.",
        "Take a dataset without images: {fitting}.",
    ),
    "version_not_published": Kind(
        409,
        "{dataset}@{version} is still a draft.",
        "Publish it first; only published versions train.",
    ),
    "dataset_in_use": Kind(
        409, "“{dataset}” trained the model {model}, so it stays.", "Delete that model first."
    ),
    "source_empty": Kind(
        422,
        "There are no files to import under “{path}”.",
        "Check the path. Files end in {endings}.",
    ),
    "source_too_many": Kind(
        422, "There are more than {limit} files under “{path}”.", "Choose a folder deeper inside."
    ),
    "source_changed": Kind(
        409,
        "“{key}” changed since the import was asked for: {detail}.",
        "Import again, so that all files are read as they are now.",
    ),
    # -- reaching out
    "address_invalid": Kind(
        422, "The address can't be used: {detail}.", "Write it as https://HOST or https://HOST:PORT."
    ),
    "address_private": Kind(
        403,
        "“{host}” is {kind}, and this server doesn't reach out there.",
        "Where that is wanted, an administrator lists {host} in TUNERY_PRIVATE_HOSTS.",
    ),
    "address_forbidden": Kind(
        403, "“{host}” is {kind}; nothing is ever sent there.", "Use the address of the service itself."
    ),
    "remote_host_unknown": Kind(
        502, "The name “{host}” doesn't lead to an address.", "Check its spelling and this machine's DNS."
    ),
    "remote_unreachable": Kind(
        502,
        "Nothing answers at {host}, port {port}: {detail}.",
        "Check host and port, that the service runs, and that no firewall stands between.",
    ),
    "remote_tls": Kind(
        502,
        "No safe connection to {host}: {detail}.",
        "Use http:// for a service without TLS; name a private authority's certificate in SSL_CERT_FILE.",
    ),
    "remote_timeout": Kind(
        504, "{host} didn't answer in time.", "Try again; check the service if it goes on."
    ),
    "remote_broken": Kind(
        502, "{host} broke off, or doesn't speak HTTP.", "Check the port, and whether it is http or https."
    ),
    "remote_key": Kind(
        422, "The service doesn't know this access key or token.", "Correct it; keys are case-sensitive."
    ),
    "remote_signature": Kind(
        422, "The service says the signature is wrong.", "The secret key doesn't belong to this access key."
    ),
    "remote_bucket": Kind(422, "The service has no “{name}”.", "Check the name; it is case-sensitive."),
    "remote_forbidden": Kind(
        422,
        "This key may not {verb} “{name}”.",
        "Give it the permissions to list and to read, or use another key.",
    ),
    "remote_clock": Kind(
        422,
        "The service finds this machine's clock wrong; they differ by {seconds} seconds.",
        "Set the clock of this machine, or of the service, by NTP.",
    ),
    "remote_region": Kind(
        422, "“{name}” is in another region: {region}.", "Set that region in the connection."
    ),
    "remote_answer": Kind(
        502,
        "{host} answered with status {status} and not as such a service does.",
        "Check that the address is that of the service itself.",
    ),
    "remote_redirect": Kind(
        502, "{host} sends elsewhere, which isn't followed.", "Use the address it leads to."
    ),
    "secret_key_lost": Kind(
        409,
        "The secrets of “{name}” were sealed with another key than this server has.",
        "Put back the vault.key (or TUNERY_SECRET_KEY) of then, or delete it and make it anew.",
    ),
    "version_in_use": Kind(
        409,
        "{dataset}@{version} {used}.",
        "Keep it; or delete its rows all the same (`even_if_used`): its hash stays, to tell what the model learnt.",
        cli="Keep it; or delete its rows all the same with `--even-if-used`: its hash stays.",
    ),
    "version_in_run": Kind(
        409,
        "The run {run} still needs {dataset}@{version}.",
        "Wait until that run has ended, or cancel it.",
    ),
    "version_deleted": Kind(
        410,
        "The rows of {dataset}@{version} were deleted; their hash {hash} stays.",
        "Choose another version, or import the rows again: the same rows get the same hash.",
    ),
    "version_has_no_rows": Kind(
        409,
        "Version {version} of “{dataset}” has no rows: it is {state}.",
        "Wait for its import to succeed, or choose another version.",
    ),
    "not_computed": Kind(
        409,
        "{what} of {dataset}@{version} isn't known yet.",
        "Compute the statistics of this version first{how}.",
        cli="Compute the statistics first: `tunery data statistics {dataset}`{how}.",
    ),
    "not_compared": Kind(
        409,
        "Versions {old} and {new} of “{dataset}” haven't been compared yet.",
        "Ask for the comparison first.",
        cli="Compare them first: `tunery data compare {dataset} {old} {new}`.",
    ),
    "no_method_for_rows": Kind(
        422,
        "No training method here learns from rows of the kind {kind}.",
        "Choose a dataset of another format.",
    ),
    # -- models
    "unknown_base_model": Kind(
        422,
        "There is no base model “{name}”.",
        "Use the name of a base model that is listed, or the path of a folder with safetensors, "
        "config.json and a tokenizer.",
        cli="Use a name from `tunery models list --base`, or the path of a folder with safetensors, "
        "config.json and a tokenizer.",
    ),
    "model_folder_incomplete": Kind(
        422,
        "The folder {path} is not a usable model: {detail}.",
        "It needs config.json, tokenizer.json and weights as .safetensors.",
    ),
    "model_without_scores": Kind(
        422,
        "Models of the type {model_type} can't be given a head for scores, which a reward model needs.",
        "Choose a base model of another type: Llama, Qwen, Mistral, Gemma, GLM, Phi and others can.",
    ),
    "model_weights_absent": Kind(
        422,
        "The weights of “{name}” are not on this machine.",
        "Put its folder on the server's machine and add it as a base model.",
        cli="Put its folder on the server's machine and add it: `tunery models add PATH`.",
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
    "already_published": Kind(
        409,
        "Step {step} of this run is published already, as {model}.",
        "Use {model}, or publish another checkpoint of the run.",
    ),
    # -- settings
    "unknown_setting": Kind(422, "{method} has no setting “{name}”.", "Did you mean {near}?"),
    "setting_invalid": Kind(
        422,
        "{name} can't be {value}: {detail}.",
        "Correct it, or leave it out: it is {instead} then.",
        cli="Correct it, or leave it out: it is {instead} then. `tunery methods show {method}` explains it.",
    ),
    "setting_out_of_range": Kind(
        422,
        "{name} = {value} is outside {low} … {high}.",
        "Choose a value in that range, or insist by allowing values outside it (allow_out_of_range).",
        cli="Choose a value in that range, or insist with `allow_out_of_range: true` in the file.",
    ),
    "setting_without_effect": Kind(
        422, "{name} has no effect in this run: {reason}.", "Leave it out, or change what it depends on."
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
    "model_gives_scores": Kind(
        400,
        "The model “{name}” was trained by {method}: it gives scores and writes no text.",
        "Choose another model to chat with; transformers loads this one by AutoModelForSequenceClassification.",
    ),
    "context_length_exceeded": Kind(
        400,
        "The prompt has {tokens} tokens; with max_tokens {wanted} it doesn't fit the context of {limit}.",
        "Shorten the messages or lower max_tokens.",
    ),
    "replica_failed": Kind(
        503,
        "The model “{name}” could not be started: {detail}.",
        "The replica's log in the server's data folder says more.",
        cli="See the replica's log with `tunery doctor`.",
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
