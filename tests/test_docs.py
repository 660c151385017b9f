"""The documents say what the code does: their tables are held against it, their links and words are followed."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pagebind import __version__, errors
from pagebind.app.report import VolumeReport
from pagebind.cli import session
from pagebind.cli.documents import EMPTY
from pagebind.cli.main import pagebind
from pagebind.config import SETTINGS
from pagebind.core import keys, layout, naming, planner
from pagebind.core.layout_pattern import parse_layout
from pagebind.core.planner import Action, Problem, State
from pagebind.core.watch import Watch
from pagebind.errors import PagebindError

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "shared" / "pagebind"
README = ROOT / "README.md"
DESIGN = ROOT / "docs" / "design.md"
FAULTS = ROOT / "docs" / "faults.md"
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
GUIDES = sorted(path for path in (ROOT / "docs").glob("*.md") if path != DESIGN)
DOCUMENTS = [README, DESIGN, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *GUIDES, *ADRS]

# First parts of absolute paths that the documents may show: of examples, of servers, of URLs.
EXAMPLE_ROOTS = {
    "home",
    "comics",
    "absolute",
    "path",
    "d",
    "__demo__",
    "config",
    "data",
    "run",
    "secrets",
    "spec",
    "srv",
}


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def section(document: Path, heading: str) -> str:
    """The text below a heading, up to the next one of the same or a higher level."""
    level = heading.partition(" ")[0]
    found = re.search(rf"(?ms)^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", text_of(document))
    assert found, f"{document.name} has no {heading!r}"
    return found[1]


def rows(text: str, head: str) -> list[list[str]]:
    """The cells of the one table whose first cell is ``head``."""
    tables = [block for block in re.findall(r"(?m)(?:^\|.*\n)+", text) if block.startswith(f"| {head} |")]
    assert len(tables) == 1, f"{len(tables)} tables begin with {head!r}"
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in tables[0].splitlines()[2:]]


def coded(text: str) -> list[str]:
    """All that stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


def test_the_settings_table_is_the_schema() -> None:
    expected = [
        [
            f"`{setting.name}`",
            "required" if setting.required else f"`{setting.default_text}`" if setting.default_text else "none",
            setting.meaning,
            f"`{setting.variable}`" if setting.variable else "none",
        ]
        for setting in SETTINGS
    ]
    assert rows(text_of(README), "setting") == expected


def test_the_trees_become_the_books_that_the_readme_names() -> None:
    table = rows(section(README, "## Folders to books"), "folder with pages")
    assert table
    for folder, book in table:
        placed = layout.name_volume("/comics", folder.strip("`"))
        assert f"`{naming.call(Watch('/comics', '{series}/{volume}.cbz'), placed).key}`" == book


def test_the_layouts_of_the_readme_become_the_books_that_it_names() -> None:
    table = rows(section(README, "## Folders to books"), "layout")
    assert len(table) > 2
    for pattern, library, folders, book in table:
        watch = Watch("/comics", coded(library)[0], layout=parse_layout(coded(pattern)[0]))
        for folder in coded(folders):
            placed = watch.layout.place(watch.path, folder)
            assert placed, folder
            assert f"`{naming.call(watch, placed).key}`" == book


def test_every_command_of_the_readme_exists_and_every_command_is_in_it() -> None:
    named = {coded(cell)[0].split()[1] for cell, _ in rows(section(README, "## Commands"), "command")}
    assert named == set(pagebind.list_commands(click.Context(pagebind)))
    used = set(re.findall(r"(?:bin/|`)pagebind ([a-z]+)", text_of(README)))
    assert used <= named
    for name in named:
        result = CliRunner().invoke(pagebind, [name, "--help"])
        assert result.exit_code == 0, result.output


def test_every_option_of_the_readme_exists() -> None:
    helps = "".join(CliRunner().invoke(pagebind, [name, "--help"]).output for name in EMPTY)
    ours = re.sub(r"(?m)^.*functions-framework --.*$|`?gcloud [^`\n]*", "", text_of(README))
    options = set(re.findall(r"(?<=[ `])--[a-z][a-z-]*", ours))
    assert {"--json", "--settle", "--exit-code"} <= options
    assert sorted(option for option in options if option not in helps) == []


def test_the_exit_statuses_are_those_of_the_command() -> None:
    statuses = [status for status, _ in rows(section(README, "## Commands"), "status")]
    known = (session.OK, session.FAILED, session.WRONG_USE, session.UNFINISHED, session.WORK)
    assert statuses == [*map(str, known), "130, 143"]


def test_the_json_shapes_are_those_of_the_command() -> None:
    table = {coded(command)[0]: words for command, words in rows(section(README, "## For machines"), "command")}
    assert set(table) == set(EMPTY)
    for command, words in table.items():
        reference = coded(words)[0] if words.startswith("as ") else None
        assert (coded(table[reference]) if reference else coded(words)) == list(EMPTY[command])


def test_volumes_and_problems_have_the_fields_that_the_readme_names() -> None:
    machines = section(README, "## For machines")
    volume, states, actions, problem = (
        coded(found[1])
        for found in (
            re.search(r"(?s)- A volume: (.*?)\. States", machines),
            re.search(r"(?s)States are (.*?);", machines),
            re.search(r"(?s)actions (.*?)\. Times", machines),
            re.search(r"(?s)- A problem: (.*?)\. Codes", machines),
        )
        if found
    )
    assert volume == list(VolumeReport._fields)
    assert states == [state.value for state in State]
    assert actions == [action.value for action in Action]
    assert problem == list(Problem._fields)


def test_the_codes_are_those_of_errors_and_held_volumes() -> None:
    found = re.search(r"Codes are (.*?)\.\n", section(README, "## For machines"))
    assert found
    held = set(re.findall(r'_hold\(\s*facts,\s*"([a-z_]+)"', text_of(Path(planner.__file__))))
    assert held >= {"shrunk", "foreign"}
    assert set(coded(found[1])) == {error.code for error in all_errors()} | held


def all_errors() -> list[type[PagebindError]]:
    return [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, PagebindError) and one is not PagebindError
    ]


def test_the_design_names_every_error_with_its_code() -> None:
    table = {coded(name)[0]: code for name, code, _ in rows(section(DESIGN, "## Errors"), "class")}
    assert table == {error.__name__: error.code for error in all_errors()}


def test_the_key_prefixes_are_those_of_the_code() -> None:
    state = section(DESIGN, "## State is the presence of objects")
    named = {coded(key)[0].partition("/")[0] + "/" for key, *_ in rows(state, "key")}
    built = {value for name, value in vars(keys).items() if name.isupper() and str(value).endswith("/")}
    assert named == built


def test_the_state_table_names_functions_and_states_that_exist() -> None:
    table = rows(section(DESIGN, "## The state table"), "#")
    assert [number for number, *_ in table] == [str(number) for number in range(1, len(table) + 1)]
    for _, _, state, action, functions in table:
        assert state in {one.value for one in State}
        assert action.partition(";")[0] in {one.value for one in Action}
        for function in coded(functions):
            assert callable(getattr(planner, function))


def test_every_source_file_that_the_design_names_is_there() -> None:
    named = [word for word in coded(text_of(DESIGN)) if re.fullmatch(r"[\w./-]+/[\w-]*(?:\.py)?", word)]
    files = {word for word in named if word.endswith(".py")}
    assert "core/planner.py" in files
    missing = [file for file in files if not (PACKAGE / file).is_file() and not (ROOT / file).is_file()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_local_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (document.parent / file).resolve() if file else document
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"(?m)^#+ (.+)$", text_of(document))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_no_document_names_a_path_of_some_machine_or_a_package_index(document: Path) -> None:
    text = text_of(document)
    roots = re.findall(r"(?<![\w./<>*)}~…-])/(\w+)/", text)
    assert set(roots) <= EXAMPLE_ROOTS
    assert "../shared" not in text
    assert not re.search(r"(?i)\bpypi\b|simple/|index-url", text)


@pytest.mark.parametrize("adr", ADRS, ids=lambda adr: adr.name)
def test_a_decision_is_dated_and_says_why_and_what_follows(adr: Path) -> None:
    text = text_of(adr)
    number = int(adr.name[:4])
    assert text.startswith(f"# {number}. ")
    assert re.search(r"(?m)^\d{4}-\d{2}-\d{2}, \w+$", text)
    assert re.findall(r"(?m)^## (.+)$", text) == ["Context", "Decision", "Consequences"]


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(adr.name[:4]) for adr in ADRS] == list(range(1, len(ADRS) + 1))


def test_each_outcome_of_a_function_names_a_test_that_is_there() -> None:
    table = rows(section(DESIGN, "## Functions"), "outcome")
    named = {name for row in table for name in coded(row[-1])}
    sources = "".join(text_of(path) for path in (ROOT / "tests" / "functions").glob("test_*.py"))
    assert all(coded(row[-1]) for row in table)
    assert named <= set(re.findall(r"(?m)^def (test_\w+)", sources))


def test_each_fault_names_its_errors_and_a_test_that_is_there() -> None:
    errors = {error.__name__ for error in all_errors()}
    headings = re.findall(r"(?m)^## .*$", text_of(FAULTS))
    table = [row for heading in headings for row in rows(section(FAULTS, heading), "case")]
    for case, _, error, shown in table:
        assert error == "none" or (coded(error) and set(coded(error)) <= errors), case
        assert coded(shown), case
        for path, _, name in (test.partition("::") for test in coded(shown)):
            assert re.search(rf"(?m)^ *def {re.escape(name)}\(", text_of(ROOT / "tests" / path)), (
                f"{case}: {path}::{name}"
            )


def test_the_changelog_has_this_version() -> None:
    assert f"## [{__version__}]" in text_of(ROOT / "CHANGELOG.md")


def test_the_two_commands_stand_in_the_readme_as_they_are_run() -> None:
    readme = text_of(README)
    assert "\npython3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/pagebind demo\n" in readme
    assert "\ntests/run\n" in readme
    assert (ROOT / "tests" / "run").stat().st_mode & 0o111
