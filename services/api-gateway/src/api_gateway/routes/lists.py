"""How lists are answered: with an ETag, a total, and the way to the next page."""

from api_gateway.listing import Listing
from api_gateway.replies import Reply, tagged
from api_gateway.web import Call

TOTAL_HEADER = "X-Total-Count"
KNOWN_HEADER = "If-None-Match"
LISTED = {
    "ETag": "Names this content, for ``If-None-Match``.",
    TOTAL_HEADER: "Of a list: how many match, on all pages.",
    "Link": "Of a list: where the next page is, if there is one.",
}
"""What the headers of these answers mean."""


def listed(call: Call, listing: Listing) -> Reply:
    """The list, or 304 when the caller has it."""
    headers = {TOTAL_HEADER: str(listing.total)}
    if listing.after is not None:
        headers["Link"] = f'<{call.target(after=listing.after)}>; rel="next"'
    return tagged(call.header(KNOWN_HEADER), listing.tag, listing.body, headers)
