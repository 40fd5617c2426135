"""Who speaks a text: a child process with offline speech, or a tone as long as the speech; the standard library only."""

from __future__ import annotations

import array
import asyncio
import json
import math
import sys
import wave
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from app.simulator.filming import FilmError
from app.simulator.media import speech_seconds

TONE_RATE = 8_000
TONE_HERTZ = 220


@dataclass(frozen=True)
class Line:
    """A text, the speed to say it with, and the locale of its voice."""

    text: str
    speed: float
    locale: str | None


@dataclass(frozen=True)
class Said:
    """Seconds, and each word with its first and last; None where nobody knows."""

    duration: float
    words: list[dict[str, Any]] | None = None


class Speaker(Protocol):
    """Makes the sound of one text."""

    async def say(self, line: Line, target: Path) -> Said:
        """Write a WAV file. Raises FilmError."""


class Tone:
    """Hums for as long as the speech would take."""

    async def say(self, line: Line, target: Path) -> Said:
        seconds = round(speech_seconds(line.text, line.speed), 3)
        wave_of = (
            int(8_000 * math.sin(2 * math.pi * TONE_HERTZ * at / TONE_RATE))
            for at in range(int(seconds * TONE_RATE))
        )
        await asyncio.to_thread(_write, target, array.array("h", wave_of))
        return Said(seconds)


class ChildSpeaker:
    """Speaks with the libraries of the films, in a process for each text."""

    async def say(self, line: Line, target: Path) -> Said:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.simulator.say",
            stdin=PIPE,
            stdout=PIPE,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
        wanted = {
            "text": line.text,
            "speed": line.speed,
            "locale": line.locale,
            "target": str(await asyncio.to_thread(target.absolute)),
        }
        told, _ = await child.communicate(json.dumps(wanted).encode())
        if child.returncode != 0:
            raise FilmError("the text could not be spoken")
        answer = json.loads(told)
        return Said(answer["duration"], answer["words"])


def _write(target: Path, samples: array.array[int]) -> None:
    if sys.byteorder == "big":
        samples.byteswap()
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(TONE_RATE)
        file.writeframes(samples.tobytes())
