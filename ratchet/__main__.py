"""`python -m ratchet`: the same as the command `ratchet`."""

from ratchet.cli import main

main(prog_name="ratchet")
