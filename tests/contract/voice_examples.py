"""Messages about voices that are made and used that keep the contract, and some that break it."""

from typing import Any

DESIGN, CLONE = ("POST", "/v3/voices"), ("POST", "/v3/voices/clone")
SPEAK, REMOVE = ("POST", "/v3/voices/speech"), ("DELETE", "/v3/voices/v1")
RECORDING = {"type": "url", "url": "https://example.com/me.wav"}

WANTED = {"prompt": "A calm narrator.", "gender": "female", "locale": "en-US", "seed": 0}
SAMPLE = {"voice_name": "Me", "audio": RECORDING, "language": "en", "remove_background_noise": True}
TEXT = {
    "text": "x" * 5000,
    "voice_id": "v1",
    "input_type": "ssml",
    "speed": 0.5,
    "language": None,
    "locale": "en-US",
}

REQUESTS: list[tuple[str, str, Any]] = [
    (*DESIGN, WANTED),
    (*DESIGN, {"prompt": "x" * 1000}),
    (*CLONE, SAMPLE),
    (*SPEAK, TEXT),
    (*SPEAK, {"text": "Hi.", "voice_id": "v1", "speed": 2}),
]

VOICE = {
    "voice_id": "v1",
    "name": "Ada",
    "language": "English",
    "gender": "female",
    "type": "private",
    "support_pause": True,
    "support_locale": False,
    "preview_audio_url": None,
}
SPOKEN = {
    "audio_url": "https://example.com/a.mp3",
    "duration": 1.5,
    "request_id": None,
    "word_timestamps": [{"word": "Hi", "start": 0, "end": 0.4}],
}
ANSWERS: list[tuple[str, str, Any]] = [
    (*DESIGN, {"data": {"voices": [VOICE], "seed": 0}}),
    (*CLONE, {"data": {"voice_clone_id": "v1"}}),
    (*SPEAK, {"data": SPOKEN}),
    (*REMOVE, {"data": {"voice_id": "v1"}}),
]
# In the order of ANSWERS: the fields an answer cannot do without.
NEEDED = (
    "data data.voices data.seed data.voices.0.voice_id data.voices.0.name data.voices.0.language"
    " data.voices.0.gender data.voices.0.type data.voices.0.support_pause data.voices.0.support_locale",
    "data data.voice_clone_id",
    "data data.audio_url data.duration data.word_timestamps.0.word data.word_timestamps.0.start"
    " data.word_timestamps.0.end",
    "data data.voice_id",
)
NEEDED_OF_CALLERS: list[tuple[tuple[str, str, Any], str]] = [
    ((*DESIGN, WANTED), "prompt"),
    ((*CLONE, SAMPLE), "voice_name audio audio.type audio.url"),
    ((*SPEAK, TEXT), "text voice_id"),
]

REFUSED_REQUESTS: list[tuple[tuple[str, str, Any], str]] = [
    *(((*DESIGN, WANTED | {"prompt": prompt}), "$.prompt") for prompt in ("", "x" * 1001)),
    *(((*DESIGN, WANTED | {"seed": seed}), "$.seed") for seed in (-1, 0.5)),
    ((*CLONE, SAMPLE | {"audio": {"type": "url", "url": "http://example.com/a.wav"}}), "$.audio.url"),
    *(((*SPEAK, TEXT | {"text": text}), "$.text") for text in ("", "x" * 5001)),
    *(((*SPEAK, TEXT | {"speed": speed}), "$.speed") for speed in (0.4, 2.1)),
]
