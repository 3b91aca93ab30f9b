"""GRU4Rec (Hidasi et al., 2016) as cornac implements it, in an environment of its own: a network over sessions.

Learns once from all that it is given, as such networks do, with the settings that its authors name for yoochoose.  It
is spoken to in lines of JSON: `{"learn": [[session, item, at], …]}` once, then `{"seen": [item, …]}` for each answer,
which says the twenty likeliest items and the CPU time it took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, TextIO

import numpy
from cornac.data import SequentialDataset
from cornac.models import GRU4Rec

SETTINGS: dict[str, Any] = {
    "layers": [100],
    "loss": "cross-entropy",
    "n_epochs": 10,
    "batch_size": 32,
    "dropout_p_hidden": 0.3,
    "learning_rate": 0.1,
    "momentum": 0.7,
    "sample_alpha": 0.0,
    "n_sample": 2048,
    "constrained_embedding": False,
    "seed": 1,
}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print goes elsewhere
    clicks = json.loads(sys.stdin.readline())["learn"]
    data = SequentialDataset.build([tuple(click) for click in clicks], fmt="SIT", seed=1)
    began = time.process_time()
    model = GRU4Rec(**SETTINGS)
    model.fit(data)
    _tell(answers, {"seconds": time.process_time() - began})
    number_of = data.iid_map
    item_of = {number: item for item, number in number_of.items()}
    for line in sys.stdin:
        began = time.process_time()
        known = [number_of[item] for item in json.loads(line)["seen"] if item in number_of]
        items = []
        if known:
            scores = numpy.asarray(model.score(0, known))[: len(item_of)]
            best = numpy.argpartition(-scores, min(20, len(scores) - 1))[:20]
            items = [item_of[number] for number in best[numpy.argsort(-scores[best])]]
        _tell(answers, {"items": items, "seconds": time.process_time() - began})


def _tell(answers: TextIO, told: dict[str, Any]) -> None:
    print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    main()
