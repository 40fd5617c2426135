"""What short commands say, and how they end."""

from pathlib import Path

from tests.processes import run


async def said_by(folder: Path, *words: str, **environment: str) -> tuple[str, str]:
    """(standard output, standard error) of a command that succeeds."""
    async with run(folder, *words, **environment) as program:
        assert await program.ended() == 0, program.log
    return program.output.decode(), program.log


async def refusal(code: int, folder: Path, *words: str, **environment: str) -> str:
    """What a command says that ends with this code."""
    async with run(folder, *words, **environment) as program:
        assert await program.ended() == code, program.log
    assert "Traceback" not in program.log
    return program.log
