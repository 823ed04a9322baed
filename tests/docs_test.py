"""README and docs: their code runs, their commands parse, their links lead."""

import argparse
import importlib
import os
import pathlib
import re
import shlex
import warnings

import pytest

from keras_lopt import config
from keras_lopt.commands.main import COMMANDS

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
)


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page, language):
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.M | re.S)


def command_lines(page):
    """The words of the keras-lopt commands of a page."""
    lines = "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [w[1:] for w in words if w and w[0] == "keras-lopt"]


WITH_CODE = [page for page in PAGES if blocks(page, "python")]
LINES = [(page, line) for page in PAGES for line in command_lines(page)]


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, capsys):
    """As a reader would run it, from top to bottom."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "a_reader"}
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("page, words", LINES, ids=lambda x: str(x)[:60])
def test_a_command_of_a_page_is_one(page, words):
    name, *arguments = words
    module = COMMANDS[name][0]
    command = importlib.import_module(f"keras_lopt.commands.{module}")
    parser = argparse.ArgumentParser(allow_abbrev=False)
    command.add_flags(parser)
    args = parser.parse_args(arguments)
    files = getattr(args, "gin_file", None) or []
    if files:
        files = [files] if isinstance(files, str) else files
        with warnings.catch_warnings(action="error"):
            config.load(files, getattr(args, "gin", ()))


@pytest.mark.parametrize("page", PAGES)
def test_links_and_scripts_of_a_page_exist(page):
    text = re.sub(r"```.*?```", "", text_of(page), flags=re.S)
    folder = (ROOT / page).parent
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target or not (path or anchor):
            continue
        found = folder / path if path else ROOT / page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            missing.append(target)
    scripts = re.findall(
        r"(?<![\w/])(?:bin|tests)/[a-z]\w*(?:/\w+)*(?:\.py)?", text
    )
    missing += [
        name
        for name in scripts
        if not (ROOT / name).exists() and "/my_" not in name
    ]
    assert missing == []


def anchors(path):
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {re.sub(r"\s+", "-", heading.strip()) for heading in plain}


def test_the_readme_is_short():
    assert len(text_of("README.md").splitlines()) <= 130


def test_every_page_is_in_the_navigation():
    navigation = text_of("mkdocs.yml")
    pages = [p.removeprefix("docs/") for p in PAGES if p.startswith("docs/")]
    assert [page for page in pages if page not in navigation] == []


def test_no_page_names_a_figure_that_is_not_there():
    used = set()
    for page in PAGES:
        for name in re.findall(r"!\[.*?\]\((.+?)\)", text_of(page)):
            used.add((ROOT / page).parent.joinpath(name).resolve().name)
    assert used == set(os.listdir(ROOT / "docs" / "images"))
