"""Looking at the simulator's films: decode them again, and the pictures and sounds to make them of."""

import math
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.simulator.film import film
from app.simulator.filming import ASSETS, FilmRequest

SCRIPT = "Hello and welcome to this film. It was made without any key, and nothing was spent on it."
PORTRAIT = ASSETS / "portrait.png"
SMALL = FilmRequest(width=320, height=180, script="Hello.")


@dataclass(frozen=True)
class Watched:
    """A film decoded again."""

    codecs: tuple[str, str]
    pixels: str
    size: tuple[int, int]
    frames: list[NDArray[np.uint8]]
    sound: NDArray[np.float64]
    rate: int

    @property
    def loudness(self) -> NDArray[np.float64]:
        """RMS of the sound under each frame."""
        step = self.rate // 25
        whole = self.sound[: len(self.sound) // step * step].reshape(-1, step)
        return np.asarray(np.sqrt(np.mean(np.square(whole), axis=1)))

    @property
    def longest_silence(self) -> float:
        """Seconds without sound between the first sound and the last."""
        loud = np.flatnonzero(self.loudness > 0.003)
        return float(np.max(np.diff(loud)) - 1) / 25


def watch(path: Path) -> Watched:
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        codecs = video.codec_context.name, audio.codec_context.name
        frames = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video)]
        pixels, size, rate = str(video.pix_fmt), (video.width, video.height), int(audio.rate)
    with av.open(str(path)) as container:
        sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])
    return Watched(codecs, pixels, size, frames, sound.astype(np.float64), rate)


def make(folder: Path, request: FilmRequest) -> Watched:
    film(request, folder / "film.mp4")
    return watch(folder / "film.mp4")


def picture(folder: Path, colour: str, size: tuple[int, int] = (200, 200)) -> Path:
    path = folder / f"{colour.strip('#')}.png"
    Image.new("RGB", size, colour).save(path)
    return path


def tone(path: Path, seconds: float) -> Path:
    wave_form = np.sin(np.arange(int(16000 * seconds)) * 2 * math.pi * 440 / 16000) * 12000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(wave_form.astype(np.int16).tobytes())
    return path
