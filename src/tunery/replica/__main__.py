"""python -m tunery.replica --base FOLDER --socket PATH: one base model answers on a unix socket.

It ends with the process that started it. What keeps it from starting is the last line of its log, as JSON:
{"problem": …}.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

import orjson

from tunery.core.errors import Problem
from tunery.core.process import die_with_parent
from tunery.core.spared import BITS, spare
from tunery.engine.machine import keep_freed_memory, limit_threads
from tunery.models.folder import inspect_folder, stored_in_fewer_bits


def main() -> int:
    """Load, listen, answer until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tunery.replica", description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to answer on")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = as many as there are cores")
    parser.add_argument(
        "--dtype",
        choices=("auto", "bfloat16", "float32"),
        default="auto",
        help="number format to compute in; auto = as in evaluations: fp32 up to a billion parameters, else bfloat16",
    )
    parser.add_argument("--parent", type=int, help="the process that started it, to end with")
    asked = parser.parse_args()
    if asked.parent is not None:
        die_with_parent(asked.parent)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    threads = limit_threads(asked.threads)
    keep_freed_memory()
    # A thread that waits must sleep: where training has the cores too, spinning ones starve those they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        folder = inspect_folder(asked.base)
        if not stored_in_fewer_bits(asked.base):
            spare(BITS)
        from tunery.replica.run import run  # torch reads the environment when it is imported

        run(folder, asked.socket, threads, asked.dtype)
    except Problem as problem:
        sys.stderr.flush()
        sys.stdout.buffer.write(orjson.dumps({"problem": problem.as_dict()}) + b"\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
