"""`python -m benchmarks`: the same as `impuls-bench`."""

from benchmarks.cli import main

main()
