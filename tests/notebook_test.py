"""The notebooks run as a person runs them: in a kernel, from their folder.

Cells with the tag `parameters` are followed by one that makes everything small.
"""

import pathlib
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Of their own libraries.
    import nbclient
    import nbformat

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "colab").glob("*.ipynb"))
SMALL = """\
GENERATIONS = 1
POPULATION = 4
PAIRS, CANDIDATES = 2, 2
HORIZON, TRUNCATION, UNITS = 4, 2, 1
SIDE, HIDDEN, BATCH = 4, (2,), 16
RATES, PROBLEMS, STEPS = (0.03,), 2, 3
EPOCHS = {"digits": 1, "wine": 1}
"""


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nbformat.read(path, as_version=4)


@pytest.fixture
def offline(monkeypatch):
    """Kernels import this checkout, and can't reach anything else."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("MPLBACKEND", raising=False)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_shows_figures(path, offline):
    notebook = read(path)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if "parameters" in cell.metadata.get("tags", ()):
            cells.append(nbformat.v4.new_code_cell(SMALL))
    notebook.cells = cells
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nbclient.NotebookClient(
            notebook,
            timeout=600,
            resources={"metadata": {"path": str(path.parent)}},
        ).execute()
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_stored_without_outputs(path):
    cells = [c for c in read(path).cells if c.cell_type == "code"]
    assert [cell for cell in cells if cell.outputs] == []
    assert {cell.execution_count for cell in cells} == {None}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_opens_in_colab_and_installs_itself(path):
    first, second = read(path).cells[:2]
    assert f"/blob/main/colab/{path.name})" in first.source
    assert "%pip install" in second.source
