"""`python -m cosset.cli`: the command without an installed script."""

from cosset.cli import main

main(prog_name="cosset")
