"""Settings: later sources win, and everything wrong is said at once."""

from __future__ import annotations

import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.settings import TABLE, load_settings


def test_defaults_are_valid_by_their_own_rules():
    for setting in TABLE:
        assert setting.parse(setting.default, "default") == setting.default


def test_command_line_beats_environment_beats_file(tmp_path):
    (tmp_path / "config.toml").write_text('port = 1111\nseed = 5\nstrategy = "entropy"\n')
    settings = load_settings(tmp_path, {"PLUMBLINE_PORT": "2222", "PLUMBLINE_SEED": "6"}, {"port": 3333})
    assert (settings["port"], settings["seed"], settings["strategy"]) == (3333, 6, "entropy")
    assert settings.sources["port"] == "command line"
    assert settings.sources["seed"] == "environment"
    assert settings.sources["strategy"] == str(tmp_path / "config.toml")
    assert settings.sources["head_l2"] == "default"


def test_every_mistake_is_named_in_one_error(tmp_path):
    (tmp_path / "config.toml").write_text("stream_shar = 0.2\nport = 70000\n")
    with pytest.raises(InputError) as caught:
        load_settings(tmp_path, {"PLUMBLINE_STREAM_SHARE": "a lot"})
    message = str(caught.value)
    assert "setting 'stream_shar' does not exist; did you mean 'stream_share'?" in message
    assert "setting 'port' is 70000; expected a whole number from 0 to 65535" in message
    assert "environment: setting 'stream_share' is 'a lot'; expected a number from 0.01 to 0.9" in message


@pytest.mark.parametrize("value", [float("nan"), 1.0, -0.1])
def test_nan_and_out_of_range_numbers_are_refused(value):
    with pytest.raises(InputError, match="stream_share"):
        load_settings(None, {}, {"stream_share": value})


def test_a_whole_number_is_not_rounded_silently():
    with pytest.raises(InputError, match=r"setting .seed. is 1\.5; expected a whole number"):
        load_settings(None, {}, {"seed": 1.5})


def test_broken_toml_names_the_file(tmp_path):
    (tmp_path / "config.toml").write_text("port = = 1")
    with pytest.raises(InputError, match=r"config\.toml: not valid TOML"):
        load_settings(tmp_path, {})
