"""`make bench-recommender DATA=FILE PROTOCOL=published|stream`: how good the recommender is, beside simple baselines.

`reading` takes files of clicks, `protocols` say who learns from what and is asked when, `judging` counts hits.
"""
