# noqa: INP001 -- a script, no module of a package
"""Write requirements.txt and requirements-dev.txt from what the members of the workspace declare.

Pinned with hashes, for every platform, without any index address. Needs `uv` in PATH.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MEMBERS = (*sorted(ROOT.glob("libs/*")), *sorted(ROOT.glob("services/*")), ROOT / "deploy/embedded")
BUILD = ("editables", "hatchling")
"""What installing the members in place needs."""


def declared() -> list[str]:
    """Every requirement of a member that is not another member."""
    found: set[str] = set()
    for member in MEMBERS:
        project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
        found.update(line for line in project["dependencies"] if not line.startswith("corral-"))
    return sorted(found)


def compile_to(target: Path, wanted: list[str]) -> None:
    """Resolve ``wanted``; what ``target`` pins already stays unless --upgrade is given."""
    subprocess.run(  # noqa: S603 -- a fixed command
        [
            *("uv", "pip", "compile", "-", "--quiet", "--universal", "--python-version", "3.11"),
            *("--generate-hashes", "--no-annotate", "--no-header", "--output-file", str(target)),
            *sys.argv[1:],
        ],
        input="\n".join(wanted).encode(),
        check=True,
        cwd=ROOT,
    )


def main() -> None:
    """Both files."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    runtime = ROOT / "requirements.txt"
    compile_to(runtime, [*declared(), *BUILD])
    compile_to(ROOT / "requirements-dev.txt", [*declared(), *BUILD, *tools, f"-c {runtime}"])


if __name__ == "__main__":
    main()
