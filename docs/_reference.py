"""MkDocs hook: the parts of the reference that are generated from the code."""

import argparse
import importlib
import inspect

from keras_lopt.commands.main import COMMANDS

#: What experiments bind, by sub-package.
BOUND = {
    "training": ["run", "Experiment", "Schedule"],
    "estimators": "*",
    "population": "*",
    "rules": "*",
    "tasks": ["from_keras", "get", "listed_mixture", "sample_mixture"]
    + ["digits_mlp", "wine_mlp", "breast_cancer_mlp", "Mixture"],
    "evaluation": ["run", "Benchmark", "compare_runs", "run_suite", "choose"]
    + ["benchmark_fit", "benchmark_meta", "benchmark_step"],
}


def on_page_markdown(markdown, **kwargs):
    """Puts the generated parts where their marks are."""
    for mark, generate in (
        ("<!-- gin reference -->", gin_reference),
        ("<!-- commands -->", commands),
    ):
        if mark in markdown:
            markdown = markdown.replace(mark, generate())
    return markdown


def commands():
    """The help of every command, as Markdown."""
    parts = []
    for name, (module, _) in COMMANDS.items():
        command = importlib.import_module(f"keras_lopt.commands.{module}")
        parser = argparse.ArgumentParser(
            f"keras-lopt {name}",
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_flags(parser)
        parts.append(f"## {name}\n\n```text\n{parser.format_help()}```\n")
    return "\n".join(parts)


def gin_reference():
    """What can be bound, as Markdown tables."""
    parts = []
    for package, names in BOUND.items():
        module = importlib.import_module(f"keras_lopt.{package}")
        parts.append(f"## {package}\n")
        for name in module.__all__ if names == "*" else names:
            found = getattr(module, name)
            if callable(found) and (rows := _rows(found)):
                first = inspect.getdoc(found).splitlines()[0]
                parts.append(f"### `{package}.{name}`\n\n{first}\n")
                parts.append("| parameter | default |\n|---|---|")
                parts.extend(rows)
                parts.append("")
    return "\n".join(parts)


def _rows(found):
    rows = []
    for parameter in inspect.signature(found).parameters.values():
        if parameter.kind in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ):
            continue
        default = parameter.default
        text = "" if default is parameter.empty else f"`{_text(default)}`"
        rows.append(f"| `{parameter.name}` | {text} |")
    return rows


def _text(default):
    text = repr(default)
    if callable(default):
        text = f"@{getattr(default, '__name__', text)}"
    return text.replace("|", "\\|")
