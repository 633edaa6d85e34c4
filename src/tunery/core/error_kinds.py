"""The one list of errors: each code's HTTP status, what is said, what to do. Whatever isn't on it is a defect.

`errors.Problem` is what is raised; here is only what the codes mean.
"""

from tunery.core.data_error_kinds import DATA_KINDS
from tunery.core.error_kind import Kind

KINDS: dict[str, Kind] = {
    # -- asking
    "invalid_request": Kind(422, "{detail}", "Correct the named field and send it again."),
    "not_authenticated": Kind(
        401,
        "The request has no valid token.",
        "Send `Authorization: Bearer TOKEN`; the token was printed when `tunery up` "
        "first ran, and `tunery token new` creates another.",
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
        404, "There is no endpoint {method} {path}.", "GET /api/openapi.json lists every endpoint."
    ),
    "body_too_large": Kind(
        413,
        "The request is larger than {limit} bytes.",
        "Send less data per request; upload files in parts with POST /api/v1/uploads.",
    ),
    "name_taken": Kind(
        409, "A {noun} named “{name}” already exists.", "Choose another name, or delete the old one first."
    ),
    "not_in_state": Kind(
        409,
        "Can't {verb} {noun} {name}: its state is {state}, not {needed}.",
        "Wait until it is, or choose another action.",
    ),
    "schedule_invalid": Kind(
        422,
        "The pipeline can't be scheduled: {detail}.",
        "Write cron as five fields (minute hour day month weekday, as in `30 2 * * mon`) and the time zone as in "
        "Europe/Berlin; its first and last day must leave it a time.",
    ),
    "schedule_needs_pipeline": Kind(
        422,
        "A run starts once; only a pipeline can start on a schedule.",
        "Save it as a pipeline, or remove `trigger`.",
        cli="Save it with `tunery pipelines save FILE`, or remove `trigger`.",
    ),
    "template_not_started": Kind(
        409,
        "“{name}” is a template, which can't be started itself.",
        "Create a pipeline from it, and start that.",
    ),
    "start_missed": Kind(
        409,
        "The server wasn't running at that time.",
        "Set `missed: run_once` to run once after missed starts.",
    ),
    "start_overlaps": Kind(
        409,
        "An earlier run ({run}) was still in progress at that time.",
        "Set `overlap: queue` to queue the next run behind it.",
    ),
    "too_large": Kind(
        413, "The upload is larger than {limit} bytes.", "Split the file, or raise TUNERY_MAX_UPLOAD_BYTES."
    ),
    "idempotency_conflict": Kind(
        409,
        "The idempotency key “{key}” was already used for a different request.",
        "Use a new key for a new request.",
    ),
    # -- extensions
    "unknown_extension": Kind(422, "There is no {noun} named “{name}”.", "Known: {known}."),
    "extension_version": Kind(
        500,
        "The {noun} “{name}” is written for interface version {theirs}; this Tunery has version {ours}.",
        "Install a version of that package that supports this version of Tunery.",
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
        "The data folder {path} was written by a newer version of Tunery (schema {found}).",
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
        "The server setting {name} is invalid. {detail}.",
        "Correct that environment variable or option; docs/reference/server-settings.md lists them all.",
    ),
    "disk_full": Kind(
        507,
        "The disk that holds {path} is full.",
        "Free some space and try again; partly written files were removed.",
    ),
    "disk_unwritable": Kind(
        507,
        "The disk that holds {path} can't be written: {detail}.",
        "Make it writable again (a file system becomes read-only after an error of its disk; `dmesg` tells). Then "
        "resume what was paused; nothing of it is lost.",
    ),
    "database_busy": Kind(
        503,
        "Another program keeps the database locked ({detail}).",
        "Try again. If it goes on, end what holds it: a backup program, say, or a database browser. Runs go on.",
    ),
    "database_unusable": Kind(
        503,
        "The database can't be used ({detail}).",
        "Check that its server runs. As soon as it answers again, runs go on where they were.",
    ),
    "database_damaged": Kind(
        500,
        "The database in {path} is damaged ({detail}).",
        "Stop the server and restore the newest backup into an empty folder: `tunery restore FILE --data NEW`. What "
        "runs wrote is still in runs/ of this folder.",
    ),
    "missing_extra": Kind(
        500,
        "This needs the package “{package}”, which isn't installed.",
        "Run `pip install 'tunery[{extra}]'`.",
    ),
    "no_server": Kind(
        503, "No Tunery server answers at {url}.", "Start one with `tunery up`, or set TUNERY_URL."
    ),
    "refused": Kind(
        400, "The server rejected the request: {detail}", "Correct the request and send it again."
    ),
    "foreign_answer": Kind(
        502,
        "{url} answered with status {status}, and not like a Tunery server.",
        "Check that TUNERY_URL points to a Tunery server and that no proxy is in between.",
    ),
    "needs_server": Kind(
        422, "{what} is stored on a server.", "Add `--server` to train there, or name local files instead."
    ),
    "internal": Kind(
        500,
        "Something went wrong inside Tunery (reference {reference}).",
        "Look up that reference in the server's log and report it.",
    ),
    **DATA_KINDS,
    # -- reaching out
    "address_invalid": Kind(
        422, "The address can't be used: {detail}.", "Write it as https://HOST or https://HOST:PORT."
    ),
    "address_private": Kind(
        403,
        "“{host}” is {kind}; this server doesn't connect to such addresses.",
        "If it should, an administrator can add {host} to TUNERY_PRIVATE_HOSTS.",
    ),
    "address_forbidden": Kind(
        403, "“{host}” is {kind}; this server never connects to it.", "Use the address of the service itself."
    ),
    "remote_host_unknown": Kind(
        502,
        "The host name “{host}” doesn't resolve to an address.",
        "Check its spelling and this machine's DNS.",
    ),
    "remote_unreachable": Kind(
        502,
        "Nothing answers at {host}, port {port}: {detail}.",
        "Check the host and port, that the service is running, and that no firewall blocks the connection.",
    ),
    "remote_tls": Kind(
        502,
        "No secure connection to {host}: {detail}.",
        "Use http:// for a service without TLS; point SSL_CERT_FILE to the certificate of a private authority.",
    ),
    "remote_timeout": Kind(
        504, "{host} didn't answer in time.", "Try again; check the service if this keeps happening."
    ),
    "remote_broken": Kind(
        502,
        "{host} closed the connection, or doesn't speak HTTP.",
        "Check the port, and whether it needs http or https.",
    ),
    "remote_key": Kind(
        422, "The service doesn't recognise this access key or token.", "Correct it; keys are case-sensitive."
    ),
    "remote_signature": Kind(
        422, "The service rejected the signature.", "The secret key doesn't belong to this access key."
    ),
    "remote_bucket": Kind(422, "The service has no “{name}”.", "Check the name; it is case-sensitive."),
    "remote_forbidden": Kind(
        422,
        "This key isn't allowed to {verb} “{name}”.",
        "Give it permission to list and read, or use another key.",
    ),
    "remote_clock": Kind(
        422,
        "The clocks of this machine and of the service differ by {seconds} seconds.",
        "Synchronise the clock of this machine, or of the service, with NTP.",
    ),
    "remote_region": Kind(
        422, "“{name}” is in another region: {region}.", "Set that region in the connection."
    ),
    "remote_answer": Kind(
        502,
        "{host} answered with status {status}, and not like a service of this kind.",
        "Check that the address is that of the service itself.",
    ),
    "remote_redirect": Kind(
        502,
        "{host} redirects to another address; redirects aren't followed.",
        "Use the address it redirects to.",
    ),
    "secret_key_lost": Kind(
        409,
        "The secrets of “{name}” were encrypted with a different key than this server has.",
        "Restore the original vault.key (or TUNERY_SECRET_KEY), or delete the connection and create it again.",
    ),
    "version_in_use": Kind(
        409,
        "{dataset}@{version} {used}.",
        "Keep it, or delete its rows anyway (`even_if_used`); its hash is kept as a record of the training data.",
        cli="Keep it, or delete its rows anyway with `--even-if-used`; its hash is kept.",
    ),
    "version_in_run": Kind(
        409,
        "The run {run} still needs {dataset}@{version}.",
        "Wait until that run has ended, or cancel it.",
    ),
    "version_deleted": Kind(
        410,
        "The rows of {dataset}@{version} were deleted; their hash was {hash}.",
        "Choose another version, or import the rows again: the same rows get the same hash.",
    ),
    "version_has_no_rows": Kind(
        409,
        "Version {version} of “{dataset}” has no rows; its state is {state}.",
        "If its import is still running, wait for it to succeed; otherwise choose another version.",
    ),
    "not_computed": Kind(
        409,
        "{what} of {dataset}@{version} hasn't been measured yet.",
        "Compute the statistics of this version first{how}.",
        cli="Compute the statistics first: `tunery data statistics {dataset}`{how}.",
    ),
    "not_compared": Kind(
        409,
        "Versions {old} and {new} of “{dataset}” haven't been compared yet.",
        "Start the comparison first.",
        cli="Compare them first: `tunery data compare {dataset} {old} {new}`.",
    ),
    "no_method_for_rows": Kind(
        422,
        "No training method accepts rows of the kind {kind}.",
        "Choose a dataset of another format.",
    ),
    # -- models
    "unknown_base_model": Kind(
        422,
        "There is no base model “{name}”.",
        "Use the name of a listed base model, or the path of a folder with safetensors, "
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
        "Models of type {model_type} can't be given the scoring head that a reward model needs.",
        "Choose a base model of another type: Llama, Qwen, Mistral, Gemma, GLM, Phi and others work.",
    ),
    "method_not_for_model": Kind(
        422,
        "{family} models can't be trained with {method}: {reason}.",
        "Choose another method ({fitting}), or a base model of another family.",
    ),
    "encoder_decoder_unknown": Kind(
        422,
        "“{name}” is a {model_type} model, which has an encoder and a decoder; of these only T5 and mT5 train.",
        "Choose Flan-T5, or a model that has no encoder: Llama, Qwen, Mistral, Gemma, GLM, Phi and others.",
    ),
    "model_weights_absent": Kind(
        422,
        "The weights of “{name}” are not on this machine.",
        "Copy its folder to the server's machine and add it as a base model.",
        cli="Copy its folder to the server's machine and add it: `tunery models add PATH`.",
    ),
    "pickled_weights": Kind(
        422,
        "{path} contains pickled weights ({file}), which can run code when opened.",
        "Convert them to .safetensors with the model authors' tool.",
    ),
    "remote_code": Kind(422, "{name} needs custom code to run, which Tunery doesn't allow.", "{instead}"),
    "no_chat_template": Kind(
        422,
        "The tokenizer of “{name}” has no chat template, and names no token that would end an answer.",
        "Add chat_template.jinja to its folder, or an eos_token to its tokenizer_config.json.",
    ),
    "chat_template_failed": Kind(
        422,
        "The chat template of this model rejects row {row}: {detail}.",
        "Change the row, or the template.",
    ),
    "no_supervised_tokens": Kind(
        422,
        "The training data has no tokens to learn from: {detail}.",
        "Check that rows contain answers and that max_sequence_length doesn't cut all of them off.",
    ),
    "not_publishable": Kind(
        409, "Run {run} has nothing to publish: {detail}.", "Publish a run that has a checkpoint."
    ),
    "already_published": Kind(
        409,
        "Step {step} of this run is already published as {model}.",
        "Use {model}, or publish another checkpoint of the run.",
    ),
    "job_task_fixed": Kind(
        409,
        "“{name}” is a line of {task} runs, not of {given}.",
        "Choose another name for this run.",
    ),
    "job_base_fixed": Kind(
        409,
        "{run} isn't over, and it has the base model {base}; until then, runs of that name have no other.",
        "Wait for its end or cancel it, or choose another name for this run.",
    ),
    "retry_impossible": Kind(
        409,
        "{run} can't be retried: {detail}.",
        "Choose an earlier stage, or start a new run from its settings.",
        cli="Choose an earlier stage, or start a new run from its settings: `tunery runs spec`.",
    ),
    # -- going on from an earlier run
    "continue_no_model": Kind(
        409,
        "“{run}” has no model to go on from: {detail}.",
        "Choose a run that has ended well, or one with a checkpoint.",
    ),
    "continue_weights_gone": Kind(
        410,
        "The weights of {state} are gone.",
        "Choose another state or another run; what is published is kept.",
    ),
    "continue_too_old": Kind(
        409,
        "{state} was saved {days} days ago; models older than {limit} days aren't gone on from.",
        "Choose a newer one, or let an administrator raise TUNERY_CONTINUE_DAYS.",
    ),
    "continue_other_base": Kind(
        422,
        "{state} was trained on {base}; a run that goes on from it has that base model, not {given}.",
        "Leave base_model out, or leave continue_from out.",
    ),
    "continue_base_changed": Kind(
        409,
        "The base model {base} isn't what it was when {state} was trained on it.",
        "Put the model's folder back as it was, or start anew from the base model.",
    ),
    "continue_method": Kind(
        422,
        "{method} can't go on from {state}: {detail}.",
        "Choose a method whose model writes text, for both runs.",
    ),
    "adapter_shape_fixed": Kind(
        422,
        "The adapter of {state} has {name} = {value}, and an adapter that goes on from it keeps that.",
        "Leave {name} out, or train all weights (finetuning_type: full): the adapter is merged first.",
    ),
    "replay_rows_gone": Kind(
        409,
        "The rows of {dataset}, which {run} learnt from, were deleted.",
        "Set `replay: 0` to go on without them.",
    ),
    # -- settings
    "unknown_setting": Kind(422, "{method} has no setting “{name}”.", "Did you mean {near}?"),
    "setting_invalid": Kind(
        422,
        "{name} can't be {value}: {detail}.",
        "Correct it, or leave it out to use {instead}.",
        cli="Correct it, or leave it out to use {instead}. `tunery methods show {method}` explains it.",
    ),
    "setting_out_of_range": Kind(
        422,
        "{name} = {value} is outside the range {low} … {high}.",
        "Choose a value in that range, or allow values outside it (allow_out_of_range).",
        cli="Choose a value in that range, or set `allow_out_of_range: true` in the file.",
    ),
    "setting_without_effect": Kind(
        422,
        "{name} has no effect in this run: {reason}.",
        "Leave it out, or change the setting it depends on.",
    ),
    "spec_invalid": Kind(422, "{detail}", "Correct that field of the run's specification."),
    # -- running
    "loss_not_finite": Kind(
        500,
        "The loss became {value} at step {step}; the model state before it was kept.",
        "Lower the learning rate, or check the rows of that step: {rows}.",
    ),
    "out_of_memory": Kind(
        500,
        "The engine ran out of memory at step {step}.",
        "Lower batch_size or max_sequence_length, or train with LoRA.",
    ),
    "engine_crashed": Kind(
        500,
        "The engine exited without a result ({detail}).",
        "See the run's log. The run is retried from its newest checkpoint until {tries} attempts in a row make no "
        "progress.",
    ),
    "engine_failed": Kind(500, "The engine stopped on an error: {detail}.", "See the run's log for details."),
    "engine_lost": Kind(
        500,
        "The engine exited without a result: {detail}.",
        "Its log is {log}; continue from its newest checkpoint with `tunery train --resume {path}`.",
    ),
    "out_folder_taken": Kind(
        409,
        "The folder {path} isn't empty.",
        "Choose another with `--out`, or continue the run in it: `tunery train --resume {path}`.",
    ),
    "resume_differs": Kind(
        409,
        "The run in {path} was started with a different specification ({fields} differ).",
        "Leave out the file and options to continue exactly as it began, or start a new run with `--out`.",
    ),
    "base_model_changed": Kind(
        409,
        "The base model in {path} isn't the one this run was started with.",
        "Restore the original, or start a new run.",
    ),
    "no_checkpoint": Kind(
        409, "{path} holds no checkpoint that can be resumed.", "Start the run again from the beginning."
    ),
    "attempt_folder_invalid": Kind(
        422, "{path} is not a run folder: {detail}.", "Choose a folder that `tunery train --out` created."
    ),
    # -- answering
    "model_not_served": Kind(
        404,
        "The model “{name}” does not exist or is not served.",
        "GET /v1/models lists the available models.",
    ),
    "model_gives_scores": Kind(
        400,
        "The model “{name}” was trained with {method}: it outputs scores, not text.",
        "Choose another model to chat with; transformers loads this one with AutoModelForSequenceClassification.",
    ),
    "context_length_exceeded": Kind(
        400,
        "The prompt has {tokens} tokens; with max_tokens = {wanted} it exceeds the context length of {limit}.",
        "Shorten the messages or lower max_tokens.",
    ),
    "replica_failed": Kind(
        503,
        "The model “{name}” could not be started: {detail}.",
        "See the replica's log in the server's data folder.",
        cli="See the replica's log with `tunery doctor`.",
    ),
    "answer_broken_off": Kind(
        503,
        "The model “{name}” stopped while answering: {detail}.",
        "Try again; a replica that stopped is restarted automatically.",
    ),
    "replica_busy": Kind(
        429,
        "The model already has {waiting} requests waiting, which is its limit.",
        "Try again a little later.",
    ),
    "replicas_taken": Kind(
        429,
        "All {limit} serving replicas are busy with other models.",
        "Try again later, or raise TUNERY_MAX_REPLICAS if there is enough memory.",
    ),
    "unknown_adapter": Kind(404, "The replica has no adapter “{name}”.", "Load it first."),
    "adapter_unusable": Kind(
        422,
        "The adapter in {path} can't be used on this base model: {detail}.",
        "Publish it again from a run on this base model.",
    ),
    "unsupported_parameter": Kind(400, "“{name}” is not supported here: {detail}.", "Leave it out."),
}
