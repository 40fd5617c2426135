"""Has accepted renders filmed, also those that a kill interrupted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from app.simulator.media import speech_seconds
from app.simulator.renders import Filmer, FilmRequest, mp4_seconds
from app.simulator.store import Store
from app.simulator.videos import Videos


class Studio:
    """One task for each film that is being made."""

    def __init__(self, store: Store, videos: Videos, filmer: Filmer, now: Callable[[], float]) -> None:
        self._store = store
        self._videos = videos
        self._filmer = filmer
        self._now = now
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, video_id: str) -> None:
        """Start filming; a film that needs no waiting is there when this returns."""
        if video_id not in self._tasks:
            self._tasks[video_id] = asyncio.create_task(self._film(video_id))
            # Its first step runs now: with a clip that is always there, time alone decides about the render.
            await asyncio.sleep(0)

    async def finished(self, video_id: str) -> None:
        """Wait until the film is there, or never will be."""
        if task := self._tasks.get(video_id):
            await asyncio.shield(task)

    async def resume(self) -> None:
        """Begin what is accepted and not filmed."""
        for row in self._store.all("SELECT id FROM videos WHERE filming = 1"):
            await self.begin(row["id"])

    async def close(self) -> None:
        """Stop; what is not finished is begun again by `resume`."""
        for task in (tasks := list(self._tasks.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _film(self, video_id: str) -> None:
        try:
            row = self._store.one("SELECT * FROM videos WHERE id = ? AND filming = 1", video_id)
            if row is None:
                return
            request = FilmRequest.from_json(json.loads(row["film_request"]))
            film = await self._filmer.film(request.without_captions())
            captioned = await self._filmer.film(request) if row["burned_in"] else None
            seconds = mp4_seconds(film) or speech_seconds(request.script or "", request.speed)
            self._videos.filmed(video_id, (film, captioned), round(seconds, 3), self._now())
        except Exception as error:  # noqa: BLE001 - whatever a filmer raises fails the render, as a crash would
            self._videos.spoiled(video_id, str(error))
        finally:
            del self._tasks[video_id]
