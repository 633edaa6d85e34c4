"""The engine computing in fp32 though the processor has bf16: `python -m bench.in_fp32 ATTEMPT_DIR`."""

import sys

from tunery.engine import machine, policy
from tunery.engine.__main__ import main

if __name__ == "__main__":
    machine.has_bf16 = policy.has_bf16 = lambda: False
    sys.exit(main(sys.argv[1]))
