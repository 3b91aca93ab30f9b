"""What a message earned, told so that looking every day does not make it look better.

Pure functions over exact sums.  Nothing here reads a log; see `flows.cli.report`.
"""
