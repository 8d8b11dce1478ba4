"""The WSGI entry: `granian --interface wsgi app:app`, or any other WSGI server."""

from costlens.factory import create_app

app = create_app()
