"""Files are written as a whole or not at all, beside their place until they are done."""

import pytest

from minilora.files.atomic import make_folder, write_bytes


def test_what_is_beside_the_file_is_never_read_and_soon_overwritten(tmp_path):
    (tmp_path / ".a.partial").write_bytes(b"left by a process that was killed")
    write_bytes(tmp_path / "a", b"whole")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"a": b"whole"}


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(TypeError):
        write_bytes(tmp_path / "a", "not bytes")
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_folder_is_made_once(tmp_path):
    assert make_folder(tmp_path / "a" / "b") == make_folder(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(NotADirectoryError, match="taken cannot be a folder, for a file is in the way: choose another name"):
        make_folder(tmp_path / "taken")
