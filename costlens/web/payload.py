"""Bodies in and out on the wire: unpacked within a bound when they come, packed for whoever asks when they go.

The standard library does it. A library for it would bring more formats, and work of its own for every request; this
packs the API's long answers to GET and nothing else: an answer to a tracked run is shorter than a packet.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from flask import Flask, Request, Response, request

from costlens.domain.errors import InvalidInput, TooLarge, UnsupportedMedia

GZIP = 16 + zlib.MAX_WBITS
SHORT = 1_400  # bytes: what fits in one packet is not packed
LEVEL = 4  # four fifths of the size that the best level saves, in a third of its time
_PACKED = ("application/json", "application/x-ndjson", "text/csv")
_JSON = ("", "application/json", "text/json", "text/plain", "application/x-www-form-urlencoded")
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


def set_up_packing(app: Flask) -> None:
    """Packs long answers of the API for clients that take gzip."""
    app.after_request(_pack)


def json_body(*also: str) -> bytes:
    """The bytes of a JSON body, unpacked; `also` are further media types that the route reads.

    A missing content type is taken for JSON. Raises UnsupportedMedia, TooLarge, InvalidInput.
    """
    # Each look through the proxy costs as much as what is asked.
    incoming: Request = request._get_current_object()  # type: ignore[attr-defined]
    mimetype = incoming.mimetype
    if mimetype not in _JSON and mimetype not in also:
        raise UnsupportedMedia(f"Send the body as {' or '.join(('application/json', *also[:1]))}")
    body = incoming.get_data(cache=False)
    encoding = incoming.headers.get("Content-Encoding")
    if encoding is None or encoding.strip().lower() == "identity":
        return body
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        raise UnsupportedMedia("Content-Encoding may be gzip")
    return unpack(body, request.max_content_length or len(body))


def unpack(packed: bytes, limit: int) -> bytes:
    """What was packed with gzip. Raises TooLarge past `limit` bytes, InvalidInput for what is not, or is cut."""
    parts: list[bytes] = []
    size = 0
    while packed:
        stream = zlib.decompressobj(GZIP)
        try:
            part = stream.decompress(packed, limit - size + 1)
        except zlib.error as error:
            raise InvalidInput("The body is not valid gzip") from error
        size += len(part)
        if size > limit:
            raise TooLarge(f"The unpacked body is larger than the limit of {limit} bytes; nothing was stored")
        if not stream.eof:
            raise InvalidInput("The body ends within its gzip")
        parts.append(part)
        packed = stream.unused_data  # gzip files may follow each other
    return b"".join(parts)


def _pack(response: Response) -> Response:
    if (
        request.method != "GET"
        or response.mimetype not in _PACKED
        or "gzip" not in request.headers.get("Accept-Encoding", "")
        or "Content-Encoding" in response.headers
    ):
        return response
    response.vary.add("Accept-Encoding")
    if not request.accept_encodings["gzip"]:
        return response
    if response.is_streamed:
        response.response = _packed(response.iter_encoded(), response.response)
        response.headers.pop("Content-Length", None)
    elif len(response.data) < SHORT:
        return response
    else:
        packer = zlib.compressobj(LEVEL, wbits=GZIP)
        response.data = packer.compress(response.data) + packer.flush()
    response.headers["Content-Encoding"] = "gzip"
    return response


def _packed(parts: Iterable[bytes], source: object) -> Iterator[bytes]:
    """Each part as soon as it is there, so that a file of any size streams in flat memory; closes its source."""
    packer = zlib.compressobj(LEVEL, wbits=GZIP)
    try:
        for part in parts:
            if shown := packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH):
                yield shown
        yield packer.flush()
    finally:
        if hasattr(source, "close"):
            source.close()
