"""`python -m postroom.cli`: the command without its script."""

from postroom.cli.main import main

main()
