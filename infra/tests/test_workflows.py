"""Checks the workflows with zizmor: actions are pinned, and permissions are minimal."""

import subprocess
import sys
import unittest
from pathlib import Path

WORKFLOWS = Path(__file__).parent.parent.parent / ".github" / "workflows"


class Workflows(unittest.TestCase):
    def test_they_are_clean(self):
        self.assertEqual(sorted(path.name for path in WORKFLOWS.iterdir()), ["ci.yml", "release.yml"])
        zizmor = Path(sys.executable).with_name("zizmor")
        judged = subprocess.run([zizmor, "--offline", "--no-progress", WORKFLOWS], capture_output=True, text=True, check=False)
        self.assertEqual(judged.returncode, 0, judged.stdout + judged.stderr)


if __name__ == "__main__":
    unittest.main()
