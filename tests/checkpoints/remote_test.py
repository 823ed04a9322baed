"""gs:// and hf:// with fake libraries and their errors."""

import pathlib
import shutil
import sys
import types

import pytest

from keras_lopt import LearnedOptimizer, checkpoints, rules
from tests import imported_files


@pytest.fixture
def bucket(tmp_path):
    """A folder that plays gs://bucket."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    return folder


@pytest.fixture
def optimizer_file(bucket, fused, theta):
    path = bucket / "one.safetensors"
    checkpoints.save(path, fused, theta, {"from": "us"})
    return path


class Storage:
    """The functions of `tf.io.gfile` and of an fsspec file system."""

    def __init__(self, bucket):
        self.bucket = bucket
        self.cut = 0
        self.reads = []

    def path(self, url):
        assert url.startswith("gs://bucket/")
        return self.bucket / url.removeprefix("gs://bucket/")

    def isdir(self, url):
        return self.path(url).is_dir()

    def exists(self, url):
        return self.path(url).exists()

    def size(self, url):
        return self.path(url).stat().st_size

    def stat(self, url):
        return types.SimpleNamespace(length=self.size(url))

    def cat_file(self, url):
        self.reads.append(url)
        content = self.path(url).read_bytes()
        return content[: len(content) - self.cut]

    def GFile(self, url, mode):
        assert mode == "rb"
        path = self.bucket.parent / "open"
        path.write_bytes(self.cat_file(url))
        return open(path, mode)


def module(name, **attributes):
    made = types.ModuleType(name)
    vars(made).update(attributes)
    return made


@pytest.fixture(params=["tensorflow", "fsspec", "other tensorflow"])
def storage(request, bucket, monkeypatch):
    """gs://bucket through TensorFlow, or through fsspec without it."""
    made = Storage(bucket)
    tensorflow = None
    if request.param != "fsspec":
        gfile = made if request.param == "tensorflow" else Unimplemented()
        io = types.SimpleNamespace(gfile=gfile)
        tensorflow = module("tensorflow", io=io)
    fsspec = None
    if request.param != "tensorflow":
        fsspec = module("fsspec", filesystem=lambda kind: made)
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
    monkeypatch.setitem(sys.modules, "fsspec", fsspec)
    monkeypatch.setitem(sys.modules, "gcsfs", module("gcsfs"))
    return made


class UnimplementedError(Exception):
    """Like TensorFlow's, if it was built without a kind of storage."""


class Unimplemented:
    def __getattr__(self, name):
        def fail(*_):
            raise UnimplementedError("File system scheme 'gs' not implemented")

        return fail


def test_a_file_loads_from_a_bucket(storage, optimizer_file, fused):
    rule, _, metadata = checkpoints.load("gs://bucket/one.safetensors")
    assert rule == fused
    assert metadata == {"from": "us"}
    assert storage.reads == ["gs://bucket/one.safetensors"]


def test_a_training_run_loads_from_a_bucket(
    storage, bucket, optimizer_file, fused
):
    (bucket / "run").mkdir()
    shutil.move(optimizer_file, bucket / "run" / "best.safetensors")
    for url in ("gs://bucket/run", "gs://bucket/run/"):
        assert LearnedOptimizer.from_checkpoint(url).rule == fused


def test_weights_are_imported_with_the_config_beside_them(storage, bucket):
    leaves = imported_files.leaves_of(rules.get("adafac_mlp"))
    path = imported_files.save_safetensors(bucket / "params", leaves)
    (bucket / "config.gin").write_text("AdafacMLPLOpt.step_mult = 0.25\n")
    rule, _, metadata = checkpoints.load(f"gs://bucket/{path.name}")
    assert rule == rules.get("adafac_mlp", step_mult=0.25)
    (file,) = metadata["imported"]["files"]
    assert file["source"] == "gs://bucket/params"


def test_a_truncated_download_is_refused(storage, optimizer_file):
    storage.cut = 7
    with pytest.raises(checkpoints.CheckpointError, match="of .* bytes. Try"):
        checkpoints.load("gs://bucket/one.safetensors")


def test_a_file_that_is_truncated_in_the_bucket_is_refused(
    storage, optimizer_file
):
    optimizer_file.write_bytes(optimizer_file.read_bytes()[:-7])
    with pytest.raises(
        checkpoints.CheckpointError, match="'gs://bucket/one.*truncated"
    ):
        checkpoints.load("gs://bucket/one.safetensors")


def test_a_missing_file_is_refused(storage):
    with pytest.raises(
        checkpoints.CheckpointError, match="'gs://bucket/no'.*no such file"
    ):
        checkpoints.load("gs://bucket/no")


def test_the_message_has_the_first_line_of_the_library_error(
    storage, monkeypatch
):
    def fail(*_):
        raise PermissionError("who are you?\nsecond line")

    monkeypatch.setattr(Storage, "exists", fail)
    with pytest.raises(
        checkpoints.CheckpointError,
        match=r"'gs://bucket/x'.*downloaded .PermissionError: who are you\?.\.",
    ):
        checkpoints.load("gs://bucket/x")


def test_a_bucket_without_a_library_is_refused(monkeypatch):
    for name in ("tensorflow", "fsspec"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        checkpoints.MissingLibraryError,
        match=r"reading gs:// needs .* pip install 'keras_lopt\[gs\]'",
    ):
        checkpoints.load("gs://bucket/x")


def test_tensorflow_has_the_functions_that_are_called(tmp_path, fused, theta):
    tf = pytest.importorskip("tensorflow")
    from keras_lopt.checkpoints import remote

    path = tmp_path / "one.safetensors"
    checkpoints.save(path, fused, theta)
    storage = remote._tensorflow()
    assert storage.exists(str(path)) and not storage.is_folder(str(path))
    assert storage.is_folder(str(tmp_path))
    assert storage.read(str(path)) == path.read_bytes()
    assert storage.size(str(path)) == path.stat().st_size
    with pytest.raises(tf.errors.NotFoundError):
        storage.read(str(tmp_path / "absent"))


# hf://


@pytest.fixture
def hub(tmp_path, monkeypatch, fused, theta):
    """A fake huggingface_hub with one repository."""
    folder = tmp_path / "cache"
    checkpoints.save(folder / "best.safetensors", fused, theta)
    calls = []

    def names(repository, *, revision=None):
        calls.append((repository, revision))
        return [path.name for path in folder.iterdir()]

    def download(repo_id, filename, *, revision=None):
        calls.append((repo_id, filename, revision))
        if not (folder / filename).is_file():
            raise EntryNotFoundError(f"404: no {filename}\nRequest ID: 1")
        return str(folder / filename)

    made = module(
        "huggingface_hub", list_repo_files=names, hf_hub_download=download
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", made)
    return types.SimpleNamespace(folder=folder, calls=calls)


class EntryNotFoundError(Exception):
    """Has the name of the library's error."""


@pytest.mark.parametrize(
    "url, calls",
    [
        (
            "hf://me/mine",
            [("me/mine", None), ("me/mine", "best.safetensors", None)],
        ),
        (
            "hf://me/mine/best.safetensors",
            [("me/mine", "best.safetensors", None)],
        ),
        (
            "hf://me/mine@v1/best.safetensors",
            [("me/mine", "best.safetensors", "v1")],
        ),
    ],
)
def test_a_file_loads_from_the_hub(hub, fused, url, calls):
    (hub.folder / "README.md").write_text("A card.")
    (hub.folder / "config.json").write_text("{}")
    assert checkpoints.load(url)[0] == fused
    assert hub.calls == calls


def test_the_only_file_of_weights_is_chosen(hub):
    pytest.importorskip("msgpack", reason="msgpack is not installed")
    (hub.folder / "best.safetensors").unlink()
    tree = imported_files.leaves_of(rules.get("sgd"))
    (hub.folder / "theta.state").write_bytes(imported_files.pack(tree))
    assert checkpoints.load("hf://me/mine")[0] == rules.get("sgd")


@pytest.mark.parametrize("names", [["x.safetensors"], []])
def test_several_or_no_files_of_weights_are_refused_and_listed(hub, names):
    if names:
        (hub.folder / names[0]).write_bytes(b"")
    else:
        (hub.folder / "best.safetensors").rename(hub.folder / "best.txt")
    with pytest.raises(
        checkpoints.CheckpointError, match="say which file.*'best"
    ):
        checkpoints.load("hf://me/mine")


def test_the_message_has_the_first_line_of_the_hub_error(hub):
    with pytest.raises(
        checkpoints.CheckpointError,
        match=r"'hf://me/mine/no'.*EntryNotFoundError: 404: no no\)\.$",
    ):
        checkpoints.load("hf://me/mine/no")


@pytest.mark.parametrize("url", ["hf://", "hf://me", "hf://me/", "hf:///x/y"])
def test_an_incomplete_hub_name_is_refused(hub, url):
    with pytest.raises(checkpoints.CheckpointError, match="hf://owner/name"):
        checkpoints.load(url)


def test_a_truncated_file_of_the_hub_is_refused(hub):
    path = hub.folder / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(
        checkpoints.CheckpointError, match="'hf://me/mine'.*truncated"
    ):
        checkpoints.load("hf://me/mine")


def test_the_hub_without_its_library_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        checkpoints.MissingLibraryError,
        match=r"`huggingface_hub`.*pip install 'keras_lopt\[hub\]'",
    ):
        checkpoints.load("hf://me/mine")


def test_huggingface_hub_has_the_functions_that_are_called():
    hub = pytest.importorskip("huggingface_hub", reason="not installed")
    import inspect

    for function in (hub.list_repo_files, hub.hf_hub_download):
        assert "revision" in inspect.signature(function).parameters
    names = list(inspect.signature(hub.hf_hub_download).parameters)
    assert names[:2] == ["repo_id", "filename"]
    assert pathlib.Path(hub.__file__).is_file()
