"""eSpeak NG through ctypes: one voice, one set of parameters and one synthesis at a time in a process."""

import ctypes
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from app.simulator.filming import FilmError

if TYPE_CHECKING:
    from ctypes import _Pointer

Samples = NDArray[np.int16]

# Words a minute at speed 1: English then runs at about 14.5 characters a second, the rate costs are estimated by.
RATE = 150

# speak_lib.h of eSpeak NG 1.52
_SYNCHRONOUS, _DONT_EXIT, _UTF8, _BY_CHARACTER, _EVENT_WORD = 2, 0x8000, 1, 1, 1
_PARAMETER_RATE, _PARAMETER_PITCH, _RATES = 1, 3, (80, 450)
# Beyond about 160 characters eSpeak's own buffers cut the path of its data off.
_LONGEST_DATA_PATH = 150


@cache
def engine() -> "Engine":
    """The one engine of this process. Raises FilmError where eSpeak cannot start."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = str(espeakng_loader.get_data_path())
    if len(data) > _LONGEST_DATA_PATH:
        short = Path(tempfile.mkdtemp(prefix="espeak-")) / "espeak-ng-data"
        short.symlink_to(data)
        data = str(short)
    rate = library.espeak_Initialize(_SYNCHRONOUS, 200, data.encode(), _DONT_EXIT)
    if rate <= 0:
        raise FilmError(f"eSpeak cannot start with its data in {data}")
    started = Engine(library, rate)
    library.espeak_SetSynthCallback(started.callback)
    return started


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Engine:
    """The library; hold `lock` from `use` to the last `say`."""

    def __init__(self, library: ctypes.CDLL, rate: int) -> None:
        self.rate = rate
        self.lock = threading.Lock()
        self.callback = _CALLBACK(self._take)  # kept: eSpeak holds the address only
        self._library = library
        self._parts: list[Samples] = []
        self._starts: list[tuple[int, float]] = []

    def use(self, voices: list[str], speed: float, pitch: float) -> None:
        """Set the voice (the first of these that exists), speed and pitch."""
        if all(self._library.espeak_SetVoiceByName(voice.encode()) != 0 for voice in voices):
            raise FilmError(f"eSpeak has none of the voices {', '.join(voices)}")
        rate = min(max(round(RATE * speed), _RATES[0]), _RATES[1])
        self._library.espeak_SetParameter(_PARAMETER_RATE, rate, 0)
        self._library.espeak_SetParameter(_PARAMETER_PITCH, min(max(round(50 + pitch), 0), 100), 0)

    def say(self, text: str) -> tuple[Samples, list[tuple[int, float]]]:
        """The sound, and each word's first character and second."""
        self._parts, self._starts = [], []
        data = text.encode() + b"\0"
        size = ctypes.c_size_t(len(data))
        if self._library.espeak_Synth(data, size, 0, _BY_CHARACTER, 0, _UTF8, None, None) != 0:
            raise FilmError("eSpeak refused the script")
        return np.concatenate([*self._parts, np.zeros(0, np.int16)]), self._starts

    def _take(self, wave: "_Pointer[ctypes.c_short]", count: int, events: "_Pointer[_Event]") -> int:
        """eSpeak's callback: some sound and what happens in it; 0 asks for more."""
        if wave and count:
            self._parts.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != 0:
            if events[index].type == _EVENT_WORD:
                self._starts.append((events[index].text_position - 1, events[index].audio_position / 1000))
            index += 1
        return 0
