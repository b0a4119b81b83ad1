"""Links and pictures in Markdown: whether they lead somewhere, have a text; nothing is fetched."""

import re
from pathlib import Path

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)|<img\b(?![^>]*\balt=\"[^\"]+\")")


def broken_links(markdown: str, folder: Path) -> list[str]:
    """Links to files and anchors that are not there; addresses that are none."""
    return [link for link in LINK.findall(markdown) if not _leads_somewhere(link, folder)]


def _leads_somewhere(link: str, folder: Path) -> bool:
    if re.match(r"[a-z]+:", link):
        return re.fullmatch(r"https://[\w.-]+\.[a-z]+(/\S*)?", link) is not None
    file, _, anchor = link.partition("#")
    if not (folder / file).exists():
        return False
    return not anchor or anchor in anchors((folder / file).read_text(encoding="utf-8"))


def anchors(markdown: str) -> set[str]:
    """Those of headings, as sites that show Markdown make them, and those that are written."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in headings}
    return made | set(re.findall(r'<a id="([^"]+)"></a>', markdown))
