"""A model's requirements in the evaluation job, installed by the real pip from packages that are made here."""

import os
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
# Installs, and says which versions are imported then, here and in a child.
SCRIPT = """
import subprocess, sys
from pathlib import Path
from toolkit import requirements
from toolkit.errors import ToolkitError

try:
    requirements.install(Path("requirements.txt"), Path(sys.argv[1]))
except ToolkitError as error:
    sys.exit(str(error))
import library
print(library.VERSION, flush=True)
subprocess.run([sys.executable, "-c", "import library; print(library.VERSION)"], check=True)
"""


class Requirements(unittest.TestCase):
    """An image that has library 1.0; an index that has 1.0 and 2.0 of it, and a user of any."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.wheel("library", "1.0")
        self.wheel("library", "2.0")
        self.wheel("needy", "1.0", "Requires-Dist: library\n")
        with zipfile.ZipFile(self.folder / "index" / "library-1.0-py3-none-any.whl") as wheel:
            wheel.extractall(self.folder / "image")

    def wheel(self, name, version, requires=""):
        info = f"{name}-{version}.dist-info"
        path = self.folder / "index" / f"{name}-{version}-py3-none-any.whl"
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{name}.py", f"VERSION = {version!r}\n")
            wheel.writestr(f"{info}/METADATA", METADATA.format(name=name, version=version, requires=requires))
            wheel.writestr(f"{info}/WHEEL", WHEEL)
            wheel.writestr(f"{info}/RECORD", "")

    def installed(self, requirements):
        (self.folder / "requirements.txt").write_text(requirements)
        around = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self.folder / "image"), os.environ["PYTHONPATH"]]),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.folder / "index"),
        }
        command = [sys.executable, "-c", SCRIPT, str(self.folder / "packages")]
        return subprocess.run(command, cwd=self.folder, env=around, capture_output=True, text=True, check=False)

    def test_what_a_package_needs_is_of_the_version_that_the_image_has(self):
        done = self.installed("needy\n")
        self.assertEqual(done.stdout, "1.0\n1.0\n", done.stderr)
        self.assertTrue((self.folder / "packages" / "needy.py").exists())

    def test_another_version_that_is_asked_for_wins(self):
        self.assertEqual(self.installed("library==2.0\nneedy\n").stdout, "2.0\n2.0\n")

    def test_what_cannot_be_installed_is_told_with_pips_reason(self):
        done = self.installed("nowhere==3.1\n")
        self.assertEqual(done.returncode, 1)
        said = "requirements.txt can't be installed for the evaluation: Could not find a version that satisfies"
        self.assertIn(f"{said} the requirement nowhere==3.1", done.stderr)


if __name__ == "__main__":
    unittest.main()
