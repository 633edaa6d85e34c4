"""python -m tunery.replica --base FOLDER --socket PATH: one base model answers on a unix socket.

It ends with the process that started it. What keeps it from starting is the last line of its log, as JSON:
{"problem": …}.
"""

import argparse
import logging
import sys
from pathlib import Path

import orjson

from tunery.core.errors import Problem
from tunery.core.process import die_with_parent
from tunery.engine.machine import keep_freed_memory, limit_threads


def main() -> int:
    """Load, listen, answer until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tunery.replica", description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to answer on")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = as many as there are cores")
    asked = parser.parse_args()
    die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    threads = limit_threads(asked.threads)
    keep_freed_memory()
    try:
        from tunery.replica.run import run  # torch reads the thread limits when it is imported

        run(asked.base, asked.socket, threads)
    except Problem as problem:
        sys.stderr.flush()
        sys.stdout.buffer.write(orjson.dumps({"problem": problem.as_dict()}) + b"\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
