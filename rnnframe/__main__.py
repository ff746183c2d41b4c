"""`python -m rnnframe`."""

from rnnframe.cli import main

main()
