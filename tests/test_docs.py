"""Runs every Python block of README.md and of the pages in docs/.

A page becomes one test module: its Python blocks stand at the lines at which they stand in the page, all other
lines are empty.  So a page is read and run from top to bottom, later blocks use the imports of earlier ones, and a
failure names a line of the page.  A block with a title, in whatever language, is a file of that name beside the
module; those of index.md are there for every page.  pytest runs the module in a process of its own, with warnings
as errors, and every test that the page defines has to pass.
"""

import ast
import importlib.util
import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import comfystub

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r'(?P<indent> *)```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?')
PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}


def script(path):
    """A script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables, plot = script("tools/build_tables.py"), script("benchmarks/plot.py")


class Block(NamedTuple):
    """A fenced block; ``line`` is that of its first line of code, from 0 on."""

    language: str
    title: str | None
    line: int
    lines: list[str]

    @property
    def text(self):
        return "".join(line + "\n" for line in self.lines)


def blocks(page):
    """The fenced blocks of a page."""
    found, opened = [], None
    for number, line in enumerate(page.splitlines()):
        fence = FENCE.fullmatch(line)
        if opened is None and fence is not None:
            assert not fence["indent"], f"line {number + 1}: a block that is indented would not be run"
            opened = Block(fence["language"], fence["title"], number + 1, [])
        elif opened is not None and line == "```":
            found.append(opened)
            opened = None
        elif opened is not None:
            opened.lines.append(line)
    assert opened is None, f"the block at line {opened.line} has no end"
    return found


def is_test(block):
    """Whether a block is run as a part of its page's module."""
    return block.language == "python" and block.title is None


def module_of(page):
    """The page as a module: its untitled Python blocks, at their lines."""
    lines = [""] * len(page.splitlines())
    for block in filter(is_test, blocks(page)):
        lines[block.line : block.line + len(block.lines)] = block.lines
    return "\n".join(lines) + "\n"


def names_of_tests(source):
    """The names of the tests that a piece of code defines, methods with their class, as pytest has them."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = []
    for node in ast.parse(source).body:
        prefix, body = (f"{node.name}::", node.body) if isinstance(node, ast.ClassDef) else ("", [node])
        names += [
            prefix + one.name for one in body if isinstance(one, functions) and one.name.startswith("test")
        ]
    return names


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "index.md",
        "patch.md",
        "pytest.md",
        "unittest.md",
        "clients.md",
        "async.md",
        "websocket.md",
        "several-servers.md",
        "from-a-fake.md",
        "from-a-port.md",
        "custom-nodes.md",
        "your-server.md",
        "looks.md",
        "failures.md",
        "scenarios.md",
        "time.md",
        "insight.md",
        "report.md",
        "command-line.md",
        "stays-true.md",
        "not-simulated.md",
        "concurrency.md",
        "nodes.md",
    ],
)
def test_a_page(pytester, name):
    page = PAGES[name]
    for block in [*blocks(PAGES["index.md"]), *blocks(page)]:
        if block.title is not None:
            (pytester.path / block.title).write_text(block.text, encoding="utf-8")
    module = module_of(page)
    (pytester.path / "test_page.py").write_text(module, encoding="utf-8")

    asyncio = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    result = pytester.runpytest_subprocess("-rA", "-W", "error", "-p", "no:hypothesispytest", *asyncio)

    assert set(result.parseoutcomes()) == {"passed"}
    passed = re.findall(r"^PASSED test_page.py::([\w:]+)", result.stdout.str(), re.MULTILINE)
    assert set(passed) == set(names_of_tests(module))


@pytest.mark.parametrize("name", PAGES)
def test_every_block_is_a_test(name):
    names = []
    for block in filter(is_test, blocks(PAGES[name])):
        tests = names_of_tests(block.text)
        assert tests, f"the block at line {block.line} has no test"
        names += tests
    assert len(names) == len(set(names)), "a later test of the same name would take an earlier one's place"


def test_pages_without_blocks():
    without = {name for name, page in PAGES.items() if not any(map(is_test, blocks(page)))}
    assert without == {"decisions.md", "reference.md", "routes.md", "speed.md"}


@pytest.mark.parametrize("table", tables.TABLES)
def test_a_table_is_as_its_source_has_it(table):
    page = PAGES[tables.TABLES[table][0]]
    assert tables.written(table, page) == page, "python tools/build_tables.py"


def test_the_plots_are_drawn_from_the_results():
    results = json.loads((ROOT / "docs" / "speed.json").read_text(encoding="utf-8"))
    plots = (ROOT / "docs" / "images").glob("speed-*.svg")
    assert plot.drawn(results) == {path.name: path.read_text(encoding="utf-8") for path in plots}, (
        "python benchmarks/plot.py docs/speed.json docs/images"
    )


def test_every_public_name_is_in_the_reference():
    assert set(re.findall(r"^::: comfystub\.(\w+)$", PAGES["reference.md"], re.MULTILINE)) == set(
        comfystub.__all__
    )


def test_links_of_the_readme():
    links = re.findall(r"\]\(([^)#]+)", PAGES["README.md"])
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
