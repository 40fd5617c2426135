"""A real H.264 + AAC film of a photo that speaks; run as a module, it films what its standard input asks for."""

import dataclasses
import json
import math
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
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
from app.simulator.speech import LONGEST, LONGEST_RECORDING, ONLY, Speech, levels, listen, speak

SHORTEST = 1.0  # seconds, for a script that says nothing
SIDES = (16, 3840)
SOUND_BITS = 64_000
# Fast rather than small: a simulated film is watched once or twice, and made on a laptop's two cores.
QUALITY = {"preset": "superfast", "crf": "26", "bf": "0"}
FAST_VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "32", "b": "0", "auto-alt-ref": "0"}
PAINTERS, AHEAD = 2, 4
SILENT_RATE, OPUS_RATE = 44_100, 48_000


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
    takes = [_Take.of(scene) for scene in (request, *request.then)]
    part = half_done(target, os.getpid())
    options = {} if request.transparent else {"movflags": "+faststart"}
    try:
        with av.open(str(part), "w", format=request.suffix, options=options) as container:
            _write(container, request, takes)
        part.replace(target)
    except (OSError, av.FFmpegError) as error:
        raise FilmError(f"the film cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    frames = sum(take.frames for take in takes)
    return Film(frames / request.fps, request.width // 2 * 2, request.height // 2 * 2, frames)


@dataclasses.dataclass(frozen=True)
class _Take:
    """One scene, ready to be filmed."""

    scene: Scene
    speech: Speech
    frames: int

    @classmethod
    def of(cls, request: FilmRequest) -> "_Take":
        speech = _speech(request)
        shortest = request.seconds or SHORTEST
        frames = math.ceil(round(max(shortest, speech.duration) * request.fps, 3))
        # No meter where nobody could speak.
        silent = request.seconds is not None and not len(speech.samples)
        heard = [] if silent else [float(level) for level in levels(speech, request.fps, frames)]
        words = captions(speech.words) if request.caption else []
        return cls(Scene(request, heard, words), speech, frames)


def _speech(request: FilmRequest) -> Speech:
    if request.audio is not None:
        return listen(request.audio, longest=LONGEST_RECORDING)
    if request.clip is not None and request.script is None:
        return _sound_of(request.clip, request.volume)
    if request.seconds is not None and request.script is None:
        return Speech(np.zeros(0, np.int16), SILENT_RATE)
    return speak(request.script or "", request.speed, request.pitch, request.locale)


def _sound_of(clip: Path, volume: float) -> Speech:
    """A video's own sound; silence where it has none, as long as the video is."""
    try:
        speech = listen(clip, SILENT_RATE)
    except FilmError:
        with av.open(str(clip), options=ONLY) as container:
            seconds = (container.duration or 0) / av.time_base
        return Speech(np.zeros(int(min(seconds, LONGEST) * SILENT_RATE), np.int16), SILENT_RATE)
    return Speech((speech.samples * volume).astype(np.int16), speech.rate)


def _write(container: OutputContainer, request: FilmRequest, takes: Sequence[_Take]) -> None:
    container.metadata["comment"] = "simulated"
    if request.transparent:
        video = container.add_stream("libvpx-vp9", rate=request.fps, options=FAST_VP9)
    else:
        video = container.add_stream("libx264", rate=request.fps, options=QUALITY)
    video.width, video.height = request.width // 2 * 2, request.height // 2 * 2
    video.pix_fmt = "yuva420p" if request.transparent else "yuv420p"
    video.gop_size = 2 * request.fps  # a player seeks to within two seconds
    context = video.codec_context
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    # Opus knows only some rates; else the first scene's own, that of most films the only one.
    rate = OPUS_RATE if request.transparent else takes[0].speech.rate
    if request.transparent:
        sound = container.add_stream("libopus", rate=rate, layout="mono", bit_rate=SOUND_BITS)
    else:
        sound = container.add_stream("aac", rate=rate, layout="mono", bit_rate=SOUND_BITS)
    done = 0
    for take in takes:
        samples = _padded(_at_rate(take.speech, rate), take.frames * rate // request.fps)
        offset = done * rate // request.fps
        for index, frame in enumerate(_drawn(take.scene, take.frames)):
            # Sound and picture in step, so that a player never has to look far ahead in the file for either.
            start, end = (number * rate // request.fps for number in (index, index + 1))
            container.mux(sound.encode(_audio_frame(samples[start:end], rate, offset + start)))
            frame.pts = done + index
            container.mux(video.encode(frame))
        done += take.frames
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


def _at_rate(speech: Speech, rate: int) -> Samples:
    """The sound at another rate; good enough for a voice that a machine speaks."""
    if speech.rate == rate or not len(speech.samples):
        return speech.samples
    count = len(speech.samples) * rate // speech.rate
    places = np.arange(count) * (speech.rate / rate)
    samples: Samples = np.interp(places, np.arange(len(speech.samples)), speech.samples).astype(np.int16)
    return samples


def _padded(samples: Samples, length: int) -> Samples:
    """The sound, silent to the end of the last frame."""
    return np.concatenate([samples, np.zeros(max(0, length - len(samples)), np.int16)])


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
