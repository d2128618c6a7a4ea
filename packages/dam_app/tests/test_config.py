"""Where configuration comes from, who wins, and what is said about mistakes."""

import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from dam.core.exceptions import DamError, NoSuchWorldError, PluginUnavailableError, SettingsError
from dam.models.config import WorldConfig
from dam_app.config import Configuration, WorldDescription, load_configuration
from dam_fs.settings import FsSettings, FsSettingsComponent

TOML = """
default_world = "photos"

[worlds.photos]
database_url = "sqlite+aiosqlite:///photos.db"

[worlds.photos.settings.dam-fs]
storage_path = "photos-store"
readers = 3
"""

ROOT = Path(__file__).parents[3]


def write(folder: Path, text: str = TOML, name: str = "dam.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def fs_settings(configuration: Configuration, world: str) -> FsSettings:
    description = configuration.describe(world)
    (component,) = (c for c in description.components if isinstance(c, FsSettingsComponent))
    settings = component.to_settings(description.base)
    assert isinstance(settings, FsSettings)
    return settings


def database_of(configuration: Configuration, world: str) -> str:
    return configuration.describe(world).core.database_url


def mistake(world: str | None = None) -> str:
    """The message about the configuration, whether it cannot be read or one of its worlds is wrong."""
    with pytest.raises(DamError) as caught:
        described(world)
    return caught.value.message


def described(world: str | None) -> WorldDescription:
    configuration = load_configuration()
    return configuration.describe(configuration.choose(world))


# -- where it is looked for


def test_without_any_file_there_is_the_default_world_in_the_home_of_dam(tmp_path: Path) -> None:
    configuration = load_configuration()
    assert configuration.file is None
    assert configuration.names == ["default"]
    assert configuration.choose(None) == "default"
    assert database_of(configuration, "default") == f"sqlite+aiosqlite:///{tmp_path}/home/default.db"


def test_files_are_looked_for_from_the_named_one_to_the_users_own(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = write(tmp_path / "config" / "dam")
    assert load_configuration().file == users
    above = write(home)
    below = home / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load_configuration().file == above
    nearest = write(below)
    assert load_configuration().file == nearest
    by_variable = write(tmp_path / "by variable")
    monkeypatch.setenv("DAM_CONFIG", str(by_variable))
    assert load_configuration().file == by_variable
    named = write(tmp_path / "named", name="other.toml")
    assert load_configuration(str(named)).file == named
    assert load_configuration("../../../named/other.toml").file is not None


def test_a_named_file_that_is_not_there_is_an_error_and_not_another_file(home: Path) -> None:
    write(home)
    with pytest.raises(SettingsError, match=r"nope\.toml cannot be read: .*correct --config"):
        load_configuration("nope.toml")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no owner ids")
@pytest.mark.parametrize("name", ["dam.toml", ".env"])
def test_a_strangers_file_found_by_walking_up_is_refused_and_one_that_was_named_is_not(home: Path, name: str) -> None:
    stranger = home / name
    if os.getuid() == 0:
        stranger.write_text("")
        os.chown(stranger, 12345, -1)
    else:
        stranger.symlink_to("/etc/passwd")  # which is root's; and a link to it is no way around
    with pytest.raises(SettingsError, match="belongs to another user") as caught:
        load_configuration()
    assert f"--config {home / 'dam.toml'}" in caught.value.message
    if os.getuid() == 0:
        (home / "dam.toml").touch()
        assert load_configuration(str(home / "dam.toml")).choose(None) == "default"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("name", ["dam.toml", ".env"])
def test_a_pipe_is_no_configuration_and_nobody_waits_for_it(home: Path, name: str) -> None:
    os.mkfifo(home / name)
    assert load_configuration().choose(None) == "default"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the working folder of a process")
def test_a_working_folder_that_is_gone_is_said(home: Path) -> None:
    home.rmdir()
    assert "the working folder does not exist any more" in mistake()


# -- what it says


def test_relative_paths_are_relative_to_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home)
    (home / "below").mkdir()
    monkeypatch.chdir(home / "below")
    configuration = load_configuration()
    assert database_of(configuration, "photos") == f"sqlite+aiosqlite:///{home}/photos.db"
    assert fs_settings(configuration, "photos").storage_path == home / "photos-store"


def test_a_tilde_is_the_home_folder_of_the_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("USERPROFILE", "/home/somebody")
    write(home, TOML.replace("///photos.db", "///~/photos.db").replace('"photos-store"', '"~/store"'))
    configuration = load_configuration()
    assert database_of(configuration, "photos") == "sqlite+aiosqlite:////home/somebody/photos.db"
    assert fs_settings(configuration, "photos").storage_path == Path("/home/somebody/store")


def test_worlds_have_their_own_plugins_and_settings(home: Path) -> None:
    write(
        home,
        """
        [worlds.a]
        analysis_workers = 2
        [worlds.a.settings.dam_fs]
        readers = 5
        [worlds.b]
        plugins = []
        [worlds.default]
        plugins = ["DAM_FS"]
        """,
    )
    configuration = load_configuration()
    assert configuration.names == ["a", "b", "default"]
    a, b, default = (configuration.describe(name) for name in configuration.names)
    assert {"dam-fs", "dam-media-audio"} <= {r.name for r in a.plugins}
    assert a.core.analysis_workers == 2
    assert fs_settings(configuration, "a").readers == 5
    assert (b.plugins, b.core.analysis_workers) == ([], None)
    assert [r.name for r in default.plugins] == ["dam-fs"]
    assert {world.core.name for world in (a, b, default)} == {"a", "b", "default"}


# -- which world


def test_the_world_is_the_named_one_then_the_variable_then_the_default_of_the_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, TOML + "[worlds.a]\n[worlds.b]\n[worlds.c]\n")
    assert load_configuration().choose(None) == "photos"
    monkeypatch.setenv("DAM_DEFAULT_WORLD", "a")
    assert load_configuration().choose(None) == "a"
    monkeypatch.setenv("DAM_WORLD", "b")
    assert load_configuration().choose(None) == "b"
    assert load_configuration().choose("c") == "c"


@pytest.mark.parametrize(
    ("variable", "named"), [("DAM_WORLD", None), ("DAM_DEFAULT_WORLD", None), ("DAM_HOME", "nope")]
)
def test_an_unknown_world_says_who_named_it_and_which_there_are(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, named: str | None
) -> None:
    file = write(home)
    monkeypatch.setenv(variable, "nope")
    with pytest.raises(NoSuchWorldError) as caught:
        load_configuration().choose(named)
    said_by = "--world" if named else f"environment variable {variable}"
    assert f"no world 'nope', which {said_by} names: {file} has default, photos;" in caught.value.message
    assert "[worlds.nope]" in caught.value.message


def test_an_unknown_default_world_of_the_file_names_the_file(home: Path) -> None:
    file = write(home, 'default_world = "nope"')
    assert f"no world 'nope', which {file} names" in mistake()


# -- the environment


def test_the_environment_wins_over_the_dotenv_and_the_dotenv_over_the_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home)
    assert fs_settings(load_configuration(), "photos").readers == 3
    write(home, "DAM_WORLDS__PHOTOS__SETTINGS__DAM_FS__READERS=4\nUNRELATED=1\n", ".env")
    assert fs_settings(load_configuration(), "photos").readers == 4
    monkeypatch.setenv("DAM_WORLDS__PHOTOS__SETTINGS__DAM_FS__READERS", "5")
    settings = fs_settings(load_configuration(), "photos")
    assert settings.readers == 5
    assert settings.storage_path == home / "photos-store", "what no variable speaks of stays as the file has it"


def test_every_setting_has_a_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAM_WORLDS__PHOTOS__DATABASE_URL", "sqlite+aiosqlite:///p.db")
    monkeypatch.setenv("DAM_WORLDS__PHOTOS__PLUGINS", '["dam-fs"]')
    monkeypatch.setenv("DAM_WORLDS__PHOTOS__ANALYSIS_MEMORY_MB", "4096")
    monkeypatch.setenv("DAM_WORLDS__PHOTOS__SETTINGS__DAM_FS__STORAGE_PATH", "store")
    monkeypatch.setenv("DAM_DEFAULT_WORLD", "photos")
    configuration = load_configuration()
    assert configuration.choose(None) == "photos"
    core = configuration.describe("photos").core
    assert (core.database_url, core.analysis_memory_mb) == (f"sqlite+aiosqlite:///{home}/p.db", 4096)
    assert fs_settings(configuration, "photos").storage_path == home / "store"


def test_variables_find_worlds_and_plugins_in_the_spelling_of_the_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, '[worlds.My-Photos]\nplugins = ["dam-fs"]\n[worlds.My-Photos.settings.dam-fs]\nignore_file = "skip"\n')
    monkeypatch.setenv("DAM_WORLDS__MY_PHOTOS__SETTINGS__DAM_FS__READERS", "7")
    configuration = load_configuration()
    assert configuration.names == ["My-Photos", "default"]
    settings = fs_settings(configuration, "My-Photos")
    assert (settings.readers, settings.ignore_file) == (7, "skip")
    assert [r.name for r in configuration.describe("My-Photos").plugins] == ["dam-fs"]
    monkeypatch.setenv("DAM_WORLDS__MY_PHOTOS__PLUGINS", "[]")
    monkeypatch.delenv("DAM_WORLDS__MY_PHOTOS__SETTINGS__DAM_FS__READERS")
    assert "a plugin that the world does not have" in mistake("My-Photos")


def test_a_dotenv_can_name_the_world_and_the_home_of_dam(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAM_HOME")
    write(home, "DAM_WORLD=default\nDAM_HOME=data\n", ".env")
    configuration = load_configuration()
    assert configuration.choose(None) == "default"
    assert database_of(configuration, "default") == f"sqlite+aiosqlite:///{home}/data/default.db"


# -- mistakes: file or variable, table, key, value, and what is allowed


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("wrlds = 1", "'wrlds' is not a setting; at the top there are default_world and tables [worlds.NAME]"),
        ("default_world = 3", "default_world=3: input should be a valid string"),
        ("worlds = 3", "worlds=3: must be tables [worlds.NAME]"),
        ("[worlds]\nmain = 3", "[worlds] main=3: must be a table [worlds.main]"),
        ("[worlds.main]\nplugins = 'dam-fs'", "[worlds.main] plugins='dam-fs': input should be a valid list"),
        ("[worlds.main]\nplugins = [5]", "[worlds.main] plugins=5: input should be a valid string"),
        (
            "[worlds.main.settings]\ndam-fs = 3",
            "[worlds.main.settings] dam-fs=3: must be a table [worlds.main.settings.dam-fs]",
        ),
        (
            "[worlds.main]\ndatabse_url = ''",
            "[worlds.main] databse_url is not a setting; did you mean database_url? There are analysis_cpu_limit,",
        ),
        ("[worlds.main]\nname = 'x'", "[worlds.main] name is not a setting"),
        (
            "[worlds.main]\nanalysis_memory_mb = 'much'",
            "[worlds.main] analysis_memory_mb='much': input should be a valid integer",
        ),
        (
            "[worlds.main]\nanalysis_time_limit = 0",
            "[worlds.main] analysis_time_limit=0: input should be greater than 0; the default is 60",
        ),
        (
            "[worlds.main]\ndatabase_url = 'mysql://x'",
            "[worlds.main] database_url='mysql://x' is not a database that dam knows; allowed are sqlite+aiosqlite:///FILE",
        ),
        ("[worlds.main]\ndatabase_url = 'rubbish'", "[worlds.main] database_url='rubbish' is not a database"),
        (
            "[worlds.main.settings.dam-fs]\nreaders = 99",
            "[worlds.main.settings.dam-fs] readers=99: input should be less than or equal to 64",
        ),
        (
            "[worlds.main.settings.dam-fs]\nreders = 9",
            "[worlds.main.settings.dam-fs] reders is not a setting; did you mean readers? There are ignore_file",
        ),
        ("[worlds.main.settings.dam-fx]\nreaders = 9", "[worlds.main.settings.dam-fx] is for a plugin that the world"),
        (
            "[worlds.main]\nplugins = ['dam-fx']",
            "[worlds.main] plugins: plugin 'dam-fx' is not installed; 'dam-cli plugins' lists what is; usable are dam-fs",
        ),
        ("[worlds.'../x']", "is not a name for a world"),
        ("[worlds.ab]\n[worlds.AB]", "cannot tell [worlds.ab] from [worlds.AB]; rename one of them"),
        ("[worlds.main", "is not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_names_file_table_key_and_value(home: Path, toml: str, said: str) -> None:
    file = write(home, toml)
    message = mistake("main")
    assert message.startswith(str(file))
    assert said in message


def test_every_mistake_in_a_table_is_shown_at_once(home: Path) -> None:
    write(home, "[worlds.main]\nanalysis_workers = 0\nanalysis_cpu_limit = -1\nfoo = 1\n")
    lines = mistake("main").splitlines()
    assert len(lines) == 3
    assert [line.partition("] ")[2].split("=")[0].split()[0] for line in lines] == [
        "analysis_workers",
        "analysis_cpu_limit",
        "foo",
    ]


def test_a_file_that_is_not_utf8_is_said_to_be_no_toml(home: Path) -> None:
    (home / "dam.toml").write_bytes(b"default_world = '\xff'")
    assert "is not valid TOML" in mistake()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "DAM_WORLDS__PHOTOS__SETTINGS__DAM_FS__READERS",
            "99",
            "[worlds.photos.settings.dam-fs] readers='99': input should be less than or equal to 64",
        ),
        ("DAM_WORLDS__PHOTOS__DATABSE_URL", "x", "[worlds.photos] databse_url is not a setting"),
        ("DAM_WORLDS__PHOTOS__DATABASE_URL", "x", "[worlds.photos] database_url='x' is not a database that dam knows"),
        ("DAM_WORLDS__PHOTOS__PLUGINS", "dam-fs", "[worlds.photos] plugins='dam-fs': input should be a valid list"),
        ("DAM_WORLDS__PHOTOS__PLUGINS", '["dam-fx"]', "[worlds.photos] plugins: plugin 'dam-fx' is not installed"),
        ("DAM_WORLDS__PHOTOS", "3", "[worlds] photos=3: must be a table"),
    ],
)
@pytest.mark.parametrize("in_dotenv", [False, True])
def test_a_mistake_in_a_variable_names_the_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str, in_dotenv: bool
) -> None:
    write(home)
    if in_dotenv:
        write(home, f"{variable}='{value}'\n", ".env")
    else:
        monkeypatch.setenv(variable, value)
    place = f"{home / '.env'}: {variable}" if in_dotenv else f"environment variable {variable}"
    assert mistake("photos").startswith(f"{place}: {said}")


def test_a_variable_for_all_worlds_that_is_not_json_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAM_WORLDS", "photos")
    assert "DAM_WORLDS, in the environment or in" in mistake()


@pytest.mark.parametrize("variable", ["DAM_WORLDS_PHOTOS_DATABASE_URL", "DAM_DEFAULT_WORL", "DAM_HOMES"])
def test_a_misspelt_variable_is_not_ignored(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "x")
    message = mistake()
    assert f"environment variable {variable} is not a setting" in message
    assert "DAM_DEFAULT_WORLD" in message
    assert "DAM_WORLDS__NAME__KEY" in message


def test_other_variables_of_the_prefix_are_nobodys_business_but_in_a_dotenv_they_are_mistakes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_PHOTOS_PASSWORD", "x")
    load_configuration()
    write(home, "DAM_CONFIG=x\n", ".env")
    assert f"{home / '.env'}: DAM_CONFIG is not a setting there" in mistake()


def test_a_plugin_that_a_world_does_not_have_may_be_missing(home: Path) -> None:
    write(home, "[worlds.a]\nplugins = ['dam-fx']\n[worlds.b]\nplugins = ['dam-fs']\n")
    configuration = load_configuration()
    assert [r.name for r in configuration.describe("b").plugins] == ["dam-fs"]
    with pytest.raises(PluginUnavailableError):
        configuration.describe("a")


# -- the examples at the top of the repository


EXAMPLES = [ROOT / "dam.toml.example", ROOT / ".env.example"]


def uncommented(example: Path) -> str:
    """The example with every setting that it shows switched on, but for the store's other place: there is one."""
    return re.sub(
        r"^# (?!\w*storage_url)(?=\w+ ?= ?\S)",
        "",
        example.read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.IGNORECASE,
    )


def test_the_example_works_as_it_stands(home: Path) -> None:
    shutil.copy(ROOT / "dam.toml.example", home / "dam.toml")
    shutil.copy(ROOT / ".env.example", home / ".env")
    configuration = load_configuration()
    assert configuration.choose(None) == "main"
    assert database_of(configuration, "main") == f"sqlite+aiosqlite:///{home}/main.db"
    assert fs_settings(configuration, "main").storage_path == home / "main-store"


def test_what_the_examples_show_as_comments_is_valid_and_alike(home: Path) -> None:
    by_file = home / "by file"
    write(by_file, uncommented(ROOT / "dam.toml.example"))
    by_variables = home / "by variables"
    write(by_variables, "")
    write(by_variables, uncommented(ROOT / ".env.example"), ".env")
    found = []
    for folder in (by_file, by_variables):
        configuration = load_configuration(str(folder / "dam.toml"))
        assert configuration.choose(None) == "main"
        settings = fs_settings(configuration, "main")
        assert settings.storage_path == folder / "main-store"
        core = configuration.describe("main").core
        assert core.folder == folder / "main"
        found.append(
            (
                core.model_dump(exclude={"database_url", "folder"}),
                settings.model_dump(exclude={"storage_path"}, exclude_unset=True),
            )
        )
    assert found[0] == found[1]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_show_every_setting_of_the_core_and_of_the_file_plugin(example: Path) -> None:
    text = uncommented(example).replace("# ", "")
    for name in {*WorldConfig.model_fields, *FsSettings.model_fields, "plugins", "default_world"} - {"name"}:
        shown = (
            rf"^{name} = " if example.suffix == ".example" and example.stem == "dam.toml" else rf"(__|_){name.upper()}="
        )
        assert re.search(shown, text, re.MULTILINE), name


def test_the_defaults_that_the_example_shows_are_the_defaults(home: Path) -> None:
    file = write(home, uncommented(ROOT / "dam.toml.example"))
    shown = tomllib.loads(file.read_text())["worlds"]["main"]
    for model, table in ((WorldConfig, shown), (FsSettings, shown["settings"]["dam-fs"])):
        for name, field in model.model_fields.items():
            if name in table and field.default not in (None, ""):
                assert table[name] == field.default, name


@pytest.mark.parametrize("password", ["'sesame'", "{ value = 'sesame' }"])
def test_a_password_that_is_written_down_is_refused_and_not_shown(home: Path, password: str) -> None:
    write(home, f"[worlds.far]\ndatabase_url = 'postgresql+asyncpg://me@host/db'\ndatabase_password = {password}\n")
    with pytest.raises(SettingsError) as refused:
        load_configuration().describe("far")
    assert "sesame" not in refused.value.message
    assert "database_password" in refused.value.message


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (
            "[worlds.a]\nfolder = '~nobody-of-that-name/x'",
            "folder='~nobody-of-that-name/x': value error, there is no home folder",
        ),
        (
            "[worlds.a]\ndatabase_url = 'sqlite+aiosqlite:///~nobody-of-that-name/x.db'",
            "there is no home folder '~nobody-of-that-name'",
        ),
        (f"[worlds.a]\nx = {'[' * 5000}", "is not valid TOML: it is nested too deeply"),
        (f"[worlds.a]\nx = {'9' * 5000}", "is not valid TOML: Exceeds the limit"),
    ],
    ids=["folder", "database", "nested", "number"],
)
def test_what_only_a_broken_file_says_is_a_mistake_like_others(home: Path, toml: str, said: str) -> None:
    write(home, toml)
    assert said in mistake("a")


def test_a_home_of_dam_that_is_nobodys_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAM_HOME", "~nobody-of-that-name/x")
    assert "DAM_HOME" in (said := mistake())
    assert "there is no home folder '~nobody-of-that-name'" in said
