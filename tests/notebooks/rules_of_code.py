"""What the code of a lesson looks like: rules, each a function that lists what breaks it.

A rule takes a lesson and the name of its file. None runs a notebook.
"""

import ast
import re
from collections.abc import Iterator

import nbformat

Cell = nbformat.NotebookNode
Lesson = nbformat.NotebookNode

FIRST_CODE = 'from cacnb.studies import open_study\n\nstudy = open_study("demo")'

MOST_LINES, WIDEST = 4, 100

#: What a lesson may import from; the kernel itself brings `display`.
IMPORTED = ("cacnb", "pandas", "pathlib")

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def code(lesson: Lesson) -> list[Cell]:
    return [cell for cell in lesson.cells if cell.cell_type == "code"]


def trees(lesson: Lesson) -> Iterator[ast.Module]:
    """Each code cell parsed; what is no Python is another rule's."""
    for cell in code(lesson):
        try:
            yield ast.parse(cell.source)
        except SyntaxError:
            continue


def nodes(lesson: Lesson) -> Iterator[ast.AST]:
    for tree in trees(lesson):
        yield from ast.walk(tree)


def the_one_line_to_change_is_the_first_code(lesson: Lesson, name: str) -> list[str]:
    cells = code(lesson)
    said = cells[0].source if cells else ""
    return [] if said == FIRST_CODE else [f"the first code cell is {said!r}"]


def no_other_line_names_the_study(lesson: Lesson, name: str) -> list[str]:
    places = sum(cell.source.count("open_study(") for cell in code(lesson))
    return [] if places == 1 else [f"open_study is called {places} times"]


def a_cell_has_at_most_four_lines_beside_imports(lesson: Lesson, name: str) -> list[str]:
    long = []
    for cell in code(lesson):
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:
            continue
        imports = {
            number
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        lines = enumerate(cell.source.split("\n"), start=1)
        count = sum(1 for number, line in lines if line.strip() and number not in imports)
        if count > MOST_LINES:
            long.append(f"{cell.id} has {count} lines")
    return long


def no_line_of_code_is_wider_than_the_page(lesson: Lesson, name: str) -> list[str]:
    lines = [line for cell in code(lesson) for line in cell.source.split("\n")]
    return [line for line in lines if len(line) > WIDEST]


def nothing_is_defined(lesson: Lesson, name: str) -> list[str]:
    return [ast.unparse(node) for node in nodes(lesson) if isinstance(node, DEFINITIONS)]


def nothing_is_looped_over(lesson: Lesson, name: str) -> list[str]:
    return [ast.unparse(node) for node in nodes(lesson) if isinstance(node, LOOPS)]


def a_cell_has_at_most_one_comprehension(lesson: Lesson, name: str) -> list[str]:
    counts = [
        sum(isinstance(node, COMPREHENSIONS) for node in ast.walk(tree)) for tree in trees(lesson)
    ]
    return [f"{count} comprehensions" for count in counts if count > 1]


def cells_are_python_without_shell_or_magic(lesson: Lesson, name: str) -> list[str]:
    foreign = []
    for cell in code(lesson):
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:
            foreign.append(cell.source)
            continue
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        foreign += sorted(names & {"get_ipython", "exec", "eval"})
    return foreign


def nothing_is_printed(lesson: Lesson, name: str) -> list[str]:
    called = [node.func for node in nodes(lesson) if isinstance(node, ast.Call)]
    names = [node.id for node in called if isinstance(node, ast.Name)]
    return [name for name in names if name == "print"]


def only_public_names_are_used(lesson: Lesson, name: str) -> list[str]:
    private = []
    for node in nodes(lesson):
        used = []
        if isinstance(node, ast.Import):
            used = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            used = [node.module or "", *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Attribute):
            used = [node.attr]
        private += [word for word in used if any(p.startswith("_") for p in word.split("."))]
    return private


def imports_come_from_the_package(lesson: Lesson, name: str) -> list[str]:
    foreign = []
    for node in nodes(lesson):
        if isinstance(node, ast.Import):
            foreign += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            foreign.append(node.module or "")
    return [word for word in foreign if word.split(".")[0] not in IMPORTED]


def no_scan_is_named(lesson: Lesson, name: str) -> list[str]:
    strings = [node.value for node in nodes(lesson) if isinstance(node, ast.Constant)]
    return [s for s in strings if isinstance(s, str) and re.match(r"(sim|ins)\d{3}|[/~]", s)]


def nothing_of_a_run_is_kept(lesson: Lesson, name: str) -> list[str]:
    kept = [f"outputs of {cell.id}" for cell in code(lesson) if cell.outputs]
    kept += [f"{cell.id} was run" for cell in code(lesson) if cell.execution_count is not None]
    kept += [f"metadata of {cell.id}" for cell in lesson.cells if set(cell.metadata) - {"tags"}]
    return kept + [key for key in ("widgets",) if key in lesson.metadata]


def it_is_whole_and_its_cells_keep_their_names(lesson: Lesson, name: str) -> list[str]:
    wrong = []
    if (lesson.nbformat, lesson.nbformat_minor) != (4, 5):
        wrong.append(f"format {lesson.nbformat}.{lesson.nbformat_minor}")
    if lesson.metadata.get("kernelspec", {}).get("name") != "python3":
        wrong.append("its kernel is not python3")
    if not lesson.metadata.get("title"):
        wrong.append("no title in its metadata")
    names = [cell.get("id", "") for cell in lesson.cells]
    wrong += [f"id {word!r}" for word in names if not re.fullmatch(r"[a-z0-9-]+-\d+", word)]
    return wrong + ([] if len(set(names)) == len(names) else ["two cells of one id"])


RULES = (
    the_one_line_to_change_is_the_first_code,
    no_other_line_names_the_study,
    a_cell_has_at_most_four_lines_beside_imports,
    no_line_of_code_is_wider_than_the_page,
    nothing_is_defined,
    nothing_is_looped_over,
    a_cell_has_at_most_one_comprehension,
    cells_are_python_without_shell_or_magic,
    nothing_is_printed,
    only_public_names_are_used,
    imports_come_from_the_package,
    no_scan_is_named,
    nothing_of_a_run_is_kept,
    it_is_whole_and_its_cells_keep_their_names,
)
