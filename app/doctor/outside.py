"""From outside in: whether the public address leads to this very service, in time, and without a detour."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import urlsplit

import httpx

from app.doctor.findings import Finding, fail, ok, warn
from app.proof import CHALLENGE, PROOF, proves
from app.secrets import token

HANDSHAKE_SECONDS = 1.0
"""HeyGen's first API gave an OPTIONS request that long before it registered an address."""
CALLBACKS = "/callbacks/heygen"


class Unreachable(Exception):
    """It does not lead here; the message says why, and what to do."""


@dataclass(frozen=True)
class Door:
    """The public address; `keys` are what the service behind it proves itself with, none before its first start."""

    http: httpx.AsyncClient
    url: str
    keys: Sequence[bytes]

    async def look(self, *, registered: bool, to_a_simulator: bool) -> list[Finding]:
        """Ask as HeyGen asks: first for the address of a single job, then for the registered one."""
        found = []
        if urlsplit(self.url).scheme != "https" and not to_a_simulator:
            found.append(warn("public", f"{self.url} is not https, which HeyGen asks for."))
        for name, path in (("public", f"{CALLBACKS}/doctor-{token()}"), ("registered", CALLBACKS)):
            try:
                seconds = await self._probe(path)
                await self._post(path, registered=registered)
            except Unreachable as error:
                found.append(fail(name, f"{self.url}{CALLBACKS}: {error}"))
                return found
            if seconds > HANDSHAKE_SECONDS:
                found.append(
                    warn(name, f"OPTIONS took {seconds:.1f} s; HeyGen has waited 1 s. Look at your proxy.")
                )
            else:
                found.append(ok(name, self._praise(name, registered=registered)))
        return found

    def _praise(self, name: str, *, registered: bool) -> str:
        if name == "public":
            return f"{self.url} leads to this service; HeyGen can call back."
        if registered:
            return "Signed callbacks of registered endpoints are taken."
        return (
            "No HEYGEN_WEBHOOK_SECRET: only callbacks of single jobs are taken; greenroom doctor --register."
        )

    async def _probe(self, path: str) -> float:
        """Try the address as HeyGen has been seen to; how long OPTIONS took."""
        began = perf_counter()
        await self._expect("OPTIONS", path, {200})
        seconds = perf_counter() - began
        await self._expect("GET", path, {200})
        return seconds

    async def _post(self, path: str, *, registered: bool) -> None:
        if path != CALLBACKS or registered:
            answer = await self._expect("POST", path, {200, 404})
            if answer.status_code == 404:
                raise Unreachable("The service runs without HEYGEN_WEBHOOK_SECRET. Start it again with it.")
            if _json(answer) != {"data": {}}:
                raise Unreachable(
                    "A POST is not answered as this service does. Look at the proxy in between."
                )

    async def _expect(self, method: str, path: str, statuses: set[int]) -> httpx.Response:
        challenge = token()
        answer = await ask(self.http, method, self.url + path, {CHALLENGE: challenge})
        if answer.is_redirect:
            raise Unreachable(
                f"{method} is redirected to {answer.headers.get('Location', '?')[:100]}. Set PUBLIC_URL to that."
            )
        proof = answer.headers.get(PROOF)
        if answer.status_code in statuses and proof is None:
            raise Unreachable(
                "Somebody else answers there. Check PUBLIC_URL, and where its name and proxy lead."
            )
        if proof is None:
            raise Unreachable(
                f"{method} is answered {answer.status_code}, not by this service. Let the proxy pass it."
            )
        if self.keys and not proves(self.keys, challenge, proof):
            raise Unreachable(
                "Another Greenroom answers there, one with other SECRET_KEYS. Check PUBLIC_URL."
            )
        return answer


async def look_at_links(http: httpx.AsyncClient, url: str, keys: Sequence[bytes]) -> Finding:
    """Whether the address that links to videos start with leads to this service, which proves itself with `keys`."""
    try:
        challenge = token()
        answer = await ask(http, "GET", f"{url}/v3/videos/{token()}/content", {CHALLENGE: challenge})
    except Unreachable as error:
        return fail("links", f"{url}: {error}")
    error_told = (_json(answer) or {}).get("error")
    if answer.status_code == 401 and isinstance(error_told, dict) and "request_id" in error_told:
        if keys and not proves(keys, challenge, answer.headers.get(PROOF, "")):
            what = "one with other SECRET_KEYS, or of an older version"
            return fail("links", f"{url}: Another Greenroom answers there, {what}. Check API_URL.")
        return ok("links", f"Links start with {url}, and lead here.")
    what = "Let the proxy pass /v3/videos/*/content and /v3/assets/*/content, or mend API_URL."
    return fail("links", f"{url} answers {answer.status_code}, not as this service does. {what}")


async def ask(http: httpx.AsyncClient, method: str, url: str, headers: dict[str, str]) -> httpx.Response:
    """One request, never redirected; raises Unreachable with what to do."""
    content = b"{}" if method == "POST" else None
    try:
        return await http.request(method, url, headers=headers, content=content, follow_redirects=False)
    except httpx.TimeoutException:
        raise Unreachable(f"{method} is not answered. Check the name, the firewall and the proxy.") from None
    except httpx.ConnectError as error:
        if "certificate" in str(error).lower() or isinstance(error.__context__, ssl.SSLError):
            raise Unreachable(f"TLS fails ({error}). Renew the certificate, with its whole chain.") from None
        raise Unreachable(
            "Nothing answers. Start the service first; or this machine cannot reach its own public address."
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unreachable(f"{method} fails ({type(error).__name__}).") from None


def _json(answer: httpx.Response) -> dict[str, object] | None:
    try:
        value = answer.json()
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
