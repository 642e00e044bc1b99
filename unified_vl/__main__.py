"""`python -m unified_vl` is the `unified-vl` command."""

from unified_vl.cli.main import main

main()
