"""What the prose of a lesson says and where: rules, each a function that lists what breaks it.

A rule takes a lesson and the name of its file. None runs a notebook.
"""

import re

import nbformat

from tests.notebooks.lessons import FOLDER, following
from tests.notebooks.links import LINK, PICTURE, broken_links

Lesson = nbformat.NotebookNode

RESEARCH_ONLY = "Research use only: not a medical device."

DETAILS = re.compile(r"<details><summary>Answer</summary>\n\n(.+?)\n\n?</details>", re.DOTALL)


def text(lesson: Lesson) -> str:
    return "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")


def opening(lesson: Lesson) -> str:
    return str(lesson.cells[0].source) if lesson.cells[0].cell_type == "markdown" else ""


def the_title_comes_first(lesson: Lesson, name: str) -> list[str]:
    first = opening(lesson).split("\n")[0]
    wanted = rf"# {name[:2]} · \S.+"
    return [] if re.fullmatch(wanted, first) else [f"the first line is {first!r}"]


def three_goals_follow_the_title(lesson: Lesson, name: str) -> list[str]:
    _, found, after = opening(lesson).partition("**After this notebook you can**")
    goals = re.findall(r"^[-*] \S.+", after, re.MULTILINE)
    return [] if found and len(goals) == 3 else [f"{len(goals)} goals"]


def the_opening_says_minutes_and_what_goes_before(lesson: Lesson, name: str) -> list[str]:
    line = re.search(r"^\d+ minutes · before it: .+ · needs: .+$", opening(lesson), re.MULTILINE)
    return [] if line else ["no line `N minutes · before it: … · needs: …`"]


def the_opening_says_research_only(lesson: Lesson, name: str) -> list[str]:
    return [] if RESEARCH_ONLY in opening(lesson) else [f"not said: {RESEARCH_ONLY}"]


def the_opening_says_simulated(lesson: Lesson, name: str) -> list[str]:
    return [] if "simulated" in opening(lesson) else ["the demo study is not called simulated"]


def prose_stands_before_each_code_cell(lesson: Lesson, name: str) -> list[str]:
    bare = []
    for before, cell in zip([None, *lesson.cells], lesson.cells, strict=False):
        if cell.cell_type != "code":
            continue
        said = before.source if before is not None and before.cell_type == "markdown" else ""
        lines = [line for line in said.split("\n") if not line.startswith("#")]
        if len(" ".join(lines).split()) < 5:
            bare.append(f"before {cell.id}: {said!r}")
    return bare


def a_result_stands_beside_the_papers(lesson: Lesson, name: str) -> list[str]:
    cited = re.search(r"(Table|Figure|[Ss]ection|equation) \d", text(lesson))
    return [] if cited else ["no table, figure, section or equation of the paper is named"]


def it_says_what_changes_with_own_scans(lesson: Lesson, name: str) -> list[str]:
    own, questions = "## With your own scans\n", "## Questions\n"
    said = text(lesson) + "\n"
    return [] if 0 <= said.find(own) < said.find(questions) else [f"no {own.strip()!r} before it"]


def two_or_three_questions_end_it_with_answers_folded(lesson: Lesson, name: str) -> list[str]:
    _, found, after = text(lesson).partition("## Questions\n")
    answers = DETAILS.findall(after)
    questions = re.findall(r"^\d\. \S.+", DETAILS.sub("", after), re.MULTILINE)
    if not found or not 2 <= len(answers) <= 3 or after.count("<details") != len(answers):
        return [f"{len(answers)} folded answers"]
    return [] if len(questions) == len(answers) else [f"{len(questions)} numbered questions"]


def the_last_line_leads_on_and_to_the_glossary(lesson: Lesson, name: str) -> list[str]:
    last = lesson.cells[-1].source.strip().split("\n")[-1]
    links = LINK.findall(last)
    missing = {following(name), "glossary.md"} - set(links)
    return [f"the last line does not link to {file}" for file in sorted(missing)]


def links_lead_to_files_that_are_there(lesson: Lesson, name: str) -> list[str]:
    return broken_links(text(lesson), FOLDER)


def pictures_have_a_text(lesson: Lesson, name: str) -> list[str]:
    return [found.group() for found in PICTURE.finditer(text(lesson)) if not found.group(1)]


def formulae_are_plain_text(lesson: Lesson, name: str) -> list[str]:
    """What draws TeX is fetched from a network in a published page."""
    return re.findall(r"\$[^$\n]+\$|\$\$|\\\(|\\\[", text(lesson))


RULES = (
    the_title_comes_first,
    three_goals_follow_the_title,
    the_opening_says_minutes_and_what_goes_before,
    the_opening_says_research_only,
    the_opening_says_simulated,
    prose_stands_before_each_code_cell,
    a_result_stands_beside_the_papers,
    it_says_what_changes_with_own_scans,
    two_or_three_questions_end_it_with_answers_folded,
    the_last_line_leads_on_and_to_the_glossary,
    links_lead_to_files_that_are_there,
    pictures_have_a_text,
    formulae_are_plain_text,
)
