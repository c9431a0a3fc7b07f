"""The files for batch systems: YAML against the parts of the schemas that it uses, the commands in it against ours."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml

from console.app import make_app

EXAMPLES = Path(__file__).parents[2] / "examples"
SCHEMA = json.loads((Path(__file__).parent / "batch_schema.json").read_text(encoding="utf-8"))
FILES = {"kuberay/rayjob.yaml": "RayJob", "kuberay/array-job.yaml": "Job", "skypilot.yaml": "SkyPilot"}


def read(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))


def test_every_file_is_checked_here() -> None:
    assert {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.yaml")} == {*FILES}


@pytest.mark.parametrize(("name", "kind"), FILES.items())
def test_a_file_has_the_fields_of_its_schema(name: str, kind: str) -> None:
    schema = {"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]}
    checked = jsonschema.Draft202012Validator(schema)
    assert [error.message for error in checked.iter_errors(read(name))] == []
    assert list(checked.iter_errors({**read(name), "of nobody": 1}))


def test_a_job_of_ray_is_stopped_in_time_and_run_again() -> None:
    spec = read("kuberay/rayjob.yaml")["spec"]
    head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    (stops,) = (int(one["value"]) for one in head["containers"][0]["env"] if one["name"] == "RAY_JOB_STOP_WAIT_TIME_S")
    assert 20 < stops < head["terminationGracePeriodSeconds"]  # cluster/run_maker.PATIENCE_SECONDS
    assert spec["backoffLimit"] > 0
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}


def test_every_command_in_the_files_is_one_of_ours() -> None:
    """With flags that it has."""
    commands = typer.main.get_command(make_app()).commands  # type: ignore[attr-defined]
    found = set[str]()
    for path in [*EXAMPLES.rglob("*.sh"), *EXAMPLES.rglob("*.yaml")]:
        text = path.read_text(encoding="utf-8").replace('"$1"', "make-runs").replace("[memo-dist, ", "memo-dist ")
        for name, rest in re.findall(r"^[^#\n]*memo-dist ([a-z-]+),?([^\n&#]*)", text, re.MULTILINE):
            found.add(name)
            known = {flag for one in commands[name].params for flag in one.opts}
            assert {*re.findall(r"--[a-z-]+", rest)} <= known, (path, name)
    assert {"build", "plan-build", "make-runs", "finish"} <= found


@pytest.mark.parametrize("path", sorted((EXAMPLES / "slurm").glob("*.sh")), ids=lambda path: path.name)
def test_a_script_is_one_that_bash_reads(path: Path) -> None:
    subprocess.run(["bash", "-n", str(path)], check=True)
