"""Mangled rows through a library of its own, for a build that watches memory.

    python -m tests.data.fuzz LIBRARY SEED ROWS

Every row lies in memory of just its size, so that a look behind its end is seen.
"""

import random
import sys
from array import array
from importlib.util import module_from_spec, spec_from_file_location

from tests.data.mangle import BITS, LAYOUTS, PLAIN, careful, mangled
from tunery.data import native
from tunery.data.block import Block
from tunery.data.content import Lines
from tunery.data.formats.point import FORMATS, quick_of
from tunery.data.quick import QuickReader


def main(library: str, seed: int, rows: int) -> None:
    spec = spec_from_file_location("tunery.data._rows", library)
    assert spec is not None
    assert spec.loader is not None
    native.COMPILED = module_from_spec(spec)
    spec.loader.exec_module(native.COMPILED)
    draw = random.Random(seed)
    readers = {name: QuickReader(quick) for name in PLAIN if (quick := quick_of(FORMATS.load(name)))}
    short = 0
    for _ in range(rows):
        name = draw.choice(list(readers))
        raw = _mangled(draw, name)
        held = array("B", raw)
        taken = readers[name].read(Block(1, held, array("I", (0, len(raw))), (0, 1), 0))
        if not taken.left:
            assert (taken.text[:-1], taken.characters) == careful(name, raw), (name, raw)
            assert native.hash_rows(Lines(taken.text, taken.ends)) == taken.hashes
            short += 1
        native.part_hashes(raw[len(raw) % 8 :], draw.randrange(1, 9))
        native.count_repeats(raw[len(raw) % 8 :])
        native.full_frames(array("I", sorted(raw)), draw.randrange(300), draw.randrange(300))
        native.split_lines(held)
        native.split_elements(held, draw.randrange(len(raw) + 1), draw.choice([30, 1 << 20]))
        native.split_elements(raw + b", " + raw + b",{", 0, 1 << 20)
    sys.stdout.write(f"{short} of {rows} rows went the short way\n")


def _mangled(draw: random.Random, name: str) -> bytes:
    changes = [
        (draw.randrange(10_000), draw.choice(BITS), draw.randrange(4)) for _ in range(draw.randrange(4))
    ]
    raw = bytearray(mangled(draw.choice(PLAIN[name]), draw.choice(LAYOUTS), changes))
    for _ in range(draw.choice([0, 0, 1, 2])):
        raw[draw.randrange(len(raw))] = draw.randrange(256)
    if draw.random() < 0.1:
        del raw[draw.randrange(len(raw)) :]
    return bytes(raw)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
