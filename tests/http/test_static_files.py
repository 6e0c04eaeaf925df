"""Static files of ours are in a folder whose name changes with each of them."""

from hfchat.http.static_files import static_routes


def test_the_folder_changes_with_what_is_in_it_and_with_its_names() -> None:
    contents = ({"a.js": b"12", "b.js": b"3"}, {"a.js": b"1", "b.js": b"23"}, {"a.js": b"12", "c.js": b"3"})
    folders = [static_routes("x", files)[0] for files in contents]
    assert len(set(folders)) == 3
    assert static_routes("x", contents[0])[0] == folders[0]
    assert all(folder.startswith("/static/x-") for folder in folders)


def test_each_file_has_a_route() -> None:
    folder, routes = static_routes("x", {"a/b.js": b"", "c.css": b""})
    assert [route.path for route in routes] == [f"{folder}/a/b.js", f"{folder}/c.css"]
