"""`python -m tunery.jobs --data DIR`: one worker process. `tunery up` starts and keeps it."""

import argparse
import logging
import sys
from pathlib import Path

from tunery.blobs.point import BLOBS
from tunery.core.errors import Problem
from tunery.core.process import die_with_parent
from tunery.core.settings import ServerSettings
from tunery.db.engine import open_database
from tunery.jobs.worker import run_until_signalled


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tunery.jobs", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--parent", type=int, help="the process that started it, to end with")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if arguments.parent is not None:
        die_with_parent(arguments.parent)
    settings = ServerSettings(data=arguments.data)
    try:
        engine = open_database(settings)
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    run_until_signalled(engine, settings, BLOBS.load("local").open_store(str(settings.folder / "blobs")))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
