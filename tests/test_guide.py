"""The full example of HeyGen's own guide, run as it stands against Greenroom: only what a user fills in is filled in."""

import re
from pathlib import Path

import httpx

from tests.api.callers import VOICE
from tests.api.photos import photo_server
from tests.processes import printed_key, run_python, serve, settings

# "Full example" of developers.heygen.com/docs/photo-avatar, to the letter. Not named .py: it is not ours to format.
EXAMPLE = Path(__file__).with_name("data") / "guide_full_example.txt"


def filled_in(example: str, values: dict[str, str]) -> str:
    """The example with each text replaced; fails where one does not occur exactly once."""
    for text, value in values.items():
        assert example.count(text) == 1, text
        example = example.replace(text, value)
    return example


async def test_the_guides_own_program_makes_a_video_that_anybody_can_fetch(tmp_path: Path) -> None:
    program = tmp_path / "example.py"
    async with photo_server() as photos, serve(tmp_path, **settings(tmp_path)) as greenroom:
        values = {
            "YOUR_API_KEY": await printed_key(greenroom),
            "https://api.heygen.com": greenroom.url,
            "https://example.com/portrait.jpg": f"{photos.url}/photo.png",
            "YOUR_VOICE_ID": VOICE,
            "time.sleep(10)": "time.sleep(0.2)",
        }
        program.write_text(filled_in(EXAMPLE.read_text(), values))
        async with run_python(tmp_path, str(program)) as example:
            assert await example.ended() == 0, example.log
        told = example.output.decode()
        download = re.search(r"^Download: (http\S+)$", told, re.MULTILINE)
        assert download is not None, told
        assert re.findall(r"^(\w+ created|Status): ", told, re.MULTILINE)[:3] == [
            "Avatar created",
            "Video created",
            "Status",
        ]
        assert "Status: pending" in told
        assert "Status: completed" in told
        async with httpx.AsyncClient() as anybody:
            film = await anybody.get(download[1])
        assert (film.status_code, film.headers["content-type"]) == (200, "video/mp4")
        assert film.content[4:8] == b"ftyp"
        assert await greenroom.stop() == 0, greenroom.log
