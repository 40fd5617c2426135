"""A real H.264 + AAC film of a photo that speaks; run as a module, it films what its standard input asks for."""

import dataclasses
import json
import math
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from app.simulator.captions import captions
from app.simulator.espeak import Samples
from app.simulator.filming import FilmError, FilmRequest, half_done
from app.simulator.pictures import Scene
from app.simulator.speech import Speech, levels, listen, speak

SHORTEST = 1.0  # seconds, for a script that says nothing
SIDES = (16, 3840)
SOUND_BITS = 64_000
# Fast rather than small: a simulated film is watched once or twice, and made on a laptop's two cores.
QUALITY = {"preset": "superfast", "crf": "26", "bf": "0"}
PAINTERS, AHEAD = 2, 4


@dataclasses.dataclass(frozen=True)
class Film:
    """A film that was made; `duration` in seconds."""

    duration: float
    width: int
    height: int
    frames: int


def film(request: FilmRequest, target: Path) -> Film:
    """Film the request into `target`, which appears at once and whole. Raises FilmError."""
    if not all(SIDES[0] <= side <= SIDES[1] for side in (request.width, request.height)):
        raise FilmError(f"width, height: {SIDES[0]} to {SIDES[1]} pixels")
    if not 1 <= request.fps <= 60:
        raise FilmError("fps: 1 to 60")
    speech = _speech(request)
    frames = math.ceil(round(max(SHORTEST, speech.duration) * request.fps, 3))
    scene = Scene(
        request,
        [float(level) for level in levels(speech, request.fps, frames)],
        captions(speech.words) if request.caption else [],
    )
    part = half_done(target, os.getpid())
    try:
        with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            _write(container, request, scene, speech, frames)
        part.replace(target)
    except (OSError, av.FFmpegError) as error:
        raise FilmError(f"the film cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return Film(frames / request.fps, request.width // 2 * 2, request.height // 2 * 2, frames)


def _speech(request: FilmRequest) -> Speech:
    if request.audio is not None:
        return listen(request.audio)
    return speak(request.script or "", request.speed, request.pitch, request.locale)


def _write(
    container: OutputContainer, request: FilmRequest, scene: Scene, speech: Speech, frames: int
) -> None:
    container.metadata["comment"] = "simulated"
    video = container.add_stream("libx264", rate=request.fps, options=QUALITY)
    video.width, video.height, video.pix_fmt = request.width // 2 * 2, request.height // 2 * 2, "yuv420p"
    video.gop_size = 2 * request.fps  # a player seeks to within two seconds
    context = video.codec_context
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    sound = container.add_stream("aac", rate=speech.rate, layout="mono", bit_rate=SOUND_BITS)
    samples = _padded(speech, frames, request.fps)
    for index, frame in enumerate(_drawn(scene, frames)):
        # Sound and picture in step, so that a player never has to look far ahead in the file for either.
        start, end = (number * speech.rate // request.fps for number in (index, index + 1))
        container.mux(sound.encode(_audio_frame(samples[start:end], speech.rate, start)))
        frame.pts = index
        container.mux(video.encode(frame))
    container.mux(sound.encode(None))
    container.mux(video.encode(None))


def _drawn(scene: Scene, frames: int) -> Iterator[VideoFrame]:
    """Every frame in turn, drawn a little ahead in a thread while the last ones are encoded."""
    with ThreadPoolExecutor(PAINTERS) as painter:
        ahead: deque[Future[VideoFrame]] = deque()
        for index in range(frames):
            ahead.append(painter.submit(scene.draw, index))
            if len(ahead) > AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _padded(speech: Speech, frames: int, fps: int) -> Samples:
    """The sound, silent to the end of the last frame."""
    missing = frames * speech.rate // fps - len(speech.samples)
    return np.concatenate([speech.samples, np.zeros(max(0, missing), np.int16)])


def _audio_frame(samples: Samples, rate: int, start: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate
    frame.pts = start
    return frame


class Child:
    """Films what standard input asks for, one JSON line each, until it ends."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._part: Path | None = None
        # What a library prints must not be taken for an answer.
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def run(self) -> None:
        """Never returns: the process ends with its standard input, even in the middle of a film."""
        os.nice(10)
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            asked = json.loads(self._lines.get())
            print(json.dumps(self._answer(asked)), file=self._answers, flush=True)

    def _listen(self) -> None:
        for line in sys.stdin.buffer:
            self._lines.put(line)
        if self._part is not None:
            self._part.unlink(missing_ok=True)
        os._exit(0)

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        target = Path(asked["target"])
        self._part = half_done(target, os.getpid())
        try:
            return dataclasses.asdict(film(FilmRequest.from_json(asked["request"]), target))
        except FilmError as error:
            return {"error": str(error)}
        finally:
            self._part = None


if __name__ == "__main__":
    Child().run()
