"""The same job done by others, taken into the suite's report; see benchmarks/peers."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from benchmarks.reports.report import Measure
from benchmarks.suite.stage import Gathered, Stage

SAYS = {
    "vs_quix_kafka_python": "events per CPU-second: Impuls with kafka-python over Quix Streams",
    "vs_quix_librdkafka": "events per CPU-second: Impuls with librdkafka over Quix Streams",
    "vs_faust": "events per CPU-second: Impuls with librdkafka over Faust",
    "vs_bare_kafka_python": "events per CPU-second: Impuls over a bare loop, both with kafka-python",
    "vs_bare_librdkafka": "events per CPU-second: Impuls over a bare loop, both with librdkafka",
}
GOALS = {"vs_quix_kafka_python": 1.2, "vs_quix_librdkafka": 1.8, "vs_faust": 15.0}
PEERS = "benchmarks.peers"


def beside(stage: Stage) -> Gathered:
    """A measure for each ratio that could be taken, and one for each peer's own rate."""
    if find_spec(PEERS) is None:
        return Gathered(warnings=["peers: not measured, this tree has no benchmarks/peers"])
    # By name, since a peer's own programs import that package where nothing of ours is installed.
    suite, shown = import_module(f"{PEERS}.suite"), import_module(f"{PEERS}.__main__")
    rows = suite.run((), stage.scale.peer_customers, stage.scale.peer_rounds)
    for line in shown.table(rows):
        stage.tell(f"  {line}")
    found = Gathered()
    for name, ratio in suite.ratios(rows).items():
        found.measures.append(
            Measure(name=name, says=SAYS[name], unit="times", better="more", values=[ratio], goal=GOALS.get(name))
        )
    for row in rows:
        if row.rate is None:
            found.warnings.append(f"peers: {row.peer.title}: not measured: {row.fault}")
            continue
        says = f"{row.peer.title} ({row.peer.client} client), events per CPU-second"
        name = f"peer_{row.peer.name.replace('-', '_')}"
        note = f"{row.version}; {row.peer.guarantee}"
        found.measures.append(Measure(name=name, says=says, unit="/s", better="more", values=row.rates, note=note))
    return found
