"""The page at ``/``: what this is, and where to go on."""

from importlib.metadata import version as version_of

from aiohttp import web

VERSION = version_of("corral-registry")

_PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Corral registry</title>
<h1>Corral registry {VERSION}</h1>
<p>Templates of virtual machines, for <code>corral</code>, <code>oras</code> and
<code>skopeo</code>.</p>
<ul>
<li><a href="registry/v2/vm">Templates</a></li>
<li><a href="registry/disk">Disk</a></li>
<li><a href="log/files">Logs</a></li>
<li><a href="registry/status">Status</a></li>
</ul>
</html>
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


class IndexRoutes:
    """The welcome page."""

    def add_to(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_get("/", self.index)

    async def index(self, _request: web.Request) -> web.Response:
        """For people who open the registry's address in a browser."""
        return web.Response(text=_PAGE, content_type="text/html", headers=_HEADERS)
