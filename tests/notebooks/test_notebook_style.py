"""Every lesson keeps the shape of a lesson, and each rule finds what breaks it."""

import copy
from collections.abc import Callable

import nbformat
import pytest

from tests.notebooks.lessons import FOLDER, NAMES, file_of, following
from tests.notebooks.links import broken_links
from tests.notebooks.rules_of_code import FIRST_CODE
from tests.notebooks.rules_of_code import RULES as RULES_OF_CODE
from tests.notebooks.rules_of_prose import RESEARCH_ONLY
from tests.notebooks.rules_of_prose import RULES as RULES_OF_PROSE

RULES = (*RULES_OF_PROSE, *RULES_OF_CODE)

Change = Callable[[nbformat.NotebookNode], None]

NAME = NAMES[3]
OPENING = f"""# 03 · A small lesson

What this step is for.

**After this notebook you can**

- say one thing
- say another
- measure a third

15 minutes · before it: 02 · needs: nothing but the demo study

*{RESEARCH_ONLY}* The demo study is simulated.

To use your own study, change the one line below."""
ANSWER = "<details><summary>Answer</summary>\n\nBecause it is so.\n\n</details>"
CLOSING = f"""## With your own scans

The study must have labels.

## Questions

1. Why is it so?

{ANSWER}

2. And why not?

{ANSWER}

Next: [04]({following(NAME)}) · [glossary](glossary.md)"""


def lesson() -> nbformat.NotebookNode:
    """A lesson that keeps every rule."""
    v4 = nbformat.v4
    said = "These are all the scans of the study; the paper's are in Table 1."
    cells = [
        v4.new_markdown_cell(OPENING),
        v4.new_code_cell(FIRST_CODE),
        v4.new_markdown_cell(said),
        v4.new_code_cell("study.cohort.head()"),
        v4.new_markdown_cell(CLOSING),
    ]
    for number, cell in enumerate(cells, start=1):
        cell.id = f"small-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "title": "A small lesson"})
    made.nbformat_minor = 5
    return made


def said(at: int, old: str, new: str) -> Change:
    """A cell with one passage changed, which is there."""

    def change(lesson):
        assert old in lesson.cells[at].source
        lesson.cells[at].source = lesson.cells[at].source.replace(old, new)

    return change


def with_code(source: str) -> Change:
    return said(3, "study.cohort.head()", source)


def kept(**what: object) -> Change:
    return lambda lesson: lesson.cells[3].update(what)


STREAM = nbformat.v4.new_output("stream", name="stdout", text="24 scans")
DOUBLE = "[[s.mass for s in pair] for pair in study.pairs]"

#: What breaks each rule.
BROKEN: dict[str, list[Change]] = {
    "the_title_comes_first": [said(0, "# 03 ·", "# 04 ·"), lambda n: n.cells.pop(0)],
    "three_goals_follow_the_title": [said(0, "- measure a third\n", "")],
    "the_opening_says_minutes_and_what_goes_before": [said(0, "15 minutes", "Some minutes")],
    "the_opening_says_research_only": [said(0, RESEARCH_ONLY, "")],
    "the_opening_says_simulated": [said(0, "simulated", "small")],
    "the_one_line_to_change_is_the_first_code": [said(1, '"demo"', '"out/mine"')],
    "no_other_line_names_the_study": [with_code('open_study("demo").cohort')],
    "prose_stands_before_each_code_cell": [
        lambda n: n.cells.pop(2),
        said(2, "These are all the scans of the study; the paper's are in Table 1.", "## Scans"),
    ],
    "a_cell_has_at_most_four_lines_beside_imports": [
        with_code("import pandas\n\na = 1\nb = 2\nc = 3\nd = 4\na + b + c + d")
    ],
    "no_line_of_code_is_wider_than_the_page": [with_code("study.cohort.head(" + 90 * "1" + ")")],
    "nothing_is_defined": [
        with_code("def f():\n    return 1"),
        with_code("class A:\n    pass"),
        with_code("study.cohort.apply(lambda row: row)"),
    ],
    "nothing_is_looped_over": [
        with_code("for scan in study.cohort:\n    scan"),
        with_code("while True:\n    pass"),
    ],
    "a_cell_has_at_most_one_comprehension": [with_code(DOUBLE)],
    "cells_are_python_without_shell_or_magic": [
        with_code("!ls"), with_code("%time study"), with_code("study?"),
        with_code("get_ipython().system('ls')"), with_code("exec('1')"),
    ],
    "nothing_is_printed": [with_code("print(study.cohort)")],
    "only_public_names_are_used": [
        with_code("study._table('x', [])"),
        with_code("from cacnb.studies.opened import _demo_study"),
        with_code("import cacnb._hidden"),
    ],
    "imports_come_from_the_package": [
        with_code("import subprocess"), with_code("from torch import nn"),
    ],
    "no_scan_is_named": [
        with_code('study.scan("sim00500_bh")'), with_code('study.scan("/home/me/scan")'),
    ],
    "a_result_stands_beside_the_papers": [said(2, "Table 1", "a table")],
    "it_says_what_changes_with_own_scans": [said(4, "## With your own scans", "## Other scans")],
    "two_or_three_questions_end_it_with_answers_folded": [
        said(4, "## Questions", "## Asked"),
        said(4, "<details><summary>Answer</summary>\n\n", ""),
        said(4, f"2. And why not?\n\n{ANSWER}", ""),
        said(4, "2. And why not?", ""),
        said(4, "<details><summary>Answer</summary>\n\n", "<details><summary>Answer</summary>\n"),
    ],
    "the_last_line_leads_on_and_to_the_glossary": [
        said(4, following(NAME), "01_curating_the_data.ipynb"),
        said(4, "[glossary](glossary.md)", "glossary"),
    ],
    "links_lead_to_files_that_are_there": [
        said(2, "Table 1", "[Table 1](nowhere.md)"),
        said(2, "Table 1", "[Table 1](glossary.md#no-such-word)"),
        said(2, "Table 1", "[Table 1](http://insecure.example/table)"),
    ],
    "pictures_have_a_text": [
        said(2, "Table 1", "![](heart.png)"), said(2, "Table 1", '<img src="heart.png">'),
    ],
    "formulae_are_plain_text": [said(2, "Table 1", "$x^2$")],
    "nothing_of_a_run_is_kept": [
        kept(outputs=[STREAM]), kept(execution_count=4), kept(metadata={"execution": {}}),
        lambda n: n.metadata.update(widgets={}),
    ],
    "it_is_whole_and_its_cells_keep_their_names": [
        lambda n: n.update(nbformat_minor=4),
        lambda n: n.metadata.update(kernelspec={"name": "conda"}),
        lambda n: n.metadata.pop("title"),
        lambda n: n.cells[2].update(id="3f9c2a7e"),
        lambda n: n.cells[2].update(id="small-1"),
    ],
}  # fmt: skip

CASES = [
    pytest.param(rule, change, id=f"{rule.__name__}-{number}")
    for rule in RULES
    for number, change in enumerate(BROKEN[rule.__name__], start=1)
]


def test_the_course_has_ten_lessons_and_no_others():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", RULES, ids=[rule.__name__ for rule in RULES])
def test_in_every_lesson(rule, name):
    assert rule(nbformat.read(file_of(name), as_version=4), name) == []


@pytest.mark.parametrize("rule", RULES, ids=[rule.__name__ for rule in RULES])
def test_a_lesson_in_good_shape_keeps(rule):
    assert rule(lesson(), NAME) == []


@pytest.mark.parametrize(("rule", "change"), CASES)
def test_a_lesson_out_of_shape_breaks(rule, change):
    broken = copy.deepcopy(lesson())
    change(broken)
    assert rule(broken, NAME) != []


@pytest.mark.parametrize("name", NAMES)
def test_every_lesson_is_valid_by_the_notebook_format(name):
    nbformat.validate(nbformat.read(file_of(name), as_version=4))


@pytest.mark.parametrize("file", ["README.md", "glossary.md"])
def test_the_links_of_the_course_lead_somewhere(file):
    assert broken_links((FOLDER / file).read_text(encoding="utf-8"), FOLDER) == []
