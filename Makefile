# `make demo` and `make test` need a Python 3.11 or newer and nothing else: tools/set-up makes .venv.
READY := .venv/.ready
BIN := .venv/bin

.PHONY: help demo test check hosts format bench docs lock clean

help:
	@echo 'make demo    run the main workflow over example skills, in .demo/'
	@echo 'make test    run every test'
	@echo '             ARGS="--environments all": all promises in each environment, not a part in those that are slow to start'
	@echo 'make check   format, lint, types, import contracts, generated docs'
	@echo 'make hosts   check with the real Claude Code, OpenClaw and MCP inspector (needs npm, else says that it was skipped)'
	@echo 'make bench   print the benchmark tables'
	@echo 'make docs    write the generated parts of docs/'
	@echo 'make lock    write requirements.lock anew (needs uv)'
	@echo 'make clean   remove what the other rules made'

$(READY): requirements.lock pyproject.toml tools/set-up
	@sh tools/set-up

demo: $(READY)
	@sh tools/demo

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/command_line_reference.py --check

hosts: $(READY)
	$(BIN)/python tools/check_hosts.py

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	@for script in benchmarks/*.py benchmarks/learning; do $(BIN)/python "$$script" || exit 1; done

docs: $(READY)
	$(BIN)/python tools/command_line_reference.py

lock:
	uv pip compile pyproject.toml --extra mcp --group dev --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --quiet --output-file requirements.lock

clean:
	rm -rf .venv .demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
