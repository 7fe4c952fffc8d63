"""Hooks of MkDocs: pages at the repository's top join those of docs/, with their links.

`.venv/bin/python -m mkdocs build --strict` makes the site in `site/`, without the network.
"""

import re
from pathlib import Path

from mkdocs.structure.files import File

_ROOT = Path(__file__).resolve().parent.parent
#: Pages outside of docs/, and their names in the site.
_PAGES = {
    "README.md": "index.md",
    "RESULTS.md": "RESULTS.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "benchmarks/RESULTS.md": "benchmarks/RESULTS.md",
}
_LINK = re.compile(r"(\]\()(?!https?:|#)([^)#\s]+)")


def on_config(config):
    """The pages of results, which are generated, follow their first page in the contents."""
    pages = sorted((_ROOT / "docs" / "results").glob("*.md"))
    titles = [page.read_text().partition("\n")[0].removeprefix("# ") for page in pages]
    shown = [{title: f"results/{page.name}"} for title, page in zip(titles, pages, strict=True)]
    for section in config.nav:
        if "Results" in section:
            section["Results"].insert(1, {"Item by item": shown})


def on_files(files, config):
    """Adds the pages, and the files that they and docs/ link to: figures, JSON, CITATION.cff."""
    found = {}
    for source, target in _PAGES.items():
        text = (_ROOT / source).read_text()
        files.append(File.generated(config, target, content=_LINK.sub(_inside, text)))
        for link in _LINK.findall(text):
            path = ((_ROOT / source).parent / link[1]).resolve()
            if path.is_file() and path.suffix != ".md" and _ROOT in path.parents:
                found[path.relative_to(_ROOT).as_posix()] = path
    for name, path in found.items():
        if files.get_file_from_path(name) is None and not name.startswith("docs/"):
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """docs/ is the site's top, so that a link out of it stays at the top."""
    if page.file.src_uri in _PAGES.values():
        return markdown
    up = "../" * page.file.src_uri.count("/")
    return markdown.replace(f"]({up}../", f"]({up}")


def _inside(link: re.Match) -> str:
    """A link to docs/NAME.md, seen from a page of the site's top; README.md is its start."""
    target = link[2].removeprefix("docs/")
    return link[1] + ("index.md" if target == "README.md" else target)
