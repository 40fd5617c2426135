"""Who films, and what: requests, the filming child and the bundled clip; the standard library only."""

import asyncio
import dataclasses
import hashlib
import importlib.util
import json
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parent / "assets"
LIBRARIES = ("av", "espeakng_loader", "numpy", "PIL")

# Part of every content key: raise it when the same request is to look or sound different.
EDITION = 1


class FilmError(Exception):
    """No film can be made of this request; the message says why."""


@dataclasses.dataclass(frozen=True)
class FilmRequest:
    """What to film.

    `width` and `height` are pixels, 16 to 3840, an odd one made even by one pixel less. `speed` is a factor
    of 0.5 to 1.5, `pitch` −50 to 50. `background` is `#rrggbb` or the path of an image. `audio` is spoken
    instead of `script`. Where nobody speaks, `seconds` is the length. `clip` is a video to show, in the place of
    a photo, as long as it is. `camera` moves about. `transparent` makes a WebM that shows the person alone. What
    comes `then` follows in the same size.
    """

    width: int
    height: int
    photo: Path | None = None
    script: str | None = None
    audio: Path | None = None
    fps: int = 25
    speed: float = 1.0
    pitch: float = 0.0
    locale: str | None = None
    background: str | Path | None = None
    remove_background: bool = False
    motion_prompt: str | None = None
    expressiveness: str | None = None
    caption: bool = True
    seconds: float | None = None
    clip: Path | None = None
    volume: float = 1.0
    camera: bool = False
    transparent: bool = False
    then: tuple["FilmRequest", ...] = ()

    @property
    def suffix(self) -> str:
        """Of the file's name."""
        return "webm" if self.transparent else "mp4"

    def without_captions(self) -> "FilmRequest":
        """The same with no word burned in."""
        then = tuple(scene.without_captions() for scene in self.then)
        return dataclasses.replace(self, caption=False, then=then)

    def to_json(self) -> dict[str, Any]:
        """The request as JSON values, its paths absolute."""
        values = {
            name: str(value.absolute()) if isinstance(value, Path) else value
            for name, value in vars(self).items()
        }
        return values | {"then": [scene.to_json() for scene in self.then]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "FilmRequest":
        """The request that `to_json` wrote."""
        named = ("photo", "audio", "clip")
        paths: dict[str, Any] = {name: Path(values[name]) for name in named if values.get(name) is not None}
        background = values.get("background")
        if background is not None and not background.startswith("#"):
            paths["background"] = Path(background)
        then = tuple(cls.from_json(scene) for scene in values.get("then", ()))
        return cls(**{**values, **paths, "then": then})


def content_key(request: FilmRequest) -> str:
    """The same for two requests whose films are the same: files count by their bytes, not by their names.

    Raises FilmError where a file cannot be read.
    """
    try:
        values: dict[str, Any] = {
            name: hashlib.sha256(value.read_bytes()).hexdigest() if isinstance(value, Path) else value
            for name, value in vars(request).items()
        }
        values["then"] = [content_key(scene) for scene in request.then]
    except OSError as error:
        raise FilmError(f"cannot read {error.filename}: {error.strerror}") from error
    return hashlib.sha256(json.dumps([EDITION, values], sort_keys=True).encode()).hexdigest()


def half_done(target: Path, pid: int) -> Path:
    """Where the process `pid` writes a film before it gets its name."""
    return target.with_name(f".{target.name}.{pid}.part")


def can_film() -> bool:
    """Whether the film libraries are installed."""
    return all(importlib.util.find_spec(library) is not None for library in LIBRARIES)


class BundledClip:
    """Shows the same short clip for every request."""

    async def film(self, request: FilmRequest) -> Path:  # noqa: ARG002 - the request changes nothing here
        """The path of the bundled clip."""
        return ASSETS / "clip.mp4"

    async def close(self) -> None:
        """Nothing to end."""


class ChildFilmer:
    """Films one request at a time in a child process; a film once made is kept in `folder` and found again.

    The child starts with the first film, lives on for the next ones, and ends when its standard input does,
    so that it never outlives this process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = asyncio.Lock()
        self._filming: dict[Path, asyncio.Task[Path]] = {}
        self._child: Process | None = None
        self._closed = False

    async def film(self, request: FilmRequest) -> Path:
        """The path of the film; simultaneous callers for the same content wait for one filming.

        A caller that is cancelled does not stop the filming. Raises FilmError.
        """
        target = await asyncio.to_thread(self._target, request)
        task = self._filming.get(target)
        if task is None:
            task = asyncio.create_task(self._make(request, target))
            self._filming[target] = task
            task.add_done_callback(lambda done: self._forget(target, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End the child; whoever still waits for a film gets a FilmError."""
        self._closed = True
        child = self._child
        if child is not None and child.stdin is not None:
            child.stdin.close()
            try:
                await asyncio.wait_for(child.wait(), timeout=5)
            except TimeoutError:
                child.kill()
                await child.wait()
        await asyncio.gather(*self._filming.values(), return_exceptions=True)

    @property
    def pid(self) -> int | None:
        """The child's process id, once it has started."""
        return self._child.pid if self._child is not None else None

    def _target(self, request: FilmRequest) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder.absolute() / f"{content_key(request)}.{request.suffix}"

    def _forget(self, target: Path, done: asyncio.Task[Path]) -> None:
        del self._filming[target]
        if not done.cancelled():
            done.exception()  # everybody who waited may have left; that is no reason for a warning

    async def _make(self, request: FilmRequest, target: Path) -> Path:
        async with self._turn:
            if await asyncio.to_thread(target.exists):
                return target
            line = json.dumps({"request": request.to_json(), "target": str(target)}).encode() + b"\n"
            # Twice: a child that died since its last film shows it only when it is spoken to.
            answer = await self._ask(line, target) or await self._ask(line, target)
        if not answer:
            raise FilmError("the filming process died twice")
        if (reason := json.loads(answer).get("error")) is not None:
            raise FilmError(reason)
        return target

    async def _ask(self, line: bytes, target: Path) -> bytes:
        """The child's answer; empty where it died."""
        if self._closed:
            raise FilmError("the filmer is closed")
        if self._child is None:
            self._child = await start_child()
        child = self._child
        if child.stdin is None or child.stdout is None:
            raise FilmError("the filming process has no pipes")
        try:
            child.stdin.write(line)
            await child.stdin.drain()
            answer = await child.stdout.readline()
        except ConnectionError:
            answer = b""
        if not answer.endswith(b"\n"):
            await child.wait()
            await asyncio.to_thread(half_done(target, child.pid).unlink, missing_ok=True)
            self._child = None
            return b""
        return answer


async def start_child() -> Process:
    """A process that films what it reads, one JSON line each, and answers with a JSON line."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.simulator.film",
        stdin=PIPE,
        stdout=PIPE,
        cwd=Path(__file__).parents[2],  # where the package is found, installed or not
        start_new_session=True,  # an interrupt from the terminal is the parent's to handle
    )
