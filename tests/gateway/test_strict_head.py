"""tricorn.gateway.http.strict_head: heads as they must be, and each way in which they must not."""

from __future__ import annotations

import io

import pytest

from tricorn.gateway.http.strict_head import MAX_LINE, MAX_LINES, read


def head(*lines: bytes) -> io.BytesIO:
    return io.BytesIO(b"".join(line + b"\r\n" for line in (*lines, b"")) + b"the body")


def test_a_head() -> None:
    """It is given on as it is, and what follows stays where it was."""
    lines = (b"Host: here:80", b"Content-Length:\t12 ", b"X-Name: caf\xe9", b"Empty:")
    file = head(*lines)
    assert read(file) == head(*lines).getvalue().removesuffix(b"the body")
    assert file.read() == b"the body"
    assert read(head(b"Transfer-Encoding: Chunked")).startswith(b"Transfer")


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 0", b"content-length: 0"),
        (b"Content-Length: +0",),
        (b"Content-Length: -1",),
        (b"Content-Length: 1_0",),
        (b"Content-Length: 0x0",),
        (b"Content-Length: \xb2",),
        (b"Content-Length:",),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: identity",),
        (b"Transfer-Encoding : chunked",),
        (b"Transfer-Encoding: \x0bchunked",),
        (b"A: b", b" Content-Length: 5"),
        (b"A: b\nContent-Length: 5",),
        (b"A: b\rContent-Length: 5",),
        (b"A: b\x00c",),
        (b"A:" + b" " * (MAX_LINE - 10) + b"\x00",),
        (b"no colon",),
        (b": no name",),
        (b"A: " + b"x" * MAX_LINE,),
        (b"A: b",) * (MAX_LINES + 1),
    ],
)
def test_none(lines: tuple[bytes, ...]) -> None:
    """Refused, whatever somebody else might make of it."""
    with pytest.raises(ValueError, match=r"line|body|length|coding"):
        read(head(*lines))


@pytest.mark.parametrize("sent", [b"", b"A: b\r\n", b"A: b\r\nC", b"A: b\n\n"])
def test_an_end_in_the_middle(sent: bytes) -> None:
    """As one that ends before it is complete, or has other ends of lines."""
    with pytest.raises(ValueError, match="none"):
        read(io.BytesIO(sent))
