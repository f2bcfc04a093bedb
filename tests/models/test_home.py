import sys
from pathlib import Path

import pytest

from llamafarm.errors import ConfigError
from llamafarm.home import expanded, home
from llamafarm.models.index_config import user_indexes
from llamafarm.models.network import headers_for


def test_the_variable_wins(monkeypatch, tmp_path):
    monkeypatch.setenv("LLAMAFARM_HOME", str(tmp_path))
    assert home() == tmp_path


@pytest.mark.parametrize(
    ("platform", "env", "end"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/llamafarm"),
        ("linux", {"XDG_DATA_HOME": "relative"}, "/me/.local/share/llamafarm"),
        ("darwin", {}, "/me/Library/Application Support/llamafarm"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/llamafarm"),
    ],
)
def test_the_platforms_place(monkeypatch, platform, env, end):
    for name in ("LLAMAFARM_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/me", **env}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert str(home()) == end


@pytest.mark.parametrize("name", ["~no-such-user", "~no-such-user/models"])
def test_a_user_that_is_not_there_is_a_clear_line(monkeypatch, name):
    monkeypatch.setenv("LLAMAFARM_HOME", name)
    with pytest.raises(ConfigError, match=r"^LLAMAFARM_HOME is '~no-such-user.*no home folder is known"):
        home()


@pytest.mark.skipif(sys.platform == "win32", reason="needs users by number")
def test_a_process_without_a_user_is_told_what_to_set(monkeypatch):
    for name in ("HOME", "LLAMAFARM_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54321987)
    with pytest.raises(ConfigError, match="set LLAMAFARM_HOME"):
        home()
    monkeypatch.setenv("LLAMAFARM_HOME", "/data")
    assert home() == Path("/data")


@pytest.mark.parametrize("name", ["~no-such-user/x", "~a\0b/x"])
def test_expanding_raises_one_kind_of_error(name):
    with pytest.raises(ValueError, match="no home folder is known for '~"):
        expanded(name)


def test_expanding_leaves_other_paths_alone(monkeypatch):
    monkeypatch.setenv("HOME", "/me")
    assert expanded("~/x") == Path("/me/x")
    assert expanded("a/~/b") == Path("a/~/b")


@pytest.mark.skipif(sys.platform == "win32", reason="needs users by number")
def test_models_are_fetched_without_a_home(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54321987)
    environ = {"PIP_INDEX_URL": "https://h/simple", "PIP_FIND_LINKS": "~/wheels", "PIP_CONFIG_FILE": "/none"}
    indexes = user_indexes(environ)
    assert indexes.urls[0] == "https://h/simple"
    assert indexes.folders == ()
    assert headers_for("https://h/m.gguf") == {"Accept-Encoding": "identity"}
