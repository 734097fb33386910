"""The file of sources: what it takes, and what it says where it is wrong."""

import json

import pytest

from gateway.sandbox.sources import RECORDED, Source, SourcesError, load

GOOD = {"id": "a", "write_key": "k"}


def written(tmp_path, content):
    path = tmp_path / "sources.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_sources_are_found_by_id_and_by_write_key(tmp_path):
    full = {"id": "b", "write_key": "kb", "enabled": False, "original": "a", "destinations": {"d": True, "e": False}}
    workspace = load(written(tmp_path, [GOOD, full]))
    assert workspace.by_id == {"a": Source("a", "k"), "b": Source("b", "kb", False, "a", {"d": True, "e": False})}
    assert workspace.by_key == {"k": workspace.by_id["a"], "kb": workspace.by_id["b"]}
    assert (workspace.by_id["a"].enabled, workspace.by_id["a"].original, workspace.by_id["a"].destinations) == (True, None, {})


def test_the_recorded_ones_are_the_default():
    assert set(RECORDED.by_id) == {"src-1", "src-off", "rep-1", "rep-off"}
    assert set(RECORDED.by_key) == {"wk-1", "wk-off", "wk-rep-1", "wk-rep-off"}


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "nothing.json"
    with pytest.raises(SourcesError) as error:
        load(path)
    assert str(error.value) == f"{path}: No such file or directory"


def test_a_folder_is_named(tmp_path):
    with pytest.raises(SourcesError, match="Is a directory"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[", b"id=a", b"\xff\xfe\xfd"])
def test_what_is_no_json_is_said_so(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(SourcesError) as error:
        load(path)
    assert str(error.value).startswith(f"{path} is not JSON: ")


@pytest.mark.parametrize("content", [{}, [], None, "a", 5, GOOD])
def test_what_is_no_array_is_said_so(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(SourcesError) as error:
        load(path)
    assert str(error.value) == f"{path} must hold an array of sources"


@pytest.mark.parametrize(
    "wrong",
    [
        5,
        None,
        [],
        {},
        {"id": "a"},
        {"write_key": "k"},
        {"id": 5, "write_key": "k"},
        {"id": "a", "write_key": None},
        {**GOOD, "writeKey": "k"},
        {**GOOD, "destinations": ["d"]},
        {**GOOD, "destinations": {"d": "off"}},
        {**GOOD, "enabled": "no"},
        {**GOOD, "original": 5},
    ],
    ids=json.dumps,
)
def test_the_wrong_source_is_named_by_its_place(tmp_path, wrong):
    path = written(tmp_path, [GOOD, wrong])
    with pytest.raises(SourcesError) as error:
        load(path)
    assert f"{path}: source 1 must be an object with id and write_key" in str(error.value)
