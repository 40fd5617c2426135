"""Says one text into a WAV file: a program of its own, as the libraries it needs may be missing, and may crash."""

from __future__ import annotations

import json
import sys
import wave
from pathlib import Path
from typing import Any

from app.simulator.speech import speak


def main() -> None:
    """Read what to say from standard input, one JSON object; answer how long it is and when each word begins."""
    wanted: dict[str, Any] = json.load(sys.stdin)
    speech = speak(wanted["text"], speed=wanted["speed"], locale=wanted["locale"])
    with wave.open(str(Path(wanted["target"])), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(speech.rate)
        file.writeframes(speech.samples.tobytes())
    starts = [word.at for word in speech.words]
    ends = [*starts[1:], speech.duration]
    words = [
        {"word": word.text, "start": round(word.at, 3), "end": round(end, 3)}
        for word, end in zip(speech.words, ends, strict=True)
    ]
    json.dump({"duration": round(speech.duration, 3), "words": words}, sys.stdout)


if __name__ == "__main__":
    main()
