"""gs:// and hf:// with stand-ins: the libraries, and what they say."""

import pathlib
import shutil
import sys
import types

import pytest

from keras_lopt import LearnedOptimizer, checkpoints, rules
from tests import foreign_files


@pytest.fixture
def bucket(tmp_path):
    """A folder that stands for gs://bucket."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    return folder


@pytest.fixture
def optimizer_file(bucket, fused, theta):
    path = bucket / "one.safetensors"
    checkpoints.save(path, fused, theta, {"from": "us"})
    return path


class Storage:
    """The functions of `tf.io.gfile` and of a file system of fsspec."""

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
    """gs://bucket by TensorFlow, or by fsspec for want of TensorFlow's."""
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
    """As TensorFlow's, where it was built without a kind of storage."""


class Unimplemented:
    def __getattr__(self, name):
        def fail(*_):
            raise UnimplementedError("File system scheme 'gs' not implemented")

        return fail


def test_a_file_of_a_bucket(storage, optimizer_file, fused):
    rule, _, metadata = checkpoints.load("gs://bucket/one.safetensors")
    assert rule == fused
    assert metadata == {"from": "us"}
    assert storage.reads == ["gs://bucket/one.safetensors"]


def test_a_training_run_in_a_bucket(storage, bucket, optimizer_file, fused):
    (bucket / "run").mkdir()
    shutil.move(optimizer_file, bucket / "run" / "best.safetensors")
    for url in ("gs://bucket/run", "gs://bucket/run/"):
        assert LearnedOptimizer.from_checkpoint(url).rule == fused


def test_weights_of_others_with_their_configuration(storage, bucket):
    leaves = foreign_files.published(rules.get("adafac_mlp"))
    path = foreign_files.save_safetensors(bucket / "params", leaves)
    (bucket / "config.gin").write_text("AdafacMLPLOpt.step_mult = 0.25\n")
    rule, _, metadata = checkpoints.load(f"gs://bucket/{path.name}")
    assert rule == rules.get("adafac_mlp", step_mult=0.25)
    (file,) = metadata["imported"]["files"]
    assert file["source"] == "gs://bucket/params"


def test_a_truncated_download_is_refused(storage, optimizer_file):
    storage.cut = 7
    with pytest.raises(checkpoints.CheckpointError, match="of .* bytes. Try"):
        checkpoints.load("gs://bucket/one.safetensors")


def test_a_file_that_was_cut_there_is_refused(storage, optimizer_file):
    optimizer_file.write_bytes(optimizer_file.read_bytes()[:-7])
    with pytest.raises(
        checkpoints.CheckpointError, match="'gs://bucket/one.*truncated"
    ):
        checkpoints.load("gs://bucket/one.safetensors")


def test_an_absent_file_is_refused(storage):
    with pytest.raises(
        checkpoints.CheckpointError, match="'gs://bucket/no'.*no such file"
    ):
        checkpoints.load("gs://bucket/no")


def test_the_error_of_a_library_is_told(storage, monkeypatch):
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


def test_the_functions_of_tensorflow_are_called_as_they_are(
    tmp_path, fused, theta
):
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
    """A stand-in for huggingface_hub with one repository."""
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
    """Named as the library's."""


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
def test_a_file_of_the_hub(hub, fused, url, calls):
    (hub.folder / "README.md").write_text("A card.")
    (hub.folder / "config.json").write_text("{}")
    assert checkpoints.load(url)[0] == fused
    assert hub.calls == calls


def test_the_only_file_of_weights_is_taken(hub):
    pytest.importorskip("msgpack", reason="msgpack is not installed")
    (hub.folder / "best.safetensors").unlink()
    tree = foreign_files.published(rules.get("sgd"))
    (hub.folder / "theta.state").write_bytes(foreign_files.pack(tree))
    assert checkpoints.load("hf://me/mine")[0] == rules.get("sgd")


@pytest.mark.parametrize("names", [["x.safetensors"], []])
def test_several_files_or_none_are_listed(hub, names):
    if names:
        (hub.folder / names[0]).write_bytes(b"")
    else:
        (hub.folder / "best.safetensors").rename(hub.folder / "best.txt")
    with pytest.raises(
        checkpoints.CheckpointError, match="say which file.*'best"
    ):
        checkpoints.load("hf://me/mine")


def test_what_the_hub_says_is_told_in_a_line(hub):
    with pytest.raises(
        checkpoints.CheckpointError,
        match=r"'hf://me/mine/no'.*EntryNotFoundError: 404: no no\)\.$",
    ):
        checkpoints.load("hf://me/mine/no")


@pytest.mark.parametrize("url", ["hf://", "hf://me", "hf://me/", "hf:///x/y"])
def test_a_name_that_is_none_is_refused(hub, url):
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


def test_the_functions_of_the_library_are_called_as_they_are():
    hub = pytest.importorskip("huggingface_hub", reason="not installed")
    import inspect

    for function in (hub.list_repo_files, hub.hf_hub_download):
        assert "revision" in inspect.signature(function).parameters
    names = list(inspect.signature(hub.hf_hub_download).parameters)
    assert names[:2] == ["repo_id", "filename"]
    assert pathlib.Path(hub.__file__).is_file()
