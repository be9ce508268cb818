"""python -m scimsync."""

from scimsync.cli.main import main

main()
