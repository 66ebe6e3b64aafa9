"""The import rules that keep the tree an architecture: a DAG, a pure core, effects at the edge."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "flakegate").rglob("*.py"))
}
PURE = (
    "flakegate.errors",
    "flakegate.model",
    "flakegate.version",
    "flakegate.times",
    "flakegate.policy",
    "flakegate.junit",
    "flakegate.reading",
    "flakegate.identity",
    "flakegate.results",
    "flakegate.record",
    "flakegate.attribution",
    "flakegate.undo",
    "flakegate.entries",
    "flakegate.error_tracking.followups",
    "flakegate.error_tracking.issue",
    "flakegate.error_tracking.match",
    "flakegate.error_tracking.page",
    "flakegate.error_tracking.query",
    "flakegate.error_tracking.steps",
    "flakegate.error_tracking.windows",
    "flakegate.error_tracking.wire",
    "flakegate.backends.store.bitmap",
    "flakegate.backends.store.detection",
    "flakegate.matching",
    "flakegate.gate",
    "flakegate.excuse",
    "flakegate.change",
    "flakegate.doctor",
    "flakegate.forges",
    "flakegate.publish.annotations",
    "flakegate.publish.groups",
    "flakegate.publish.status",
    "flakegate.publish.sticky",
    "flakegate.snapshot",
    "flakegate.ci",
    "flakegate.render",
    "flakegate.summary",
    "flakegate.wording",
    "flakegate.escape",
    "flakegate.explain",
    "flakegate.explained",
    "flakegate.deselect",
    "flakegate.drift",
    "flakegate.starter",
    "flakegate.hosted",
    "flakegate.answers",
    "flakegate.redaction",
    "flakegate.transport.address",
    "flakegate.transport.limits",
    "flakegate.backends.datadog.access",
    "flakegate.backends.datadog.own_rules",
    "flakegate.backends.datadog.query",
    "flakegate.backends.datadog.wire",
    "flakegate.wire",
    "flakegate.server.cursor",
    "flakegate.server.limits",
    "flakegate.server.listed",
    "flakegate.server.listing",
    "flakegate.server.query",
    "flakegate.server.refusal",
)
EFFECTS = {
    "click", "fcntl", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "requests", "rich", "secrets", "shutil", "socket", "sqlalchemy", "sqlite3", "subprocess",
    "sys", "tempfile", "threading", "time", "urllib.request", "urllib3",
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter", "open", "print", "input"}


def _imports(path: Path) -> set[str]:
    """Every module that a file imports, however deep in it and whether for types only or not."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {
                name if (name := f"{module}.{alias.name}") in FILES else module
                for alias in node.names
            }
    return found


def _is_pure(module: str) -> bool:
    return any(module == pure or module.startswith(pure + ".") for pure in PURE)


PURE_FILES = sorted(module for module in FILES if _is_pure(module))


def test_imports_form_a_dag() -> None:
    graph = {module: _imports(path) & set(FILES) for module, path in FILES.items()}
    order = list(TopologicalSorter(graph).static_order())
    assert set(order) >= set(FILES)


@pytest.mark.parametrize("module", PURE_FILES)
def test_pure_files_import_no_effects(module: str) -> None:
    imported = _imports(FILES[module])
    effects = {name for name in imported if name in EFFECTS or name.split(".")[0] in EFFECTS}
    assert not effects
    assert not {name for name in imported if name in FILES and not _is_pure(name)}


@pytest.mark.parametrize("module", PURE_FILES)
def test_pure_files_call_no_clock_and_no_disk(module: str) -> None:
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            assert name not in CLOCKS, f"{module}:{node.lineno} calls {name}()"


BELOW_CLI = sorted(
    module for module in FILES if not module.startswith(("flakegate.cli", "flakegate.__main__"))
)


@pytest.mark.parametrize("module", BELOW_CLI)
def test_nobody_imports_the_command_line(module: str) -> None:
    assert not {name for name in _imports(FILES[module]) if name.startswith("flakegate.cli")}


def test_the_command_line_and_the_server_are_siblings() -> None:
    """Only by the name in its list does the command line find the server's commands."""
    server = {module for module in FILES if module.startswith("flakegate.server.")}
    assert server
    for module in FILES.keys() - server:
        assert not server & _imports(FILES[module]), module


def test_only_transport_speaks_http() -> None:
    speakers = {"requests", "urllib3", "http.client", "urllib.request", "socket"}
    found = {module for module, path in FILES.items() if _imports(path) & speakers}
    others = {module for module in found if not module.startswith("flakegate.transport.")}
    assert others == {"flakegate.server.serve"}  # which listens


def test_init_files_are_empty() -> None:
    inits = {module: path for module, path in FILES.items() if path.name == "__init__.py"}
    assert [module for module, path in inits.items() if path.read_text()] == []
