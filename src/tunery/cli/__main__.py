"""`python -m tunery.cli`: the same as `tunery`."""

from tunery.cli.main import main

main()
