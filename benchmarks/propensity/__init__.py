"""`make bench-propensity DATA=FILE`: how well purchases and absences are foretold on a split by time.

`stream` makes events of a file, `judging` scores a frozen model on what came after it.
"""
