"""The shape of the code: imports go one way, heavy libraries have one home, tasks one owner, importing is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "edgeos"

LAYERS = {
    0: ["__init__", "events", "errors", "clock"],
    1: [
        "channel",
        "memory",
        "data",
        "segment",
        "sentences",
        "spoken",
        "figures",
        "numerals",
        "markdown",
        "scene",
        "fusion",
        "templates",
        "metrics",
    ],
    2: ["worker", "manifest", "budget", "fetch", "pipindex", "store", "engines", "engines.ort", "hearing"],
    3: ["engines.*", "sources", "sources.*", "sinks", "portaudio", "loudspeaker", "crew"],
    4: ["profile", "stages"],
    5: ["conversation", "assemble"],
    6: ["session", "once", "demo", "testing"],
    7: ["cli", "cli.*", "__main__"],
}

HOMES = {
    "onnxruntime": {"engines.ort"},
    "llama_cpp": {"engines.llama_context"},
    "sounddevice": {"portaudio"},
    "cv2": {"sources.picture", "sources.camera", "engines.classifier", "engines.ppocr", "demo"},
    "piper": {"engines.piper"},
}


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if "_data" not in path.parts}


def layer_of(module):
    for layer, names in LAYERS.items():
        if module in names:
            return layer
    for layer, names in LAYERS.items():
        if any(name.endswith(".*") and module.startswith(name[:-1]) for name in names):
            return layer
    raise AssertionError(f"edgeos.{module} is in no layer: add it to LAYERS and to docs/architecture.md")


def imports_of(path):
    """Every import outside `if TYPE_CHECKING`, as (module, at top level)."""
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    top = set(tree.body)
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node in top
            if node.module.startswith("edgeos"):
                yield from ((f"{node.module}.{alias.name}", node in top) for alias in node.names)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_to_lower_layers(module):
    for imported, _ in imports_of(MODULES[module]):
        target = imported.removeprefix("edgeos.")
        if not imported.startswith("edgeos.") or target not in MODULES or target == module:
            continue
        same_family = target.split(".")[0] == module.split(".")[0] and layer_of(target) == layer_of(module)
        below = layer_of(target) < layer_of(module)
        helper = layer_of(target) == layer_of(module) and (same_family or is_helper(module, target))
        assert below or helper, f"edgeos.{module} ({layer_of(module)}) imports edgeos.{target} ({layer_of(target)})"


def is_helper(module, target):
    """Within a layer an import is allowed one way: never back to the importer."""
    return all(imported != f"edgeos.{module}" for imported, _ in imports_of(MODULES[target]))


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_stay_home(module):
    for imported, top in imports_of(MODULES[module]):
        library = imported.split(".")[0]
        if library in HOMES:
            assert module in HOMES[library], f"edgeos.{module} imports {library}"
            assert not top, f"edgeos.{module} imports {library} at its top: do it inside the function that needs it"
        assert library not in {"torch", "transformers", "optimum", "edgeos_quantize"}, f"edgeos.{module}: {library}"


@pytest.mark.parametrize("module", MODULES)
def test_tasks_belong_to_a_task_group(module):
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Attribute) and node.attr in {"create_task", "ensure_future"}:
            owner = getattr(node.value, "id", "")
            assert owner == "tasks", f"edgeos.{module}:{node.lineno} makes a task outside a task group"


def test_importing_edgeos_and_its_command_line_loads_nothing_heavy():
    heavy = [*HOMES, "numpy", "soundfile", "soxr", "torch", "transformers"]
    code = f"import edgeos, edgeos.cli, sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
