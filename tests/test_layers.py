"""A package imports only from lines above its own, and inside a package there is no circle. Names of packages, not of files."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
LAYERS = (
    "errors ids limits logs zero_gpu",
    "types i18n",
    "http ledger upstream",
    "auth chat",
    "api config gate page",
    "factory",
    "check deploy",
    "app cli client",
    "server __main__",
)
LIBRARIES = {
    "gradio": "page",
    "huggingface_hub": "upstream deploy",
    "aiohttp": "upstream",
    "jwt": "auth",
    "sqlite3": "ledger",
    "redis": "ledger",
}
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names.split()}


def imports() -> Iterator[tuple[str, str]]:
    """Each module with each name that it imports, as `hfchat.chat.turns`."""
    for path in (ROOT / "hfchat").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((module, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((module, f"{node.module}.{alias.name}") for alias in node.names)


def package_of(name: str) -> str:
    return f"{name}.".split(".")[1]


def test_a_package_imports_only_from_lines_above_its_own() -> None:
    ours = [(module, name) for module, name in imports() if name.startswith("hfchat.") and package_of(name) in LAYER_OF]
    assert len({package_of(module) for module, _ in ours}) > 15
    wrong = [
        f"{module} imports {name}"
        for module, name in ours
        if package_of(module) != package_of(name) and LAYER_OF.get(package_of(module), 0) <= LAYER_OF[package_of(name)]
    ]
    assert not wrong


def test_every_module_is_in_the_table() -> None:
    assert {package_of(module) for module, _ in imports()} - {"__init__"} <= LAYER_OF.keys()


def test_there_is_no_circle() -> None:
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "hfchat").rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for module, name in imports():
        imported = name if name in modules else name.rpartition(".")[0]
        if imported in modules:
            graph.setdefault(module, set()).add(imported)
    list(TopologicalSorter(graph).static_order())


def test_a_library_is_known_to_few_packages() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, name in imports()
        if package_of(module) not in LIBRARIES.get(name.split(".")[0], package_of(module)).split()
    ]
    assert not wrong
