# Everything a contributor types. `make demo` and `make test` need only CPython 3.11 or 3.12, make and a package index.
.PHONY: help venv demo test test-long check kafka kafka-stop bench bench-quick bench-scale bench-measuring prove lock
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
# Or each of the many processes that tests, benchmarks and the demo start would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE
KILLS ?= 20
SEED ?= 1
PROTOCOL ?= stream
ARGS ?=
# Processes that share the tests out, file by file: more than two cores have, since many tests wait for other processes.
# In the order of the folders, by which what takes long is not the last.
SHARED := -n 3 --dist loadfile --no-loadscope-reorder

help:
	@echo 'make demo                   a shop'"'"'s day in under a minute: embedded log, real SMTP, a summary'
	@echo 'make test [ARGS="-k cart"]  everything that must pass; real Kafka when Java 17 and Maven are here'
	@echo 'make test-long              what takes a minute a test: kills on Kafka, damaged shards, a real shop twice, Spark; `.ci/run` runs it too'
	@echo 'make check                  ruff, mypy --strict, layout: what a commit must pass'
	@echo 'make kafka, kafka-stop      a real single-node Kafka on 127.0.0.1:19092, data under .local/'
	@echo 'make bench                  the short suite, peers included; a report and RESULT {json}'
	@echo 'make bench-scale            cost, p99, memory and disk from 10,000 to 10,000,000 customers; up to an hour'
	@echo 'make bench-quick            latency, throughput, memory; ends with RESULT {json}'
	@echo 'make bench-measuring        1,000 A/A and 1,000 A/B experiments looked at daily; false alarms and coverage'
	@echo 'make bench-recommender DATA=FILE PROTOCOL=published|stream   hit rates beside baselines; RESULT {json}'
	@echo 'make bench-propensity DATA=FILE   how well purchases and absences are foretold; RESULT {json}'
	@echo 'make bench-bandits          regret on Hillstrom, off-policy evaluation on Open Bandit; IMPULS_DATA=folder'
	@echo 'make prove KILLS=n SEED=s   kills under work and every other fault; ends with RESULT {json}'
	@echo 'make docs                   the reference from docstrings, as pages in .local/reference'
	@echo 'make lock                   write requirements.lock anew from pyproject.toml'

venv:
	@deploy/venv.sh

demo: venv
	@$(PYTHON) -m flows.demo

test: venv
	$(PYTHON) -m pytest $(SHARED) $(ARGS)

test-long: venv
	$(PYTHON) -m pytest -m long $(ARGS)

check: venv
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest -q tests/test_layout.py

kafka:
	@deploy/kafka/start.sh

kafka-stop:
	@deploy/kafka/stop.sh

bench: venv
	@$(PYTHON) -m benchmarks.bench $(ARGS)

bench-scale: venv
	@$(PYTHON) -m benchmarks.scale $(ARGS)

bench-quick: venv
	@$(PYTHON) -m benchmarks.quick $(ARGS)

bench-measuring: venv
	@$(PYTHON) -m benchmarks.measuring $(ARGS)

.PHONY: bench-recommender
bench-recommender: venv
	@$(PYTHON) -m benchmarks.recommender "$(DATA)" --protocol $(PROTOCOL) $(ARGS)

.PHONY: bench-propensity
bench-propensity: venv
	@$(PYTHON) -m benchmarks.propensity "$(DATA)" $(ARGS)

.PHONY: bench-bandits
bench-bandits: venv
	@$(PYTHON) -m benchmarks.bandits $(ARGS)

prove: venv
	@$(PYTHON) -m benchmarks.prove --kills $(KILLS) --seed $(SEED)

# What those write who write flows, and what those read who read decisions.
REFERENCE := operators.flow operators.windows operators.simulate flows.messages state.events state.carts state.orders \
	state.catalogue state.customer state.decisions state.messages config.settings

.PHONY: docs
docs: venv
	@$(PYTHON) -m pdoc --output-directory .local/reference $(REFERENCE)
	@echo 'Open .local/reference/index.html'

# One file for both Pythons and every platform, without an index address. LOCK_ARGS=--upgrade takes newer versions.
lock: venv
	$(PYTHON) -m uv pip compile pyproject.toml --output-file requirements.lock --quiet \
		--universal --python-version 3.11 --generate-hashes --extra librdkafka --group dev \
		--no-emit-index-url --no-annotate --no-header $(LOCK_ARGS)
