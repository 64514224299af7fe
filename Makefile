# Needs python3 (3.11 to 3.13) and make; installs everything else into .venv/.
#
# Two stamps record what is installed, so that `make demo` needs no developers' tools:
# .venv/.installed-cpu (or -gpu) and .venv/.dev. A change of pyproject.toml or constraints.txt
# renews both.

MAKEFLAGS += --no-print-directory
# Python compiles what pip leaves uncompiled, and must keep it: else each process does it again.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help demo test tools faults containers lint audit bench pictures screenshots clean

ifdef GPU
FLAVOUR := gpu
OTHER := cpu
else
FLAVOUR := cpu
OTHER := gpu
endif

BIN := .venv/bin
INSTALLED := .venv/.installed-$(FLAVOUR)
DEV := .venv/.dev
TOOLS := .venv/tools
EXTRAS := api,$(FLAVOUR),train,local,demo,tables,watch
# --no-compile, since compiling all of TensorFlow and SciPy takes pip longest. Python compiles the
# modules that it imports.
PIP_INSTALL := $(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check \
	-c constraints.txt
# Each test process starts its own servers when it needs them.
JOBS := 2
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

help: ## Show this list
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile
	@echo "GPU=1 installs TensorFlow for NVIDIA GPUs. PYTHON=path selects the interpreter."

# The demo's servers keep their data in the checkout, not in the home folder.
demo: export FACETAG_DATA_DIR ?= $(CURDIR)/build/data
# Nothing of the demo stays up.
demo: export FACETAG_LINGER_S ?= 0
demo: $(INSTALLED) ## Tag the sample photos (or PHOTOS=DIR) and write build/report.html
	@mkdir -p build
ifdef PHOTOS
	@status=0; $(BIN)/facetag tag "$$PHOTOS" --report build/report.html || status=$$?; \
	case $$status in \
	0) echo "Every photo could be read." ;; \
	3) echo "Some photos could not be read (exit status 3): the table says which, and why." ;; \
	*) echo "facetag tag stopped with exit status $$status." >&2; exit $$status ;; \
	esac
else
	@$(BIN)/python -m benchmarks.samples build/samples
	@status=0; $(BIN)/facetag tag build/samples --report build/report.html || status=$$?; \
	case $$status in \
	3) echo "Exit status 3, as it should be: some of the samples are damaged on purpose." ;; \
	0) echo "The samples hold damaged files, but facetag tag reported none (exit status 0)." >&2; \
		exit 1 ;; \
	*) echo "facetag tag stopped with exit status $$status." >&2; exit $$status ;; \
	esac
endif
	@echo "The report: open build/report.html in a browser."

test: $(DEV) ## Run all tests (ARGS="-k name" selects some)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

tools: $(TOOLS)/.installed ## Test exports and clusters with Label Studio, FiftyOne, Ray and Spark
	@$(TOOLS)/bin/python -m pytest -rs tests/unit/cli/exports tests/acceptance/test_clusters.py $(ARGS)

faults: $(DEV) ## Label 10,000 images under 200 faults; takes nearly an hour (ARGS="--seed 2")
	@$(BIN)/python -m tests.faults.long_trial $(ARGS)

containers: $(DEV) ## Start docker-compose.yml, use it, kill a worker, restart, remove it
	@$(BIN)/python -m tests.containers

lint: $(DEV) ## Check style, types and imports; with AUDIT=1 also known vulnerabilities
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(if $(AUDIT),$(MAKE) --no-print-directory audit,echo "Known vulnerabilities are not looked up: AUDIT=1 does.")

# The package index is asked about each package, so nobody does it by accident.
audit: $(DEV) ## Look up known vulnerabilities of the packages that are installed
	@said=$$($(PIP_INSTALL) 'pip-audit>=2.9,<3' 2>&1 && \
		$(BIN)/pip-audit --skip-editable --progress-spinner off 2>&1) || failed=1; \
	if echo "$$said" | grep -qiE 'connection|retries|resolve|timed out|no matching'; then \
		echo "Known vulnerabilities are not looked up: the package index does not answer."; \
	else echo "$$said"; exit $${failed:-0}; fi

bench: $(DEV) ## Run the programs in benchmarks/ and print their figures
	@mkdir -p build
	@$(BIN)/python -m benchmarks.labelling_speed --plot build/pipeline.png
	@$(BIN)/python -m benchmarks.service_speed
	@$(BIN)/python -m benchmarks.start_time
	@$(BIN)/python -m benchmarks.scaling --plot build/scaling.png
	@$(BIN)/python -m benchmarks.memory --count 1000 --plot build/memory.png
	@$(BIN)/python -m benchmarks.api_memory
	@$(BIN)/python -m benchmarks.api_latency --images 100000 --seconds 20 --plot build/api-latency.png
	@$(BIN)/python -m benchmarks.upload_speed --files 1000 --rounds 3
	@if [ -f "$$FACETAG_TEST_DATA/part-1.tar" ]; then \
		$(BIN)/python -m benchmarks.network.same_faces "$$FACETAG_TEST_DATA/part-1.tar"; \
	else \
		echo "Skipped benchmarks.network.same_faces: set FACETAG_TEST_DATA to the folder of UTKFace's part-1.tar."; \
	fi
	@if [ -f "$$FACETAG_TEST_DATA/test.tar" ]; then \
		$(BIN)/python -m benchmarks.scenes "$$FACETAG_TEST_DATA/test.tar"; \
	else \
		echo "Skipped benchmarks.scenes: set FACETAG_TEST_DATA to the folder of UTKFace's test.tar."; \
	fi

pictures: $(DEV) ## Make the pictures of README and docs (ARGS="--only report"; needs Chromium)
	@$(BIN)/python -m benchmarks.pictures $(ARGS)

screenshots: $(DEV) ## Take each view of the page at 360 and 1440 pixels (needs Chromium)
	@$(BIN)/python -m benchmarks.pictures.page_pictures

clean: ## Remove build/ and the tools' caches, and keep .venv/
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

# TensorFlow for CPUs and TensorFlow for GPUs are two packages with the same files, so one can only
# replace the other in a fresh environment. A change of the Python version needs one too.
$(INSTALLED): pyproject.toml constraints.txt
	@if [ -e .venv/.installed-$(OTHER) ]; then rm -rf .venv; fi
	@if ! $(BIN)/python -c '$(SUPPORTED)' 2>/dev/null || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		rm -rf .venv; $(MAKE) .venv/bin/python; \
	fi
	@echo "Installing facetag into .venv/ (a few minutes the first time)"
	@$(PIP_INSTALL) -e '.[$(EXTRAS)]'
	@touch $@

$(DEV): $(INSTALLED) pyproject.toml constraints.txt
	@echo "Installing the developers' tools into .venv/"
	@$(PIP_INSTALL) -e '.[$(EXTRAS),jax,dev]'
	@touch $@

# These tools want other versions of packages than constraints.txt has.
$(TOOLS)/.installed: pyproject.toml tests/tools.txt | .venv/bin/python
	@echo "Installing facetag and the tools of tests/tools.txt into $(TOOLS)/ (4 GB, some minutes)"
	@rm -rf $(TOOLS)
	@$(BIN)/python -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install -qq --no-compile --disable-pip-version-check \
		-e '.[$(EXTRAS),dev]' -r tests/tools.txt
	@touch $@

.venv/bin/python:
	@found=""; bare=""; \
	for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
		"$$python" -c '$(SUPPORTED)' 2>/dev/null || continue; \
		if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then found="$$python"; break; fi; \
		bare="$${bare:-$$python}"; \
	done; \
	if [ -z "$$found" ] && [ -n "$$bare" ]; then \
		version=$$("$$bare" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "$$bare (Python $$version) cannot make virtual environments: ensurepip is missing." >&2; \
		echo "On Debian and Ubuntu: apt-get install python$$version-venv" >&2; \
		exit 1; \
	fi; \
	if [ -z "$$found" ]; then \
		echo "facetag needs Python 3.11, 3.12 or 3.13. TensorFlow has no wheel for 3.14, and other" >&2; \
		echo "libraries have none for 3.10. Found on this machine:" >&2; \
		for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
			version=$$("$$python" --version 2>/dev/null) && echo "  $$python is $$version" >&2; \
		done; \
		echo "Install one of the three (Debian: apt-get install python3 python3-venv), or give its" >&2; \
		echo "path: make PYTHON=path" >&2; \
		exit 1; \
	fi; \
	"$$found" -m venv .venv
