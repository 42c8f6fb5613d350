"""How does the documentation become a website? ``python -m docs.make [--pictures] [--builder zensical|mkdocs|none]``.

The Markdown of ``docs/``, the generated pages and KaTeX of the course are laid out in ``build/docs``, which the builder
turns into ``build/site``. Nothing is fetched, and JAX is imported for pictures only.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from docs.make import api, gallery, measured, reference, runs

ROOT = Path(__file__).parents[2]
KATEX = ROOT / "src" / "numdl" / "course" / "site" / "katex"
BUILDERS = {"zensical": ["zensical", "build", "--clean"], "mkdocs": ["mkdocs", "build", "--quiet"]}
COPIED = {".md", ".js", ".css", ".svg"}
FILE = re.compile(r"^<!-- file: (\S+) -->$", flags=re.MULTILINE)
"""Place of a file of this repository, which is shown as it is run."""


def lay_out(out: Path, pictures: Path) -> Path:
    """Write everything that a builder reads.

    Args:
        out: folder; what an earlier call wrote there is replaced.
        pictures: folder with pictures of experiments and outputs of examples; may be empty.

    Returns:
        The configuration, whose paths lead here.
    """
    pages = out / "docs"
    shutil.rmtree(pages, ignore_errors=True)
    for path in sorted((ROOT / "docs").rglob("*")):
        if path.suffix in COPIED:
            copy = pages / path.relative_to(ROOT / "docs")
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".md":
                copy.write_text(with_files(path.read_text(encoding="utf-8")), encoding="utf-8")
            else:
                shutil.copyfile(path, copy)
    shutil.copytree(KATEX, pages / "assets" / "katex")
    generated = {**api.pages(), **measured.pages(pages), **gallery.pages(pages, pictures), **reference.pages()}
    for name, text in generated.items():
        path = pages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for name, folder in {"build/docs": "docs", "build/site": "site", "src": ROOT / "src"}.items():
        settings = settings.replace(f'"{name}"', f'"{folder}"')
    (out / "mkdocs.yml").write_text(settings, encoding="utf-8")
    return out / "mkdocs.yml"


def with_files(text: str) -> str:
    """The text with the files that it names.

    Args:
        text: Markdown with lines ``<!-- file: examples/NAME.py -->``.

    Returns:
        Markdown with their code.

    Raises:
        OSError: there is no such file.
    """

    def code(found: re.Match[str]) -> str:
        return f"```py\n{(ROOT / found.group(1)).read_text(encoding='utf-8')}```"

    return FILE.sub(code, text)


def build(settings: Path, builder: str) -> Path:
    """Run the builder.

    Args:
        settings: what ``lay_out`` returned.
        builder: a key of ``BUILDERS``.

    Returns:
        The folder of the website.

    Raises:
        SystemExit: the builder failed, or is not installed.
    """
    if importlib.util.find_spec(builder) is None:
        raise SystemExit(f"docs: {builder} is not installed. Run make docs, or pip install --group docs.")
    site = settings.parent / "site"
    shutil.rmtree(site, ignore_errors=True)
    call = [sys.executable, "-m", *BUILDERS[builder], "--config-file", str(settings)]
    done = subprocess.run(call, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False)
    if done.returncode or not (site / "index.html").is_file():
        raise SystemExit(f"docs: {builder} failed with exit code {done.returncode}; what it said stands above.")
    return site


def main(words: list[str] | None = None) -> None:
    """Lay out, then build."""
    parser = argparse.ArgumentParser(prog="python -m docs.make", description=__doc__)
    parser.add_argument("--builder", choices=(*BUILDERS, "none"), default="zensical")
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="folder of the website and what it is made of")
    parser.add_argument(
        "--pictures", action="store_true", help="run the experiments and examples that have none yet, or an older one"
    )
    wanted = parser.parse_args(words)
    pictures = ROOT / "build" / "pictures"
    if wanted.pictures:
        runs.run(gallery.jobs(), pictures, lambda line: print(line, flush=True))
    settings = lay_out(wanted.out.resolve(), pictures)
    if wanted.builder != "none":
        print(f"Documentation  {build(settings, wanted.builder) / 'index.html'}")


if __name__ == "__main__":
    main()
