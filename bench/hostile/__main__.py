"""`python -m bench.hostile`."""

import sys

from bench.hostile.program import main

sys.exit(main())
