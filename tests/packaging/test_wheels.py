"""The distributions as a user installs them: built wheels in an empty environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = ("core", "plugins/replicate", "plugins/allenai", "plugins/huggingface")
OURS = """
import sys
from core_chat import Registry
print(*sorted(Registry().plugins), *sorted(name for name in sys.modules if name.startswith("core_")))
"""

pytestmark = pytest.mark.wheels


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build every distribution once."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in PROJECTS:
        command = [
            sys.executable,
            "-m",
            "build",
            "--no-isolation",
            "--wheel",
            "--outdir",
            str(folder),
            str(ROOT / project),
        ]
        subprocess.run(command, check=True, capture_output=True, text=True)
    return folder


class Environment:
    """A virtual environment with nothing in it but pip."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        subprocess.run([sys.executable, "-m", "virtualenv", "-q", str(folder)], check=True)
        self.folder = folder
        self.wheels = wheels

    def run(self, *command: str, code: int = 0) -> str:
        """Run a program of this environment, away from the checkout, and return what it printed."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "CORE_CHAT"))}
        done = subprocess.run(
            [str(self.folder / "bin" / command[0]), *command[1:]],
            cwd=self.folder,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def install(self, *names: str) -> None:
        """Install distributions from the wheels."""
        self.run("pip", "install", "-q", "--find-links", str(self.wheels), *names)

    def names(self) -> list[str]:
        """Return the providers that a registry finds, and the modules of ours that were imported for that."""
        return [word for word in self.run("python", "-c", OURS).split() if not word.startswith("core_chat")]


def test_core_alone_then_with_a_plugin_then_without_it(wheels: Path, tmp_path: Path) -> None:
    """The core works alone, sees a plugin once it is installed, and is itself again when it is gone."""
    place = Environment(tmp_path / "env", wheels)
    place.install("core-chat")
    assert place.names() == []
    assert "pip install 'core-chat[cli]'" in place.run("core-chat", "--help", code=2)
    place.install("core-chat[cli]", "core-replicate")
    assert place.names() == ["replicate"], "the plugin is found, and not imported"
    assert "canned answer" in place.run("core-chat", "chat", "--sandbox", "Why is the sky blue?")
    place.run("pip", "uninstall", "-q", "-y", "core-replicate")
    assert place.names() == []
    assert "pip install core-replicate" in place.run("core-chat", "chat", "-m", "replicate:", "Hi", code=2)


def test_every_wheel_is_typed_and_carries_its_licence(wheels: Path) -> None:
    """Each wheel has the marker for type checkers and the licence text."""
    import zipfile

    built = sorted(wheels.glob("*.whl"))
    assert len(built) == len(PROJECTS)
    for wheel in built:
        names = zipfile.ZipFile(wheel).namelist()
        assert any(name.endswith("/py.typed") for name in names), wheel.name
        assert any(name.endswith("licenses/LICENSE") for name in names), wheel.name
        assert not any("test_" in name for name in names), wheel.name
