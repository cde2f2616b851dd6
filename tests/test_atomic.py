"""Files are written as a whole or not at all, beside their place until they are done."""

import pytest

from minilora.files.atomic import make_folder, write_bytes, write_together


def test_what_is_beside_the_file_is_never_read_and_soon_overwritten(tmp_path):
    (tmp_path / ".a.partial").write_bytes(b"left by a process that was killed")
    write_bytes(tmp_path / "a", b"whole")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"a": b"whole"}


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(TypeError):
        write_bytes(tmp_path / "a", "not bytes")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"a": b"old"}


def test_where_one_of_several_files_cannot_be_written_all_stay_as_they_were(tmp_path):
    write_together(tmp_path, {"a": b"old", "b": b"old"})
    with pytest.raises(TypeError):
        write_together(tmp_path, {"a": b"new", "b": "not bytes"})
    assert [(tmp_path / name).read_bytes() for name in ("a", "b")] == [b"old", b"old"]


def test_a_file_that_is_a_folder_is_refused_and_nothing_is_left_beside_it(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError, match="taken is a folder, and a file is to be written there: choose another name"):
        write_bytes(tmp_path / "taken", b"whole")
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("name", ["", "."])
def test_a_file_without_a_name_is_refused(name):
    with pytest.raises(IsADirectoryError, match=". is a folder, and a file is to be written there"):
        write_bytes(name, b"whole")


def test_a_folder_is_made_once(tmp_path):
    assert make_folder(tmp_path / "a" / "b") == make_folder(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(NotADirectoryError, match="taken cannot be a folder, for a file is in the way: choose another name"):
        make_folder(tmp_path / "taken")


def test_an_empty_name_is_not_the_current_folder():
    with pytest.raises(ValueError, match="an empty name is no folder: name one, or '.' for the current folder"):
        make_folder("")
