"""The errors of files, rows and datasets: their part of the one list in `error_kinds`."""

from tunery.core.error_kind import Kind

DATA_KINDS: dict[str, Kind] = {
    "file_exists": Kind(
        409, "{path} already exists.", "Choose another name; existing files aren't overwritten."
    ),
    "backup_broken": Kind(
        422,
        "{path} isn't a complete backup: {detail}.",
        "Use another backup; nothing was restored from this one.",
    ),
    "backup_moved": Kind(
        409,
        "{path} was deleted while the backup was being written.",
        "Run the backup again; the partial file was removed.",
    ),
    "restore_needs_empty": Kind(
        409,
        "{what} isn't empty, and a backup can only be restored into an empty one.",
        "Choose an empty folder with --data (and an empty database), or move the existing data away.",
    ),
    "file_missing": Kind(422, "There is no file {path}.", "Check the path; relative paths start at {base}."),
    "file_unreadable": Kind(422, "{path} can't be read: {detail}.", "Check the file, then import it again."),
    "format_unknown": Kind(
        422,
        "The format of {path} wasn't recognised: {detail}.",
        "Choose the format yourself; known formats: {known}.",
        cli="Set it with `--format`; known formats: {known}.",
    ),
    "presets_unusable": Kind(
        409,
        "The list of ready-made datasets {path} can't be used: {detail}.",
        "An administrator has to correct it, or unset TUNERY_PRESET_DATA.",
    ),
    "registry_in_archive": Kind(
        422,
        "{path} contains {file}, which lists datasets in LLaMA-Factory's way.",
        "Import it with the format “LLaMA-Factory registry”, which makes a dataset of each entry, or remove that file.",
        cli="`tunery data import-llamafactory {path}` makes a dataset of each entry; or remove that file.",
    ),
    "json_broken": Kind(
        422,
        "{path} is cut off or isn't valid JSON at line {line}, byte {offset}: {detail}.",
        "Fix the file there or, if it is a list that was cut off, salvage the {rows} complete rows before that point.",
        cli="Fix the file there or, if it is a list that was cut off, keep the {rows} complete rows before that point "
        "with `--salvage`; after an import, `tunery data reimport NAME --salvage --accept-bad-rows`.",
    ),
    "no_rows": Kind(
        422, "{path} contains no usable rows.", "See the report for what is wrong with its rows."
    ),
    "row_still_bad": Kind(422, "The row still can't be used: {rule}.", "{fix}"),
    "column_unknown": Kind(
        422,
        "No row of {path} has the column “{column}” that is mapped to {field}.",
        "Choose one of its columns: {known}.",
    ),
    "source_gone": Kind(
        409,
        "The source file of {name} is no longer stored.",
        "Import the file again.",
    ),
    "upload_conflict": Kind(
        409,
        "The upload {name} has {offset} bytes, but the data sent starts at byte {sent}.",
        "Request its offset (HEAD) and continue from there.",
    ),
    "upload_busy": Kind(
        423,
        "Another client is currently sending the upload {name}.",
        "Let it finish, or stop it and try again in {seconds} seconds.",
    ),
    "upload_unfinished": Kind(
        409,
        "The upload {name} is incomplete: {offset} of {bytes} bytes were received.",
        "Send the rest, then import it.",
    ),
    "upload_expired": Kind(
        410,
        "The upload {name} expired because no data arrived for too long.",
        "Start a new upload.",
    ),
    "upload_disk_full": Kind(
        507,
        "The disk that holds {path} is full; {offset} of {bytes} bytes of the upload are stored.",
        "Free some space, then resume the upload.",
    ),
    "no_room": Kind(
        507,
        "The upload needs {bytes} bytes; the disk that holds {path} has {free} bytes free.",
        "Free some space, or move the data folder to a larger disk.",
    ),
    "checksum_differs": Kind(
        422,
        "The received file has the SHA-256 {found}, not {expected}.",
        "Send the file again; it changed in transit or while it was being sent.",
    ),
    "protocol_version": Kind(
        412,
        "This server speaks tus {ours}, not {theirs}.",
        "Send `Tus-Resumable: {ours}`.",
    ),
    "rows_rejected": Kind(
        422,
        "{rejected} of {read} rows can't be used.",
        "Fix them (the report lists each), or import without them.",
        cli="Fix them (the report lists each), or continue without them: `--accept-bad-rows`; after an import, "
        "`tunery data accept NAME`, or `tunery data fix NAME FILE` with the fixed rows.",
    ),
    "too_few_rows": Kind(
        422,
        "Training needs at least {minimum} rows; this run has {rows} ({arithmetic}).",
        "Add rows, raise a sampling rate, or ask an administrator to lower TUNERY_MINIMUM_ROWS.",
    ),
    "share_out_of_reach": Kind(
        422,
        "“{dataset}” would need a sampling rate of {rate} to reach {share} %; rates range from 0.01 to 10.",
        "Choose another share, or set sampling rates instead.",
    ),
    "nothing_left": Kind(
        422,
        "Cleaning leaves no rows of {dataset}.",
        "Check the steps: one of them removes every row.",
    ),
    "step_invalid": Kind(
        422,
        "The cleaning step {step} is invalid: {detail}.",
        "Correct that step; the list of steps shows what each accepts.",
        cli="`tunery data steps` shows what each step accepts.",
    ),
    "pattern_unusable": Kind(422, "The regular expression can't be used: {detail}.", "Simplify it."),
    "no_general_corpus": Kind(
        422,
        "No general corpus fits the method {method}.",
        "Name one in `mix.dataset`, or leave `mix` out.",
    ),
    "format_not_for_method": Kind(
        422,
        "Dataset “{dataset}” has the format {format}, which {method} can't train on.",
        "{method} accepts: {fitting}.",
    ),
    "images_not_learnt": Kind(
        422,
        "Dataset “{dataset}” contains images; {method} trains on text only.",
        "Choose a dataset without images: {fitting}.",
    ),
    "version_not_published": Kind(
        409,
        "{dataset}@{version} is still a draft.",
        "Publish it first; only published versions can be used for training.",
    ),
    "dataset_in_use": Kind(
        409,
        "“{dataset}” was used to train the model {model}, so it can't be deleted.",
        "Delete that model first.",
    ),
    "source_empty": Kind(
        422,
        "There are no files to import in “{path}”.",
        "Check the path. Supported file types: {endings}.",
    ),
    "source_too_many": Kind(422, "There are more than {limit} files in “{path}”.", "Choose a subfolder."),
    "source_changed": Kind(
        409,
        "“{key}” changed after the import was requested: {detail}.",
        "Import again to read all files in their current state.",
    ),
}
