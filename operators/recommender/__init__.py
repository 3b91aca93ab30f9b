"""What to show whom: learns with every event which product follows which, and ranks with what it has learnt.

`ranker.CoVisits` is the door: River's `reco.base.Ranker` with `recommend` beside it.  Nothing here does I/O, asks what
time it is, or knows how events travel.
"""
