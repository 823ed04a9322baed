"""The templates for clusters: they parse, and set TF_CONFIG right."""

import ast
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from keras_lopt.training.devices import cluster

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def names():
    found = [p for p in EXAMPLES.rglob("*") if p.is_file()]
    return [p.relative_to(EXAMPLES).as_posix() for p in found]


def test_all_templates_are_there():
    own = {name for name in names() if "__pycache__" not in name}
    assert own == {
        "kubernetes/train.yaml",
        "ray/sweep.py",
        "slurm/train.sbatch",
        "slurm/with_tf_config.py",
    }


@pytest.mark.parametrize("name", ["ray/sweep.py", "slurm/with_tf_config.py"])
def test_python_can_parse(name):
    ast.parse((EXAMPLES / name).read_text())


def test_bash_can_parse_the_batch_script():
    path = EXAMPLES / "slurm" / "train.sbatch"
    subprocess.run(["bash", "-n", path], check=True)
    lines = path.read_text().splitlines()
    assert {"#SBATCH --requeue", "#SBATCH --signal=TERM@300"} <= set(lines)


def test_slurm_s_tasks_become_workers(monkeypatch):
    path = EXAMPLES / "slurm" / "with_tf_config.py"
    spec = importlib.util.spec_from_file_location("with_tf_config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in {
        "SLURM_PROCID": "3",
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_STEP_NODELIST": "node[1-2]",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TF_CONFIG", module.tf_config())
    assert cluster.tf_config() == (
        [f"node{node}:{port}" for node in (1, 2) for port in (29400, 29401)],
        3,
    )


@pytest.fixture(scope="module")
def manifests():
    yaml = pytest.importorskip("yaml")
    text = (EXAMPLES / "kubernetes" / "train.yaml").read_text()
    return list(yaml.safe_load_all(text))


def test_kubernetes_starts_as_many_workers_as_it_names(manifests):
    service, job = manifests
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    variables = {e["name"]: e["value"] for e in container["env"]}
    assert job["spec"]["completions"] == int(variables["WORKERS"])
    assert job["spec"]["parallelism"] == int(variables["WORKERS"])
    subdomain = job["spec"]["template"]["spec"]["subdomain"]
    assert subdomain == service["metadata"]["name"]
    assert service["spec"]["selector"]["job-name"] == job["metadata"]["name"]


def test_kubernetes_pods_become_workers(manifests, monkeypatch):
    (container,) = manifests[1]["spec"]["template"]["spec"]["containers"]
    (program,) = container["args"]
    # Instead of training, it says what it was given.
    program = re.sub(r"os\.execv\(.*", "", program, flags=re.DOTALL)
    program += "print(os.environ['TF_CONFIG'])"
    output = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "WORKERS": "2", "JOB_COMPLETION_INDEX": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    monkeypatch.setenv("TF_CONFIG", json.dumps(json.loads(output)))
    assert cluster.tf_config() == (
        [f"keras-lopt-{i}.keras-lopt:29400" for i in range(2)],
        1,
    )
